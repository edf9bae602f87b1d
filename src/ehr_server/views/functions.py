"""The functions that views add to FHIRPath: keys to join tables by.

https://sql-on-fhir.org/ig/StructureDefinition-ViewDefinition.html#required-additional-functions.
The key of a row is the id of its resource: that of a reference is the id of what it refers to, if
that lies here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ehr_server.fhir import references
from ehr_server.fhirpath.errors import FHIRPathError
from ehr_server.fhirpath.flow import Branch, Flow, all_values, many, single
from ehr_server.fhirpath.functions.row import Function
from ehr_server.fhirpath.kinds import conforms

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ehr_server.fhirpath.site import Site


def functions(base: str) -> Mapping[str, Function]:
    """The rows; `base` is this server's own address, such as `http://here/fhir`."""
    return {
        "getResourceKey": Function(0, 0, _resource_key),
        "getReferenceKey": Function(0, 1, lambda site: _reference_key(site, base)),
        "join": Function(0, 1, _join),
    }


def _resource_key(site: Site) -> Flow:
    (branch,) = site.source.branches if len(site.source.branches) == 1 else (None,)
    if branch is None or not conforms(site.definitions, branch.type, "Resource"):
        raise FHIRPathError(
            "getResourceKey() is asked of a resource; below forEach, ask %resource", site.at
        )
    one = single(site.source)

    def run(focus: Any, resource: Any) -> str | None:
        found = one(focus, resource)
        return None if found is None else found.get("id")

    return Flow((Branch("id", run),))


def _reference_key(site: Site, base: str) -> Flow:
    wanted = site.named_type() if site.arguments else None
    if any(branch.type != "Reference" for branch in site.source.branches):
        raise FHIRPathError("getReferenceKey() is asked of a Reference", site.at)
    return Flow(tuple(_keys(branch, wanted, base) for branch in site.source.branches))


def _keys(branch: Branch, wanted: str | None, base: str) -> Branch:
    def key(reference: Any) -> str | None:
        text = reference.get("reference")
        if text is None:
            return None
        found = references.parse(text, base)
        is_here = found.kind == "local" and (wanted is None or found.type == wanted)
        return found.id if is_here else None

    values = many(branch)

    def run_list(focus: Any, resource: Any) -> Sequence[str]:
        return [one for value in values(focus, resource) if (one := key(value)) is not None]

    one_of = branch.run

    def run(focus: Any, resource: Any) -> str | None:
        value = one_of(focus, resource)
        return None if value is None else key(value)

    return Branch("id", run_list if branch.is_list else run, branch.is_list, branch.keys)


def _join(site: Site) -> Flow:
    """The strings as one. Of none it is the empty text, which the published cases of SQL on FHIR
    hold it to, where FHIRPath itself has nothing."""
    values = all_values(site.source)
    between = single(site.argument()) if site.arguments else lambda focus, resource: ""  # noqa: ARG005

    def run(focus: Any, resource: Any) -> str | None:
        found, separator = values(focus, resource), between(focus, resource)
        is_sound = isinstance(separator, str) and all(isinstance(one, str) for one in found)
        return separator.join(found) if is_sound else None

    return Flow((Branch("string", run),))
