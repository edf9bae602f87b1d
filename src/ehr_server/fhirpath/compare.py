"""What is equal, equivalent, before and after: `=` `~` `<` and their kin, on typed values.

http://hl7.org/fhirpath/N1/#equality, #equivalence and #comparison. An answer of None is empty.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from ehr_server.fhirpath import amounts, moments
from ehr_server.fhirpath.flow import Typed
from ehr_server.fhirpath.system import is_number, kind


def order(first: Typed, second: Typed) -> int | None:
    """-1, 0 or 1; None if the values cannot be compared, or not as precise as they are."""
    one, other = first.value, second.value
    kinds = {kind(first.type), kind(second.type)}
    if is_number(one) and is_number(other):
        return int(one > other) - int(one < other)
    if isinstance(one, dict) or isinstance(other, dict):
        return amounts.compared(*_amounts(first, second))
    if not isinstance(one, str) or not isinstance(other, str):
        return None
    if "moment" in kinds:
        return moments.compared(one, other)
    if kinds == {"time"}:
        return moments.compared_times(one, other)
    return (one > other) - (one < other)


def equal(first: Typed, second: Typed) -> bool | None:
    """`=` of two values."""
    kinds = kind(first.type), kind(second.type)
    if kinds == ("moment", "moment"):
        found = moments.compared(first.value, second.value)
        return None if found is None else found == 0
    if kinds == ("quantity", "quantity") and first.value != second.value:
        found = amounts.compared(first.value, second.value)
        return None if found is None else found == 0
    if "boolean" in kinds and kinds[0] != kinds[1]:
        return False
    return bool(first.value == second.value)


def all_equal(first: Sequence[Typed], second: Sequence[Typed]) -> bool | None:
    """`=` of two collections, neither of them empty: the same values in the same order."""
    if len(first) != len(second):
        return False
    found = [equal(one, other) for one, other in zip(first, second, strict=True)]
    return False if False in found else None if None in found else True


def all_equivalent(first: Sequence[Typed], second: Sequence[Typed]) -> bool:
    """`~` of two collections: the same values in any order; two empty ones are equivalent."""
    if len(first) != len(second):
        return False
    left = list(second)
    for one in first:
        at = next((n for n, other in enumerate(left) if equivalent(one, other)), None)
        if at is None:
            return False
        del left[at]
    return True


def equivalent(first: Typed, second: Typed) -> bool:
    """`~` of two values: texts without case and spaces, codes by system and code."""
    one, other = first.value, second.value
    kinds = {kind(first.type), kind(second.type)}
    if kinds == {"moment"}:
        as_precise = moments.precision(one) == moments.precision(other)
        return as_precise and moments.compared(one, other) == 0
    if kinds == {"quantity"}:
        return amounts.compared(one, other) == 0
    if first.type == second.type == "Coding":
        return _coding(one) == _coding(other)
    if first.type == second.type == "CodeableConcept":
        codings = [_coding(coding) for coding in other.get("coding", ())]
        return any(_coding(coding) in codings for coding in one.get("coding", ())) or (
            not codings and _same(one, other)
        )
    return _same(one, other)


def _amounts(first: Typed, second: Typed) -> tuple[Any, Any]:
    """Both as quantities: a number is one of the unit 1."""
    return tuple(  # type: ignore[return-value]
        amounts.quantity(one.value, "1") if is_number(one.value) else one.value
        for one in (first, second)
    )


def _coding(coding: Mapping[str, Any]) -> tuple[Any, Any]:
    return coding.get("system"), coding.get("code")


def _same(one: Any, other: Any) -> bool:
    match one, other:
        case str(), str():
            return one.lower().split() == other.lower().split()
        case bool(), _:
            return one is other
        case int() | Decimal(), int() | Decimal():
            return _rounded(one, other)
        case dict(), dict():
            one, other = ({k: v for k, v in d.items() if k != "id"} for d in (one, other))
            return one.keys() == other.keys() and all(_same(one[key], other[key]) for key in one)
        case list(), list():
            typed = ([Typed("", value) for value in values] for values in (one, other))
            return all_equivalent(*typed)
        case _:
            return bool(one == other)


def _rounded(one: int | Decimal, other: int | Decimal) -> bool:
    """Equal, when both are rounded to the places of the less precise."""
    first, second = Decimal(one), Decimal(other)
    try:
        places = max(int(first.as_tuple().exponent), int(second.as_tuple().exponent))
        return round(first, -places) == round(second, -places)
    except (ArithmeticError, ValueError):
        return first == second
