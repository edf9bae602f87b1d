"""Elements of values whose type is known only when the expression runs: `children()` and its like.

http://hl7.org/fhirpath/N1/#tree-navigation. What no definition holds is passed over, so that a
resource that breaks them raises nothing here.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from ehr_server.fhirpath.flow import Typed, type_of

if TYPE_CHECKING:
    from ehr_server.definitions import Definitions


def children(definitions: Definitions, value: Typed) -> list[Typed]:
    """The elements of a value, of a primitive its id and extensions."""
    holder, types = _held(definitions, value)
    found: list[Typed] = []
    for key, inner in holder.items():
        if key.startswith("_"):
            if key[1:] not in holder and (type_ := types.get(key[1:])) is not None:
                found += _several(type_, None, inner)
        elif (type_ := types.get(key)) is not None:
            found += _several(type_, inner, holder.get(f"_{key}"))
    return found


def descendants(definitions: Definitions, value: Typed) -> list[Typed]:
    """The elements of a value, theirs, and so on."""
    found: list[Typed] = []
    for child in children(definitions, value):
        found.append(child)
        if child.shadow is not None or isinstance(child.value, dict):
            found += descendants(definitions, child)
    return found


def member(definitions: Definitions, value: Typed, name: str) -> list[Typed]:
    """The values of one element; none if the type has no such element."""
    definition = definitions.types.get(value.type)
    if definition is None or definition.kind == "primitive":
        holder, _ = _held(definitions, value)
        definition = definitions.types["Element"]
    else:
        holder = value.value
    element = definition.elements.get(name)
    found: list[Typed] = []
    if element is None or not isinstance(holder, dict):
        return found
    for key, type_ in element.json_names():
        inner, shadow = holder.get(key), holder.get(f"_{key}")
        if inner is not None or shadow is not None:
            found += _several(type_, inner, shadow)
    return found


@cache
def element_names(definitions: Definitions) -> frozenset[str]:
    """The names of the elements of all types."""
    return frozenset(name for type_ in definitions.types.values() for name in type_.elements)


def _held(definitions: Definitions, value: Typed) -> tuple[Mapping[str, Any], Mapping[str, str]]:
    """Where the elements of a value lie, and the type of each key there."""
    if isinstance(value.value, dict):
        return value.value, _types(definitions, value.type)
    if isinstance(value.shadow, dict):
        return value.shadow, _types(definitions, "Element")
    return {}, {}


@cache
def _types(definitions: Definitions, type_name: str) -> Mapping[str, str]:
    definition = definitions.types.get(type_name)
    if definition is None:
        return {}
    return {
        key: type_
        for element in definition.elements.values()
        for key, type_ in element.json_names()
    }


def _several(type_: str, value: Any, shadow: Any) -> list[Typed]:
    """The values of one key, with what stands beside each of them."""
    if not isinstance(value, list) and not isinstance(shadow, list):
        return [Typed(type_of(type_, value), value, shadow)]
    values = value if isinstance(value, list) else []
    shadows = shadow if isinstance(shadow, list) else []
    count = max(len(values), len(shadows))
    pairs = (
        (values[n] if n < len(values) else None, shadows[n] if n < len(shadows) else None)
        for n in range(count)
    )
    return [
        Typed(type_of(type_, one), one, beside)
        for one, beside in pairs
        if one is not None or beside is not None
    ]
