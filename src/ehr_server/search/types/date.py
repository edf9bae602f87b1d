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
from ehr_server.search.facts import Facts
from ehr_server.search.malformed import Malformed
from ehr_server.search.parameter import Parameter, Source
from ehr_server.search.prefixes import cut
from ehr_server.search.rows import Rows
from ehr_server.search.rules import Rules
from ehr_server.search.sql import Sql, all_of, any_of, beside

MODIFIERS: frozenset[str] = frozenset()

# What is redundant is there to bound the range that is read from an index; the second part names
# the values of the %s in turn.
_CONDITIONS: dict[str, tuple[str, str]] = {
    "eq": ("({lo} >= %s and {lo} < %s and {hi} <= %s)", "lo hi hi"),
    "ne": ("({lo} < %s or {hi} > %s)", "lo hi"),
    "gt": ("{hi} > %s", "hi"),
    "lt": ("{lo} < %s", "lo"),
    "ge": ("({hi} > %s or ({lo} >= %s and {hi} <= %s))", "hi lo hi"),
    "le": ("({lo} < %s and ({lo} < %s or {hi} <= %s))", "hi lo hi"),
    "sa": ("{lo} >= %s", "hi"),
    "eb": ("({lo} < %s and {hi} <= %s)", "lo lo"),
    "ap": ("({lo} < %s and {hi} > %s)", "hi lo"),
    "po": ("({lo} < %s and {hi} > %s)", "hi lo"),
    "co": ("({lo} <= %s and {hi} >= %s)", "lo hi"),
}
_INSTANT: dict[str, tuple[str, str]] = {  # a point in time, as the server's own are
    "eq": ("({lo} >= %s and {lo} < %s)", "lo hi"),
    "ne": ("({lo} < %s or {lo} >= %s)", "lo hi"),
    "gt": ("{lo} >= %s", "hi"),
    "lt": ("{lo} < %s", "lo"),
    "ge": ("{lo} >= %s", "lo"),
    "le": ("{lo} < %s", "hi"),
    "sa": ("{lo} >= %s", "hi"),
    "eb": ("{lo} < %s", "lo"),
    "ap": ("({lo} >= %s and {lo} < %s)", "lo hi"),
    "po": ("({lo} >= %s and {lo} < %s)", "lo hi"),
    "co": ("({lo} >= %s and {lo} <= %s)", "hi lo"),
}

# A main date longer than this is marked in the array, so that a search for all since some day can
# read the index from LONG before that day, and look up the few that began earlier.
LONG = timedelta(days=31)


@dataclass(frozen=True, slots=True)
class When:
    """A comparison with the span [lo, hi). Beyond the prefixes: `po` shares a moment with it, `co`
    spans it, as `_filter` may ask."""

    prefix: str
    lo: datetime
    hi: datetime


def extract(
    type_name: str, parameter: Parameter, rules: Rules
) -> Callable[[Any, Rows], None] | None:
    """Dates of any precision, periods, and timings from their first moment to their last."""
    span_of = _span_of(type_name, rules)
    return _adder(parameter, span_of) if span_of else None


def parse(text: str, source: Source, rules: Rules, modifier: str = "") -> When:
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
    return When(modifier or prefix, lo, hi)


def where(terms: Sequence[When], parameter: Parameter, row: str, facts: Facts) -> Sql:
    """One of the comparisons holds for a date of the resource."""
    if parameter.place == "updated":
        return any_of(_compared(_INSTANT, term, f"{row}.at", "") for term in terms)
    if parameter.place == "main":
        dated = any_of(_compared(_CONDITIONS, term, f"{row}.d1", f"{row}.d1e") for term in terms)
        return all_of((Sql(f"{row}.d1 >= %s", (EARLIEST,)), dated))
    conditions = any_of(_compared(_CONDITIONS, term, "x.lo", "x.hi") for term in terms)
    return beside(row, "date", parameter.number, conditions)


def matches(term: When, type_name: str, value: Any, parameter: Parameter, rules: Rules) -> bool:
    """Whether the comparison holds for a value of the FHIR type."""
    span_of = _span_of(type_name, rules)
    found = span_of(value) if span_of else None
    if found is None:
        return False
    lo, hi = found
    if parameter.place == "updated":  # a point in time: the shortest span there is
        hi = lo + timedelta.resolution
    is_within = term.lo <= lo and hi <= term.hi
    reaches_above = hi > term.hi
    shares = lo < term.hi and hi > term.lo
    return {
        "eq": is_within,
        "ne": not is_within,
        "gt": reaches_above,
        "lt": lo < term.lo,
        "ge": reaches_above or is_within,
        "le": lo < term.lo or is_within,
        "sa": lo >= term.hi,
        "eb": hi <= term.lo,
        "ap": shares,
        "po": shares,
        "co": lo <= term.lo and hi >= term.hi,
    }[term.prefix]


def long_mark(parameter: Parameter) -> int:
    """The hash in the array of a resource whose main date is longer than `LONG`."""
    return hash64(parameter.name, "long")


def _compared(table: Mapping[str, tuple[str, str]], term: When, lo: str, hi: str) -> Sql:
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


def _span_of(type_name: str, rules: Rules) -> Callable[[Any], Span | None] | None:
    """What makes a value of the FHIR type a span; None if the type is no date."""
    zone = rules.zone
    if type_name in ("date", "dateTime", "instant"):
        return lambda value: span(value, zone)
    if type_name == "Period":
        return lambda value: period(value.get("start"), value.get("end"), zone)
    return (lambda value: _of_timing(value, rules)) if type_name == "Timing" else None


def _of_timing(timing: dict[str, Any], rules: Rules) -> Span | None:
    spans = [span(event, rules.zone) for event in timing.get("event", ()) if event]
    bounds = timing.get("repeat", {}).get("boundsPeriod")
    if bounds:
        spans.append(period(bounds.get("start"), bounds.get("end"), rules.zone))
    if not spans:
        return None
    return min(lo for lo, _ in spans), max(hi for _, hi in spans)
