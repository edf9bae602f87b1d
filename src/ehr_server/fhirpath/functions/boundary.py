"""The least and the most that a value of limited precision may stand for.

http://hl7.org/fhirpath/#lowboundaryprecision-integer-decimal--date--datetime--time. `1.0` is
anything from 0.95 to 1.05, `2012-05` any day of May. SQL on FHIR asks for them of Periods too.
"""

from __future__ import annotations

import re
from calendar import monthrange
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from ehr_server.fhirpath.flow import DYNAMIC, Branch, Flow, single, single_typed
from ehr_server.fhirpath.functions.row import Function
from ehr_server.fhirpath.system import is_number, kind

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ehr_server.fhirpath.flow import Run
    from ehr_server.fhirpath.site import Site

_DECIMAL_PLACES, _PLACES_MAX = 8, 28  # what is taken when none are asked for, and the most
_MOMENT = re.compile(
    r"(\d{4})(?:-(\d\d)(?:-(\d\d)(?:T(\d\d)(?::(\d\d)(?::(\d\d)(?:\.(\d{1,3})\d*)?)?)?"
    r"(Z|[+-]\d\d:\d\d)?)?)?)?",
    re.ASCII,
)
_TIME = re.compile(r"(\d\d)(?::(\d\d)(?::(\d\d)(?:\.(\d{1,3})\d*)?)?)?", re.ASCII)
# How many digits are given when a moment is given up to a part, which is how precision is counted.
_MOMENT_DIGITS = (4, 6, 8, 10, 12, 14, 17)
_TIME_DIGITS = (2, 4, 6, 9)
# A day begins first where clocks are furthest ahead, and ends last where they are furthest behind.
_ZONES = {False: "+14:00", True: "-12:00"}


def of_boundary(is_high: bool) -> Function:
    """A row for `lowBoundary()` or `highBoundary()`; empty where the precision cannot be had."""

    def compile_(site: Site) -> Flow:
        given: Run = single(site.argument()) if site.arguments else lambda focus, resource: None  # noqa: ARG005
        branches = [_bounded(branch, given, is_high) for branch in site.source.branches]
        return Flow(tuple(branch for branch in branches if branch is not None))

    return Function(0, 1, compile_)


def decimal_boundary(value: Decimal | int, is_high: bool, precision: int | None) -> Decimal | None:
    """The boundary of a number, with `precision` places after the point."""
    places = _DECIMAL_PLACES if precision is None else precision
    number = Decimal(value)
    exponent = number.as_tuple().exponent
    if not 0 <= places <= _PLACES_MAX or not isinstance(exponent, int):
        return None
    half = Decimal(5).scaleb(min(exponent, 0) - 1)
    edge = number + half if is_high else number - half
    rounding = "ROUND_CEILING" if is_high else "ROUND_FLOOR"
    try:
        return edge.quantize(Decimal(1).scaleb(-places), rounding=rounding)
    except ArithmeticError:
        return None


def date_boundary(text: str, is_high: bool, precision: int | None) -> str | None:
    """The boundary of a date: the day, unless 4 or 6 digits are asked for."""
    return _moment(text, is_high, 8 if precision is None else precision)


def date_time_boundary(text: str, is_high: bool, precision: int | None) -> str | None:
    """The boundary of a dateTime: the millisecond and the zone, unless fewer digits are asked."""
    return _moment(text, is_high, 17 if precision is None else precision)


def time_boundary(text: str, is_high: bool, precision: int | None) -> str | None:
    """The boundary of a time of day, to the millisecond."""
    match = _TIME.fullmatch(text)
    digits = 9 if precision is None else precision
    if match is None or digits not in _TIME_DIGITS:
        return None
    parts = _clock(match.groups(), is_high)
    return _written_clock(parts, _TIME_DIGITS.index(digits) + 1)


def _moment(text: str, is_high: bool, digits: int) -> str | None:
    match = _MOMENT.fullmatch(text)
    if match is None or digits not in _MOMENT_DIGITS:
        return None
    year, month, day, *clock, zone = match.groups()
    month = month or ("12" if is_high else "01")
    if not 1 <= int(month) <= 12 or year == "0000":
        return None
    last = monthrange(int(year), int(month))[1]
    days = [year, month, day or (f"{last:02}" if is_high else "01")]
    count = _MOMENT_DIGITS.index(digits) + 1
    if count <= len(days):
        return "-".join(days[:count])
    written = _written_clock(_clock(clock, is_high), count - len(days))
    return f"{'-'.join(days)}T{written}{zone or _ZONES[is_high]}"


def _clock(given: list[str | None] | tuple[str | None, ...], is_high: bool) -> list[str]:
    """Hour, minute, second and millisecond, with what is not given."""
    others = ("23", "59", "59", "999") if is_high else ("00", "00", "00", "000")
    hour, minute, second = (one or other for one, other in zip(given[:3], others, strict=False))
    thousandth = given[3]
    fraction = thousandth.ljust(3, others[3][0]) if thousandth else others[3]
    return [hour, minute, second, fraction]


def _written_clock(parts: list[str], count: int) -> str:
    text = ":".join(parts[: min(count, 3)])
    return f"{text}.{parts[3]}" if count > 3 else text


def _boundary(type_: str, value: Any, is_high: bool, precision: int | None) -> Any:
    """Of one value of the type; None where it has none."""
    if precision is not None and type(precision) is not int:
        return None
    if is_number(value):
        return decimal_boundary(value, is_high, precision)
    if type_ == "Period" and isinstance(value, dict):
        edge = value.get("end" if is_high else "start")
        return None if edge is None else date_time_boundary(edge, is_high, precision)
    if not isinstance(value, str):
        return None
    if type_ == "date":
        return date_boundary(value, is_high, precision)
    if type_ == "time":
        return time_boundary(value, is_high, precision)
    return date_time_boundary(value, is_high, precision) if kind(type_) == "moment" else None


def _type(type_: str) -> str | None:
    """The type of the boundary of a value of the type; None where it has none."""
    if kind(type_) == "number":
        return "decimal"
    if type_ in ("date", "time"):
        return type_
    return "dateTime" if type_ == "Period" or kind(type_) == "moment" else None


def _bounded(branch: Branch, given: Run, is_high: bool) -> Branch | None:
    type_ = branch.type
    if type_ == DYNAMIC:
        return _bounded_dynamic(branch, given, is_high)
    found = _type(type_)
    if found is None:
        return None
    one = single(Flow((branch,)))

    def run(focus: Any, resource: Any) -> Any:
        value = one(focus, resource)
        return None if value is None else _boundary(type_, value, is_high, given(focus, resource))

    return Branch(found, run, keys=branch.keys)


def _bounded_dynamic(branch: Branch, given: Run, is_high: bool) -> Branch:
    one = single_typed(Flow((branch,)))

    def run(focus: Any, resource: Any) -> Any:
        found = one(focus, resource)
        if found is None or found.value is None:
            return None
        type_ = _type(found.type)
        value = _boundary(found.type, found.value, is_high, given(focus, resource))
        return None if value is None or type_ is None else found._replace(type=type_, value=value)

    return Branch(DYNAMIC, run, keys=branch.keys)


ROWS: Mapping[str, Function] = {
    "highBoundary": of_boundary(True),
    "lowBoundary": of_boundary(False),
}
