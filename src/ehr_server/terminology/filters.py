"""Which concepts the filters of a value set select.

https://hl7.org/fhir/R4/valueset.html#compositions, the operators:
https://hl7.org/fhir/R4/valueset-filter-operator.html. A filter on a code or property that the
system does not have is refused: to select nothing would refuse every code of the set.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ehr_server.errors import Unprocessable
from ehr_server.patterns import matcher
from ehr_server.terminology.refusals import NotLoaded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from ehr_server.terminology.concepts import Concepts

_OF_CODES = {"concept", "code"}
_OF_HIERARCHY = {"parent", "child", "ancestor"}


def selected(concepts: Concepts, filters: Iterable[Mapping[str, Any]]) -> set[int]:
    """The positions that all the filters select.

    Raises `Unprocessable` for an operator, property or pattern that cannot be, `NotLoaded` for a
    code that the system does not have.
    """
    chosen: set[int] | None = None
    for one in filters:
        positions = _select(concepts, one)
        chosen = positions if chosen is None else chosen & positions
    return set() if chosen is None else chosen


def _select(concepts: Concepts, one: Mapping[str, Any]) -> set[int]:
    property_, op, value = (str(one.get(key, "")) for key in ("property", "op", "value"))
    make = _OPERATORS.get(op)
    if make is None or not property_:
        raise Unprocessable(
            f"A value set has a filter with the operator {op}, which R4 does not have.",
            vi=f"Một bộ giá trị có bộ lọc với toán tử {op}, R4 không có toán tử này.",
        )
    return make(concepts, property_, value)


def _position(concepts: Concepts, code: str) -> int:
    position = concepts.find(code)
    if position is None:
        raise NotLoaded(
            f"A value set filters by the code {code}, which {concepts.system} as it is loaded"
            " does not have.",
            vi=f"Một bộ giá trị lọc theo mã {code}, không có trong {concepts.system} đã nạp.",
        )
    return position


def _is_a(concepts: Concepts, _: str, value: str) -> set[int]:
    return concepts.below(_position(concepts, value))


def _descendent_of(concepts: Concepts, _: str, value: str) -> set[int]:
    position = _position(concepts, value)
    return concepts.below(position) - {position}


def _is_not_a(concepts: Concepts, _: str, value: str) -> set[int]:
    return set(range(len(concepts.codes))) - concepts.below(_position(concepts, value))


def _generalizes(concepts: Concepts, _: str, value: str) -> set[int]:
    return concepts.above(_position(concepts, value))


def _equal(concepts: Concepts, property_: str, value: str) -> set[int]:
    if property_ in _OF_CODES:
        return {_position(concepts, value)}
    return _having(concepts, property_, lambda text: text == value)


def _in(concepts: Concepts, property_: str, value: str) -> set[int]:
    wanted = {one.strip() for one in value.split(",")}
    if property_ in _OF_CODES:
        return {at for at in map(concepts.find, wanted) if at is not None}
    return _having(concepts, property_, wanted.__contains__)


def _not_in(concepts: Concepts, property_: str, value: str) -> set[int]:
    return set(range(len(concepts.codes))) - _in(concepts, property_, value)


def _regex(concepts: Concepts, property_: str, value: str) -> set[int]:
    try:
        is_match = matcher(f"^(?:{value})$")
    except ValueError:
        raise Unprocessable(
            f"A value set filters by the pattern {value}, which is no regular expression or uses"
            " lookaround or backreferences.",
            vi=f"Một bộ giá trị lọc theo mẫu {value}, không phải biểu thức chính quy hợp lệ.",
        ) from None
    return _having(concepts, property_, is_match)


def _exists(concepts: Concepts, property_: str, value: str) -> set[int]:
    having = _having(concepts, property_, lambda _: True)
    return having if value != "false" else set(range(len(concepts.codes))) - having


def _having(concepts: Concepts, property_: str, is_wanted: Callable[[str], bool]) -> set[int]:
    """The positions of which any value of the property is wanted."""
    return {at for at, text in _values(concepts, property_) if is_wanted(text)}


def _values(concepts: Concepts, property_: str) -> Iterator[tuple[int, str]]:
    codes = concepts.codes
    if property_ in _OF_CODES:
        return ((at, code) for at, code in enumerate(codes))
    if property_ == "display":
        return ((at, display) for at, display in enumerate(concepts.displays) if display)
    if property_ in _OF_HIERARCHY:
        return _relatives(concepts, property_)
    if property_ == "inactive":
        gone = concepts.inactive
        return ((at, "true" if at in gone else "false") for at in range(len(codes)))
    if property_ not in concepts.declared and not any(
        one.code == property_ for several in concepts.properties.values() for one in several
    ):
        raise NotLoaded(
            f"A value set filters by {property_}, which {concepts.system} as it is loaded does"
            " not have.",
            vi=f"Một bộ giá trị lọc theo {property_}, không có trong {concepts.system} đã nạp.",
        )
    return (
        (at, _text(one.value))
        for at, several in concepts.properties.items()
        for one in several
        if one.code == property_
    )


def _relatives(concepts: Concepts, property_: str) -> Iterator[tuple[int, str]]:
    codes = concepts.codes
    if property_ == "child":
        return ((at, codes[one]) for at, several in concepts.children.items() for one in several)
    if property_ == "parent":
        return ((at, codes[one]) for at, several in concepts.parents.items() for one in several)
    return ((at, codes[one]) for at in concepts.parents for one in concepts.above(at) if one != at)


def _text(value: Any) -> str:
    """The value of a property as a filter names it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value.get("code", "")) if isinstance(value, dict) else str(value)


_OPERATORS: dict[str, Callable[[Concepts, str, str], set[int]]] = {
    "=": _equal,
    "is-a": _is_a,
    "descendent-of": _descendent_of,
    "is-not-a": _is_not_a,
    "regex": _regex,
    "in": _in,
    "not-in": _not_in,
    "generalizes": _generalizes,
    "exists": _exists,
}
