"""Contained resources and the `#id` that leads to them.

https://hl7.org/fhir/R4/references.html#contained: each is referred to from the resource that
holds it, or refers to it with `#` (dom-3); each `#id` of a Reference leads to one (ref-1); no two have one id.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator


def are_resolved(resource: dict[str, Any]) -> bool:
    """Whether all that surely holds in a resource that is sound otherwise."""
    used: set[str] = set()
    _add_links(resource, used)
    contained = _contained(resource)
    ids = {f"#{one.get('id')}" for one in contained}
    # What links with `#` alone is left to the second look, as is a `#` that is no reference.
    return used == ids and len(ids) == len(contained)


def dangling(resource: dict[str, Any]) -> list[str]:
    """The places of Reference.reference, such as `subject.reference`, that lead nowhere."""
    ids = {contained.get("id") for contained in _contained(resource)}
    return [
        place
        for place, name, text in _strings(resource, "")
        if name == "reference" and text[:1] == "#" and text != "#" and text[1:] not in ids
    ]


def orphans(resource: dict[str, Any]) -> list[int]:
    """The positions of the contained resources that have no link to or from them."""
    contained = _contained(resource)
    used = {text[1:] for _, _, text in _strings(resource, "") if contained and text[:1] == "#"}
    return [
        at
        for at, one in enumerate(contained)
        if one.get("id") not in used and all(text != "#" for _, _, text in _strings(one, ""))
    ]


def doubles(resource: dict[str, Any]) -> list[int]:
    """The positions of the contained resources whose id an earlier one has."""
    ids = [contained.get("id") for contained in _contained(resource)]
    return [at for at, id_ in enumerate(ids) if id_ is not None and id_ in ids[:at]]


def _contained(resource: dict[str, Any]) -> list[dict[str, Any]]:
    return [one for one in resource.get("contained", ()) if isinstance(one, dict)]


def _add_links(value: dict[str, Any], used: set[str]) -> None:
    """Adds every string that begins with `#`."""
    for child in value.values():
        if type(child) is str:
            if child[:1] == "#":
                used.add(child)
        elif type(child) is dict:
            _add_links(child, used)
        elif type(child) is list:
            for one in child:
                if type(one) is dict:
                    _add_links(one, used)
                elif type(one) is str and one[:1] == "#":
                    used.add(one)


def _strings(value: dict[str, Any], place: str) -> Iterator[tuple[str, str, str]]:
    """All strings of the resource: place, name of the element, text."""
    for name, child in value.items():
        children = enumerate(child) if isinstance(child, list) else ((None, child),)
        for at, one in children:
            here = f"{place}.{name}" if at is None else f"{place}.{name}[{at}]"
            if isinstance(one, str):
                yield here, name, one
            elif isinstance(one, dict):
                yield from _strings(one, here)
