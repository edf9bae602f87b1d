"""Dates and times that may be partial: which is the earlier, and what a duration adds to one.

http://hl7.org/fhirpath/N1/#comparison and http://hl7.org/fhirpath/N1/#datetime-arithmetic.
"""

from __future__ import annotations

import re
from calendar import monthrange
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

_MOMENT = re.compile(
    r"(\d{4})(?:-(\d\d)(?:-(\d\d)(?:T(?:(\d\d)(?::(\d\d)(?::(\d\d(?:\.\d+)?))?)?)?"
    r"(Z|[+-]\d\d:\d\d)?)?)?)?",
    re.ASCII,
)
_TIME = re.compile(r"(\d\d)(?::(\d\d)(?::(\d\d(?:\.\d+)?))?)?", re.ASCII)
_LENGTHS = {"wk": 604_800, "d": 86_400, "h": 3_600, "min": 60, "s": 1}  # in seconds
_DAY_S = 86_400
_MOST_S = 10_000 * 366 * _DAY_S
# A day without a zone begins up to 14 hours before that of UTC, and ends up to 12 after it.
_EARLIEST_S, _LATEST_S = 14 * 3_600, 12 * 3_600


@dataclass(frozen=True, slots=True)
class Span:
    """The time that a date, perhaps a partial one, covers; in seconds, `end` not within it."""

    start: Decimal
    end: Decimal
    is_zoned: bool


def compared(first: str, second: str) -> int | None:
    """-1, 0 or 1 as the first moment is before, at or after the second; None if unknown.

    Unknown where the one is less precise than the other and covers it, or where only one has a
    zone and the zone decides.
    """
    one, other = _span(first), _span(second)
    if one is None or other is None:
        return None
    if one.is_zoned is not other.is_zoned:
        one, other = _anywhere(one), _anywhere(other)
    elif one == other:
        return 0
    if _is_before(one, other):
        return -1
    return 1 if _is_before(other, one) else None


def compared_times(first: str, second: str) -> int | None:
    """`compared`, of times of day."""
    return compared(f"2000-01-01T{first}", f"2000-01-01T{second}")


def precision(text: str) -> int:
    """How many parts are given, from the year to the second; 0 if it is no date."""
    match = _MOMENT.fullmatch(text)
    return sum(part is not None for part in match.groups()[:6]) if match else 0


def is_moment(text: str) -> bool:
    """Whether the text is a date or dateTime, whole or partial."""
    return _span(text) is not None


def is_time(text: str) -> bool:
    """Whether the text is a time of day."""
    return _TIME.fullmatch(text) is not None


def moved(text: str, amount: Decimal, unit: str) -> str | None:
    """The moment later by an amount of a unit (UCUM: a mo wk d h min s), as precise as it was.

    What is finer than the moment is cut, and of months and years fractions are. None where the
    result is no date.
    """
    match = _MOMENT.fullmatch(text)
    if match is None or _span(text) is None:
        return None
    year, month, day = match.groups()[:3]
    if unit not in ("a", "mo") and day is not None:
        return _moved_seconds(match, int(amount * _LENGTHS[unit]) if unit in _LENGTHS else None)
    months = _months(amount, unit)
    if months is None:
        return None
    if month is None:
        months = int(months / 12) * 12
    whole, rest = divmod(int(year) * 12 + int(month or 1) - 1 + months, 12)
    if not 1 <= whole <= 9999:
        return None
    found = f"{whole:04}" + (f"-{rest + 1:02}" if month else "")
    if day is not None:
        found += f"-{min(int(day), monthrange(whole, rest + 1)[1]):02}"
    return found + text[len(found) :]


def _moved_seconds(match: re.Match[str], seconds: int | None) -> str | None:
    year, month, day, hour, minute, second, zone = match.groups()
    if seconds is None or abs(seconds) > _MOST_S:
        return None
    days = date(int(year), int(month), int(day)).toordinal()
    if hour is None:
        return _day(days + int(seconds / _DAY_S)) or None
    total = int(hour) * 3_600 + int(minute or 0) * 60 + int((second or "0")[:2]) + seconds
    more, rest = divmod(total, _DAY_S)
    parts = [f"{rest // 3_600:02}"]
    if minute is not None:
        parts.append(f"{rest // 60 % 60:02}")
    if second is not None:
        parts.append(f"{rest % 60:02}{second[2:]}")
    found = _day(days + more)
    return f"{found}T{':'.join(parts)}{zone or ''}" if found else None


def _day(ordinal: int) -> str:
    try:
        return date.fromordinal(ordinal).isoformat()
    except (ValueError, OverflowError):
        return ""


def _months(amount: Decimal, unit: str) -> int | None:
    if unit == "a":
        return int(amount) * 12
    if unit == "mo":
        return int(amount)
    days = amount * _LENGTHS.get(unit, 0) / _DAY_S  # a month counts as 30 days here
    return int(days / 30) if unit in _LENGTHS else None


def _span(text: str) -> Span | None:
    match = _MOMENT.fullmatch(text)
    if match is None:
        return None
    year, month, day, hour, minute, second, zone = match.groups()
    try:
        first = date(int(year), int(month or 1), int(day or 1)).toordinal()
        if month is None:
            last = date(int(year), 12, 31).toordinal() + 1
        else:
            last = first + (monthrange(int(year), int(month))[1] if day is None else 1)
    except ValueError:
        return None
    if hour is None:
        return Span(Decimal(first * _DAY_S), Decimal(last * _DAY_S), False)
    clock = Decimal(int(hour) * 3_600 + int(minute or 0) * 60) + Decimal(second or 0)
    start = first * _DAY_S + clock - _offset(zone)
    length = 0 if second else 60 if minute else 3_600
    return Span(start, start + length, zone is not None)


def _is_before(one: Span, other: Span) -> bool:
    has_length = one.end > one.start
    return one.end < other.start or (one.end == other.start and has_length)


def _offset(zone: str | None) -> int:
    if zone is None or zone == "Z":
        return 0
    seconds = int(zone[1:3]) * 3_600 + int(zone[4:6]) * 60
    return -seconds if zone[0] == "-" else seconds


def _anywhere(span: Span) -> Span:
    """The span in whatever zone its day may be."""
    if span.is_zoned:
        return span
    return Span(span.start - _EARLIEST_S, span.end + _LATEST_S, False)
