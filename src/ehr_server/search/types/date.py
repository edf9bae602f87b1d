"""Dates, times and periods, compared as spans of time.

https://hl7.org/fhir/R4/search.html#date. Both the searched value and that of the resource cover a
span, [lo, hi): `2024` is the whole year, a period without an end lasts for ever. The main date of
a type lies in the columns `d1` and `d1e`, `_lastUpdated` in `at`, all others in side rows.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from ehr_server.clock import now
from ehr_server.fhir.dates import EARLIEST, LATEST, Span, period, span
from ehr_server.hashing import hash64
from ehr_server.search.escapes import unescape
from ehr_server.search.malformed import Malformed
from ehr_server.search.parameters import Parameter, Source
from ehr_server.search.prefixes import Prefix, cut
from ehr_server.search.rows import Rows
from ehr_server.search.rules import Rules
from ehr_server.search.sql import Sql, all_of, any_of, beside

# What is redundant is there to bound the range that is read from an index; the second part names
# the values of the %s in turn.
_CONDITIONS: dict[Prefix, tuple[str, str]] = {
    "eq": ("({lo} >= %s and {lo} < %s and {hi} <= %s)", "lo hi hi"),
    "ne": ("({lo} < %s or {hi} > %s)", "lo hi"),
    "gt": ("{hi} > %s", "hi"),
    "lt": ("{lo} < %s", "lo"),
    "ge": ("({hi} > %s or ({lo} >= %s and {hi} <= %s))", "hi lo hi"),
    "le": ("({lo} < %s and ({lo} < %s or {hi} <= %s))", "hi lo hi"),
    "sa": ("{lo} >= %s", "hi"),
    "eb": ("({lo} < %s and {hi} <= %s)", "lo lo"),
    "ap": ("({lo} < %s and {hi} > %s)", "hi lo"),
}
_INSTANT: dict[Prefix, tuple[str, str]] = {  # a point in time, as the server's own are
    "eq": ("({lo} >= %s and {lo} < %s)", "lo hi"),
    "ne": ("({lo} < %s or {lo} >= %s)", "lo hi"),
    "gt": ("{lo} >= %s", "hi"),
    "lt": ("{lo} < %s", "lo"),
    "ge": ("{lo} >= %s", "lo"),
    "le": ("{lo} < %s", "hi"),
    "sa": ("{lo} >= %s", "hi"),
    "eb": ("{lo} < %s", "lo"),
    "ap": ("({lo} >= %s and {lo} < %s)", "lo hi"),
}

# A main date longer than this is marked in the array, so that a search for all since some day can
# read the index from LONG before that day, and look up the few that began earlier.
LONG = timedelta(days=31)


@dataclass(frozen=True, slots=True)
class When:
    """A comparison with the span [lo, hi)."""

    prefix: Prefix
    lo: datetime
    hi: datetime


def extract(
    type_name: str, parameter: Parameter, rules: Rules
) -> Callable[[Any, Rows], None] | None:
    """Dates of any precision, periods, and timings from their first moment to their last."""
    zone = rules.zone
    if type_name in ("date", "dateTime", "instant"):
        return _adder(parameter, lambda value: span(value, zone))
    if type_name == "Period":
        return _adder(parameter, lambda value: period(value.get("start"), value.get("end"), zone))
    if type_name == "Timing":
        return _adder(parameter, lambda value: _of_timing(value, rules))
    return None


def parse(text: str, source: Source, rules: Rules) -> When:  # noqa: ARG001
    """A prefix and a date; `ap` reaches a tenth of the time from then to now further."""
    prefix, rest = cut(unescape(text))
    try:  # in an address the plus of a time zone is a space unless the sender escaped it
        lo, hi = span(rest.replace(" ", "+"), rules.zone)
    except ValueError as error:
        raise Malformed(_reason(error), "không phải ngày hợp lệ") from None
    if prefix == "ap":
        room = abs(now() - lo) / 10
        lo = EARLIEST + max(lo - EARLIEST - room, timedelta(0))
        hi = LATEST - max(LATEST - hi - room, timedelta(0))
    return When(prefix, lo, hi)


def where(terms: Sequence[When], parameter: Parameter) -> Sql:
    """One of the comparisons holds for a date of the resource."""
    if parameter.place == "updated":
        return any_of(_compared(_INSTANT, term, "r.at", "") for term in terms)
    if parameter.place == "main":
        dated = any_of(_compared(_CONDITIONS, term, "r.d1", "r.d1e") for term in terms)
        return all_of((Sql("r.d1 >= %s", (EARLIEST,)), dated))
    conditions = any_of(_compared(_CONDITIONS, term, "x.lo", "x.hi") for term in terms)
    return beside("date", parameter.number, conditions)


def long_mark(parameter: Parameter) -> int:
    """The hash in the array of a resource whose main date is longer than `LONG`."""
    return hash64(parameter.name, "long")


def _compared(table: Mapping[Prefix, tuple[str, str]], term: When, lo: str, hi: str) -> Sql:
    text, names = table[term.prefix]
    values = {"lo": term.lo, "hi": term.hi}
    return Sql(text.format(lo=lo, hi=hi), tuple(values[name] for name in names.split()))


def _reason(error: ValueError) -> str:
    text = str(error)
    return text if text.startswith("is ") else f"is not in the calendar: {text}"


def _adder(
    parameter: Parameter, span_of: Callable[[Any], Span | None]
) -> Callable[[Any, Rows], None]:
    number, mark = parameter.number, long_mark(parameter)

    def take_main(value: Any, rows: Rows) -> None:
        if found := span_of(value):
            rows.d1, rows.d1e = found
            if rows.d1e - rows.d1 > LONG:
                rows.toks.append(mark)

    def take(value: Any, rows: Rows) -> None:
        if found := span_of(value):
            rows.dates.append((number, *found))

    return take_main if parameter.place == "main" else take


def _of_timing(timing: dict[str, Any], rules: Rules) -> Span | None:
    spans = [span(event, rules.zone) for event in timing.get("event", ()) if event]
    bounds = timing.get("repeat", {}).get("boundsPeriod")
    if bounds:
        spans.append(period(bounds.get("start"), bounds.get("end"), rules.zone))
    if not spans:
        return None
    return min(lo for lo, _ in spans), max(hi for _, hi in spans)
