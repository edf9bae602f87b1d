"""Contained resources and the `#id` that leads to them.

https://hl7.org/fhir/R4/references.html#contained: each is referred to from the resource that
holds it, or refers to it with `#` (dom-3); each `#id` of a Reference leads to one (ref-1); no two
have the same id.
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
    """The places of Reference.reference, such as `.subject.reference`, that lead nowhere."""
    ids = set(_ids(resource))
    used: set[str] = set()
    _add_links(resource, used)
    if used <= {"#", *(f"#{id_}" for id_ in ids)}:
        return []
    return [
        place
        for place, name, text in _strings(resource, "")
        if name == "reference" and text[:1] == "#" and text != "#" and text[1:] not in ids
    ]


def orphans(resource: dict[str, Any]) -> list[int]:
    """The positions of the contained resources that have no link to or from them."""
    used: set[str] = set()
    _add_links(resource, used)
    return [
        at
        for at, (one, id_) in enumerate(zip(_contained(resource), _ids(resource), strict=True))
        if f"#{id_}" not in used and all(text != "#" for _, _, text in _strings(one, ""))
    ]


def doubles(resource: dict[str, Any]) -> list[int]:
    """The positions of the contained resources whose id an earlier one has."""
    first: dict[str, int] = {}
    ids = enumerate(_ids(resource))
    return [at for at, id_ in ids if id_ is not None and first.setdefault(id_, at) != at]


def _contained(resource: dict[str, Any]) -> list[dict[str, Any]]:
    several = resource.get("contained")
    return [one for one in several if isinstance(one, dict)] if isinstance(several, list) else []


def _ids(resource: dict[str, Any]) -> list[str | None]:
    """The ids of the contained resources, None where there is none."""
    ids = [one.get("id") for one in _contained(resource)]
    return [id_ if isinstance(id_, str) else None for id_ in ids]


def _add_links(value: dict[str, Any] | list[Any], used: set[str]) -> None:
    """Adds every string that begins with `#`."""
    for child in value.values() if isinstance(value, dict) else value:
        kind = type(child)
        if kind is str:
            if child[:1] == "#":
                used.add(child)
        elif kind is dict or kind is list:
            _add_links(child, used)


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
