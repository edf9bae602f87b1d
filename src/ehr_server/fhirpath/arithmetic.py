"""`+ - * / div mod &`, and minus before a value. http://hl7.org/fhirpath/N1/#math

Of numbers, texts, quantities of one unit, and moments with durations. Where there is no answer,
as in a division by zero, it is empty.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from decimal import Decimal, localcontext
from typing import Any

from ehr_server.fhirpath import moments
from ehr_server.fhirpath.amounts import amount_of
from ehr_server.fhirpath.flow import DYNAMIC, Branch, Flow, is_single, single, single_typed
from ehr_server.fhirpath.flow import Typed as _Typed
from ehr_server.fhirpath.system import is_number, kind

Number = int | Decimal


def calculated(sign: str, left: Flow, right: Flow) -> Flow:
    """The flow of `left sign right`."""
    kinds = _kind(left), _kind(right)
    if sign == "&":
        return _joined_texts(left, right)
    if kinds == ("text", "text") and sign == "+":
        return _simple("string", operator.add, left, right)
    if kinds == ("number", "number"):
        return _simple(_type_of_numbers(sign, left, right), _NUMBERS[sign], left, right)
    one, other = single_typed(left), single_typed(right)

    def run(focus: Any, resource: Any) -> _Typed | None:
        value, given = one(focus, resource), other(focus, resource)
        return None if value is None or given is None else _of_typed(sign, value, given)

    return Flow((Branch(DYNAMIC, run),))


def negative(flow: Flow) -> Flow:
    """Minus before a number or a quantity."""
    one = single_typed(flow)

    def run(focus: Any, resource: Any) -> _Typed | None:
        found = one(focus, resource)
        if found is None or is_number(found.value):
            return found and _Typed(found.type, -found.value)
        if amount_of(found.value) is None:
            return None
        return _Typed(found.type, {**found.value, "value": -found.value["value"]})

    return Flow((Branch(DYNAMIC, run),))


def _of_typed(sign: str, first: _Typed, second: _Typed) -> _Typed | None:
    one, other = first.value, second.value
    if is_number(one) and is_number(other):
        found = _NUMBERS[sign](one, other)
        type_ = "integer" if isinstance(found, int) else "decimal"
        return None if found is None else _Typed(type_, found)
    if isinstance(one, str) and isinstance(other, str):
        return _Typed("string", one + other) if sign == "+" else None
    if isinstance(one, str) and isinstance(other, dict) and sign in "+-":
        moment = _moved(one, other, sign)
        return None if moment is None else _Typed(first.type, moment)
    if isinstance(one, dict):
        return _of_amounts(sign, first, other)
    return None


def _moved(text: str, duration: dict[str, Any], sign: str) -> str | None:
    amount = duration.get("value")
    if not is_number(amount) or abs(Decimal(amount)) > 10**9:  # type: ignore[arg-type]
        return None
    length = Decimal(amount)  # type: ignore[arg-type]
    return moments.moved(text, -length if sign == "-" else length, duration.get("code", ""))


def _of_amounts(sign: str, first: _Typed, other: Any) -> _Typed | None:
    """A quantity with one of the same unit, or times or by a number."""
    one = first.value
    if is_number(other) and sign in "*/" and is_number(one.get("value")):
        number = _NUMBERS[sign](one["value"], other)
    elif sign in "+-" and amount_of(one) and amount_of(other):
        if any(one.get(name) != other.get(name) for name in ("system", "code")):
            return None
        number = _NUMBERS[sign](one["value"], other["value"])
    else:
        return None
    return None if number is None else _Typed(first.type, {**one, "value": number})


def _simple(type_: str, test: Callable[[Any, Any], Any], left: Flow, right: Flow) -> Flow:
    one, other = single(left), single(right)

    def run(focus: Any, resource: Any) -> Any:
        value, given = one(focus, resource), other(focus, resource)
        return None if value is None or given is None else test(value, given)

    return Flow((Branch(type_, run),))


def _joined_texts(left: Flow, right: Flow) -> Flow:
    """`&`: what is empty counts as ''."""
    one, other = single(left), single(right)

    def run(focus: Any, resource: Any) -> str | None:
        value, given = one(focus, resource), other(focus, resource)
        first, second = ("" if text is None else text for text in (value, given))
        return f"{first}{second}" if isinstance(first, str) and isinstance(second, str) else None

    return Flow((Branch("string", run),))


def _kind(flow: Flow) -> str:
    kinds = {kind(branch.type) for branch in flow.branches}
    return kinds.pop() if len(kinds) == 1 and is_single(flow) else ""


def _type_of_numbers(sign: str, left: Flow, right: Flow) -> str:
    branches = (*left.branches, *right.branches)
    has_decimal = any(branch.type == "decimal" for branch in branches)
    return "decimal" if sign == "/" or (has_decimal and sign != "div") else "integer"


def _number(test: Callable[[Decimal, Decimal], Decimal]) -> Callable[[Number, Number], Any]:
    """A function of numbers that is None where there is no answer, a whole number if it can be."""

    def run(one: Number, other: Number) -> Number | None:
        try:
            with localcontext() as context:
                context.prec = 34
                return test(Decimal(one), Decimal(other))
        except ArithmeticError:
            return None

    return run


def _whole_or(test: Callable[[Any, Any], Any]) -> Callable[[Number, Number], Any]:
    of_decimals = _number(test)

    def run(one: Number, other: Number) -> Number | None:
        if isinstance(one, int) and isinstance(other, int):
            return test(one, other)  # type: ignore[no-any-return]
        return of_decimals(one, other)  # type: ignore[no-any-return]

    return run


def _quotient(one: Number, other: Number) -> int | None:
    """Whole, cut towards zero."""
    if not other:
        return None
    found = int(abs(Decimal(one)) // abs(Decimal(other)))
    return found if (one < 0) is (other < 0) else -found


def _remainder(one: Number, other: Number) -> Number | None:
    quotient = _quotient(one, other)
    return None if quotient is None else one - quotient * other


def _or_none(test: Callable[[Number, Number], Any]) -> Callable[[Number, Number], Any]:
    def run(one: Number, other: Number) -> Any:
        try:
            return test(one, other)
        except ArithmeticError:
            return None

    return run


_NUMBERS: dict[str, Callable[[Number, Number], Any]] = {
    "+": _whole_or(operator.add),
    "-": _whole_or(operator.sub),
    "*": _whole_or(operator.mul),
    "/": _number(operator.truediv),
    "div": _or_none(_quotient),
    "mod": _or_none(_remainder),
}
