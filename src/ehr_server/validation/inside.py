"""The resources in what is sent: each is checked for itself.

https://hl7.org/fhir/R4/references.html#contained, https://hl7.org/fhir/R4/bundle.html,
https://hl7.org/fhir/R4/parameters.html.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from ehr_server.definitions import definitions
from ehr_server.validation.profiles.around import Around, of_bundle
from ehr_server.validation.profiles.decisions import Decisions

Resource = dict[str, Any]

_HOLDERS = ("Bundle", "Parameters")


class Inside(NamedTuple):
    """A resource that is checked for itself: the one given, an entry's, or a contained one."""

    resource: Resource
    place: str  # "" of the one given
    around: Around
    decided: Decisions  # of the resources around, once for all that stand there
    outer: Resource  # what `#id` is looked up in


def resources(resource: Resource, around: Around) -> Iterable[Inside]:
    """The resource, and those in it, at any depth, with where they stand."""
    if "contained" not in resource and resource.get("resourceType") not in _HOLDERS:
        return (Inside(resource, "", around, Decisions(), resource),)  # nearly always
    return _resources(resource, "", around, Decisions())


def _resources(
    resource: Resource, place: str, around: Around, decided: Decisions
) -> Iterator[Inside]:
    name = str(resource.get("resourceType"))
    if name == "Bundle":
        around, decided = of_bundle(resource), Decisions()
    yield Inside(resource, place, around, decided, resource)
    here = place or name
    contained = resource.get("contained")
    for at, one in enumerate(contained if isinstance(contained, list) else ()):
        if is_resource(one):
            yield Inside(one, f"{here}.contained[{at}]", around, decided, resource)
    if name == "Bundle":
        entries = resource.get("entry")
        for at, entry in enumerate(entries if isinstance(entries, list) else ()):
            if isinstance(entry, dict) and is_resource(entry.get("resource")):
                place = f"{here}.entry[{at}].resource"
                yield from _resources(entry["resource"], place, around, decided)
    elif name == "Parameters":
        yield from _parameters(resource, here, around, decided)


def _parameters(holder: Any, place: str, around: Around, decided: Decisions) -> Iterator[Inside]:
    for name in ("parameter", "part"):
        several = holder.get(name)
        for at, one in enumerate(several if isinstance(several, list) else ()):
            if isinstance(one, dict):
                here = f"{place}.{name}[{at}]"
                if is_resource(one.get("resource")):
                    yield from _resources(one["resource"], f"{here}.resource", around, decided)
                yield from _parameters(one, here, around, decided)


def is_resource(value: Any) -> bool:
    """Whether it is a resource of a type that there is."""
    name = value.get("resourceType") if isinstance(value, dict) else None
    return isinstance(name, str) and name in definitions().type_number
