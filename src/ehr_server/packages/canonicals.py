"""A rule for canonicals: what an artifact builds on should be there.

Without it the part that names it is not checked, which the record can live with: a warning.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from ehr_server.definitions import definitions
from ehr_server.packages.findings import warning

if TYPE_CHECKING:
    from ehr_server.definitions.catalog import Artifact, Catalog
    from ehr_server.issue import Issue

_TYPES = "http://hl7.org/fhir/StructureDefinition/"


def lead_somewhere(catalog: Catalog, new: Sequence[Artifact]) -> Iterable[Issue]:
    """One warning for each artifact that is named and not there, at the first that names it."""
    told: set[tuple[str, str]] = set()
    for one in new:
        for type_, canonical in _named(one):
            url = canonical.partition("|")[0]
            if (type_, url) in told or _is_there(catalog, type_, url):
                continue
            told.add((type_, url))
            yield warning(
                one,
                "canonical",
                f"{type_} {canonical} is not loaded; what asks for it is not checked",
                f"chưa nạp {type_} {canonical}; phần cần đến nó không được kiểm tra",
            )


def _is_there(catalog: Catalog, type_: str, url: str) -> bool:
    if catalog.find(type_, url) is not None:
        return True
    return type_ == "StructureDefinition" and url.removeprefix(_TYPES) in definitions().types


def _named(one: Artifact) -> Iterator[tuple[str, str]]:
    """What the artifact builds on, as types and canonicals. Code systems are left out: of those
    that are not loaded codes are not checked, and the large ones never come with a guide."""
    resource = one.resource()
    if resource.get("derivation") == "constraint":
        if "baseDefinition" in resource:
            yield "StructureDefinition", resource["baseDefinition"]
        for element in resource.get("differential", {}).get("element", ()):
            yield from _of_element(element)
    elif one.type == "ValueSet":
        compose = resource.get("compose", {})
        for include in (*compose.get("include", ()), *compose.get("exclude", ())):
            for canonical in include.get("valueSet", ()):
                yield "ValueSet", canonical


def _of_element(element: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for type_ in element.get("type", ()):
        for canonical in (*type_.get("profile", ()), *type_.get("targetProfile", ())):
            yield "StructureDefinition", canonical.partition("#")[0]
    binding = element.get("binding", {})
    if binding.get("strength") in ("required", "extensible") and "valueSet" in binding:
        yield "ValueSet", binding["valueSet"]
