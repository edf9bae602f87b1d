"""The elements of a value as a profile sees them: each with its type, its place and its parts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from ehr_server.definitions import PRIMITIVES

if TYPE_CHECKING:
    from ehr_server.definitions import Element


class Item(NamedTuple):
    """A value of an element; None where a primitive has only a `_name`.

    `type` is what it really is: of a choice the type chosen, of a resource its own. `at` is its
    position in a list. `parts` is what its elements are read from: of a primitive the `_name`.
    """

    value: Any
    type: str
    at: int | None
    parts: dict[str, Any]


Read = Callable[[dict[str, Any]], Sequence[Item]]
_NOTHING: dict[str, Any] = {}


def reader(element: Element) -> Read:
    """A function from the JSON object that holds the element to its values.

    What is not of the element's JSON form at all is passed over: the standard's own check says so.
    """
    names = tuple(element.json_names())
    if element.is_list:
        return _list(*names[0])
    if len(names) == 1:
        return _one(*names[0])
    by_name = {name: _one(name, of) for name, of in names}
    by_name |= {f"_{name}": by_name[name] for name, of in names if of in PRIMITIVES}

    def read(holder: dict[str, Any]) -> Sequence[Item]:
        for name in holder:  # few, where a choice has up to fifty names
            one = by_name.get(name)
            if one is not None and (found := one(holder)):
                return found
        return ()

    return read


def _one(name: str, type_name: str) -> Read:
    if type_name not in PRIMITIVES:
        of = _typed(type_name)

        def read(holder: dict[str, Any]) -> Sequence[Item]:
            value = holder.get(name)
            return (Item(value, of(value), None, value),) if isinstance(value, dict) else ()

        return read
    beside = f"_{name}"

    def read_primitive(holder: dict[str, Any]) -> Sequence[Item]:
        value, sibling = holder.get(name), holder.get(beside)
        if isinstance(value, (dict, list)) or (value is None and not isinstance(sibling, dict)):
            return ()
        parts = sibling if isinstance(sibling, dict) else _NOTHING
        return (Item(value, type_name, None, parts),)

    return read_primitive


def _list(name: str, type_name: str) -> Read:
    if type_name not in PRIMITIVES:
        of = _typed(type_name)

        def read(holder: dict[str, Any]) -> Sequence[Item]:
            values = holder.get(name)
            if not isinstance(values, list):
                return ()
            return [
                Item(value, of(value), at, value)
                for at, value in enumerate(values)
                if isinstance(value, dict)
            ]

        return read
    beside = f"_{name}"

    def read_primitives(holder: dict[str, Any]) -> Sequence[Item]:
        values, siblings = holder.get(name), holder.get(beside)
        if not isinstance(values, list):
            if not isinstance(siblings, list):
                return ()
            values = [None] * len(siblings)
        if not isinstance(siblings, list) or len(siblings) != len(values):
            siblings = [None] * len(values)
        return [
            Item(value, type_name, at, sibling if isinstance(sibling, dict) else _NOTHING)
            for at, (value, sibling) in enumerate(zip(values, siblings, strict=True))
            if not isinstance(value, (dict, list))
        ]

    return read_primitives


def _typed(type_name: str) -> Callable[[Any], str]:
    if type_name != "Resource":
        return lambda value: type_name  # noqa: ARG005
    return lambda value: str(value.get("resourceType")) if isinstance(value, dict) else ""
