"""Dates of partial precision as spans of time: `2024-05` is all of May, in the zone it is said in.

https://hl7.org/fhir/R4/datatypes.html#dateTime. A span is half-open, `[lo, hi)`, in UTC, and as
long as the precision of the text: a year, a month, a day, a minute, a second or a part of it.
No span is empty, at the ends of the calendar neither: what is said there is found there.
"""

import re
from datetime import UTC, date, datetime, timedelta, tzinfo
from functools import lru_cache

Span = tuple[datetime, datetime]

EARLIEST = datetime(1, 1, 2, tzinfo=UTC)  # the start of what has no start
LATEST = datetime(9999, 12, 31, tzinfo=UTC)  # the end of what has no end

_SHAPE = re.compile(
    r"[0-9]{4}(?P<month>-[0-9]{2})?(?(month)(?P<day>-[0-9]{2})?)"
    r"(?(day)(?P<time>T[0-9]{2}:[0-9]{2})?)"
    r"(?(time)(?P<second>:[0-9]{2})?)(?(second)(?P<fraction>\.[0-9]+)?)"
    r"(?(time)(?P<zone>Z|[+-](?:0[0-9]|1[0-4]):[0-5][0-9])?)"
)
_MINUTE, _SECOND, _DAY = timedelta(minutes=1), timedelta(seconds=1), timedelta(days=1)
_TICK = timedelta(microseconds=1)


def span(text: str, zone: tzinfo) -> Span:
    """The time that a FHIR date, dateTime or instant covers; `zone` is for those that name none.

    Minutes without seconds and times without a zone are read too, since searches may hold them.
    Raises `ValueError` for what is no date: 30 February, month 13, 24 hours.
    """
    return _cached(text, zone) if len(text) < _CACHED_MAX else _span(text, zone)


def _span(text: str, zone: tzinfo) -> Span:
    shape = _SHAPE.fullmatch(text)
    if shape is None:
        raise ValueError("is not a date such as 2024, 2024-05, 2024-05-31 or 2024-05-31T08:00:00Z")
    if shape["time"] is None:
        return _days(text, shape, zone)
    if shape["second"] == ":60":  # a leap second is found with the second before it
        text = f"{text[:17]}59{text[19:]}"
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=zone)
    lo = _utc(moment)
    return _wide(lo, min(lo + _width(shape), LATEST))


_CACHED_MAX = 40  # characters; a second has as many digits as its sender likes
_cached = lru_cache(maxsize=8192)(_span)


def period(start: str | None, end: str | None, zone: tzinfo) -> Span:
    """The time a Period covers: an open side reaches to `EARLIEST` or `LATEST`; of one that ends
    before it starts, its start."""
    lo = EARLIEST if start is None else span(start, zone)[0]
    hi = LATEST if end is None else span(end, zone)[1]
    return _wide(lo, hi)


def _days(text: str, shape: re.Match[str], zone: tzinfo) -> Span:
    year, month = int(text[:4]), int(text[5:7]) if shape["month"] else 1
    if shape["day"] is not None:
        first = datetime(year, month, int(text[8:10]), tzinfo=zone)
        return _wide(_utc(first), _utc(first + _DAY) if first.date() < date.max else LATEST)
    first = datetime(year, month, 1, tzinfo=zone)
    if shape["month"] is None or month == 12:
        end = _utc(datetime(year + 1, 1, 1, tzinfo=zone)) if year < 9999 else LATEST
    else:
        end = _utc(datetime(year, month + 1, 1, tzinfo=zone))
    return _wide(_utc(first), end)


def _wide(lo: datetime, hi: datetime) -> Span:
    return lo, max(hi, lo + _TICK)


def _width(shape: re.Match[str]) -> timedelta:
    if shape["second"] is None:
        return _MINUTE
    if shape["fraction"] is None:
        return _SECOND
    digits = min(len(shape["fraction"]) - 1, 6)
    return timedelta(microseconds=10 ** (6 - digits))


def _utc(moment: datetime) -> datetime:
    """The moment in UTC, kept between `EARLIEST` and `LATEST`."""
    try:
        return min(max(moment.astimezone(UTC), EARLIEST), LATEST)
    except OverflowError:
        return EARLIEST if moment.year == 1 else LATEST
