"""Numbers, with the precision they are written in: `100` is from 99.5 to 100.5.

https://hl7.org/fhir/R4/search.html#number. They lie among the quantities, without a unit.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from math import inf
from typing import Any

from ehr_server.search.escapes import unescape
from ehr_server.search.facts import Facts
from ehr_server.search.malformed import Malformed
from ehr_server.search.parameter import Parameter, Source
from ehr_server.search.prefixes import Prefix, cut
from ehr_server.search.rows import Rows
from ehr_server.search.rules import Rules
from ehr_server.search.sql import Sql, any_of, beside

MODIFIERS: frozenset[str] = frozenset()

_SHAPE = re.compile(r"[+-]?[0-9]{1,40}(\.[0-9]{1,40})?([eE][+-]?[0-9]{1,2})?")

# A prefix that compares takes the number as exact; the second part names the values of the %s.
_CONDITIONS: dict[Prefix, tuple[str, str]] = {
    "eq": ("({column} >= %s and {column} < %s)", "lo hi"),
    "ne": ("({column} < %s or {column} >= %s)", "lo hi"),
    "gt": ("{column} > %s", "value"),
    "lt": ("{column} < %s", "value"),
    "ge": ("{column} >= %s", "value"),
    "le": ("{column} <= %s", "value"),
    "sa": ("{column} > %s", "value"),
    "eb": ("{column} < %s", "value"),
    "ap": ("({column} >= %s and {column} <= %s)", "lo hi"),
}


@dataclass(frozen=True, slots=True)
class Amount:
    """A comparison with a number; [lo, hi) is what it stands for at its precision."""

    prefix: Prefix
    value: Decimal
    lo: Decimal
    hi: Decimal


def extract(
    type_name: str,
    parameter: Parameter,
    rules: Rules,
) -> Callable[[Any, Rows], None] | None:
    """Whole numbers and decimals; both ends of a range."""
    number = parameter.number
    if type_name == "Range":
        return lambda value, rows: rows.quantities.extend(
            (number, as_float(one), 0, 0, 0) for one in _numbers(type_name, value)
        )
    if type_name[0].islower():
        return lambda value, rows: rows.quantities.append((number, as_float(value), 0, 0, 0))
    return None


def parse(text: str, source: Source, rules: Rules, modifier: str = "") -> Amount:
    """A prefix and a number."""
    return amount(unescape(text))


def where(terms: Sequence[Amount], parameter: Parameter, row: str, facts: Facts) -> Sql:
    """One of the comparisons holds for a number of the resource."""
    met = any_of(compared(term, "x.value") for term in terms)
    return beside(row, "quantity", parameter.number, met)


def matches(term: Amount, type_name: str, value: Any, parameter: Parameter, rules: Rules) -> bool:
    """Whether the comparison holds for a value of the FHIR type."""
    return any(holds(term, one) for one in _numbers(type_name, value))


def amount(text: str) -> Amount:
    """The comparison that a text without unit says, such as `gt5.40`. Raises `Malformed`."""
    prefix, rest = cut(text)
    if not _SHAPE.fullmatch(rest):
        raise Malformed("is not a number such as 5.4, gt100 or 1e-3", "không phải số hợp lệ")
    exact = Decimal(rest)
    half = _unit(exact) / 2
    if prefix == "ap":
        half = max(abs(exact) / 10, half)
    return Amount(prefix, exact, exact - half, exact + half)


def as_float(number: Decimal | int) -> float:
    """The number as the index holds it; one beyond all floats is infinite."""
    try:
        return float(number)
    except OverflowError:
        return inf if number > 0 else -inf


def compared(term: Amount, column: str) -> Sql:
    """The comparison with a column of numbers."""
    text, names = _CONDITIONS[term.prefix]
    values = {"value": term.value, "lo": term.lo, "hi": term.hi}
    return Sql(text.format(column=column), tuple(as_float(values[name]) for name in names.split()))


def holds(term: Amount, number: Decimal | int) -> bool:
    """The comparison with a number in memory, as exact as the index is."""
    own, value, lo, hi = map(as_float, (number, term.value, term.lo, term.hi))
    return {
        "eq": lo <= own < hi,
        "ne": own < lo or own >= hi,
        "gt": own > value,
        "lt": own < value,
        "ge": own >= value,
        "le": own <= value,
        "sa": own > value,
        "eb": own < value,
        "ap": lo <= own <= hi,
    }[term.prefix]


def _numbers(type_name: str, value: Any) -> list[Decimal | int]:
    if type_name == "Range":
        ends = (value.get("low", {}), value.get("high", {}))
        return [end["value"] for end in ends if "value" in end]
    return [value] if type_name[0].islower() else []


def _unit(exact: Decimal) -> Decimal:
    """One in the last place. The standard takes `1e2` as 95 to 105: a digit more than written."""
    exponent = int(exact.as_tuple().exponent)
    return Decimal(1).scaleb(exponent if exponent <= 0 else exponent - 1)
