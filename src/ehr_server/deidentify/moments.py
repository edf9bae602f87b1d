"""Dates that are moved, or cut to their year.

https://hl7.org/fhir/R4/datatypes.html#dateTime. Moved by whole days, so that the time between two
of a person's full dates stays what it was. A month or a year alone is moved as its first day is,
at the end of a Period as its last day, so that no Period ends before it begins.
"""

from datetime import date, timedelta

_YEAR, _MONTH, _DAY = 4, 7, 10  # characters of a date of that precision
_NEXT_MONTH = timedelta(days=32)  # from the first of a month into the next


def moved(text: str, by: timedelta) -> str | None:
    """The date, dateTime or instant that is `by` later; None beyond the ends of the calendar."""
    try:
        if len(text) >= _DAY:
            return (date.fromisoformat(text[:_DAY]) + by).isoformat() + text[_DAY:]
        return (_first(text) + by).isoformat()[: len(text)]
    except (ValueError, OverflowError):
        return None


def moved_day(text: str, by: timedelta) -> str | None:
    """As `moved`, without the time of day."""
    return moved(text[:_DAY], by)


def moved_end(text: str, by: timedelta) -> str | None:
    """As `moved`, of the end of a Period."""
    if len(text) >= _DAY:
        return moved(text, by)
    try:
        return (_last(text) + by).isoformat()[: len(text)]
    except (ValueError, OverflowError):
        return None


def moved_end_day(text: str, by: timedelta) -> str | None:
    """As `moved_end`, without the time of day."""
    return moved_end(text[:_DAY], by)


def start_of_year(text: str) -> str:
    """What is left of an instant, which cannot be less precise than a second."""
    return text[:_YEAR] + "-01-01T00:00:00Z"


def midnight(text: str, by: timedelta) -> str | None:
    """An instant that is moved, without its time of day."""
    found = moved(text[:_DAY], by)
    return None if found is None else found + "T00:00:00Z"


def _first(text: str) -> date:
    return date(int(text[:4]), int(text[5:7]) if len(text) == _MONTH else 1, 1)


def _last(text: str) -> date:
    first = _first(text)
    if len(text) == _YEAR:
        return date(first.year, 12, 31)
    return (first + _NEXT_MONTH).replace(day=1) - timedelta(days=1)
