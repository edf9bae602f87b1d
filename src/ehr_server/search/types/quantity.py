"""Measured values with a unit: `5.4`, `5.4|http://unitsofmeasure.org|mg`, `5.4||mg`.

https://hl7.org/fhir/R4/search.html#quantity. A value is stored once by the code of its unit; the
printed unit, and a code of another system than UCUM, are further rows where they differ. The main
quantity of a type is the column `q1`, its units are hashes in the array.

A unit of UCUM finds values in all units of its dimension: the comparison is made anew for each of
those that are stored at all, of which a directory knows. So no value is stored twice, and each is
compared as exactly as it was sent.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from ehr_server.hashing import hash64
from ehr_server.search.escapes import split, unescape
from ehr_server.search.facts import UNITS, Facts, Lookup, limited
from ehr_server.search.malformed import Malformed
from ehr_server.search.parameter import Parameter, Source
from ehr_server.search.rows import CACHED_MAX, Rows
from ehr_server.search.rules import Rules
from ehr_server.search.sql import Sql, all_of, any_of, beside, has_any
from ehr_server.search.types.number import Amount, amount, as_float, compared, holds
from ehr_server.terminology.units import converted, unit

MODIFIERS: frozenset[str] = frozenset()

UCUM = "http://unitsofmeasure.org"
CURRENCY = "urn:iso:std:iso:4217"

_QUANTITIES = frozenset(("Quantity", "Age", "Count", "Distance", "Duration", "SimpleQuantity"))


@dataclass(frozen=True, slots=True)
class Measure:
    """A comparison of the value. `system` "" and `code` "": any unit; `system` None: a unit that
    has this code, or is called so."""

    amount: Amount
    system: str | None
    code: str


def extract(
    type_name: str,
    parameter: Parameter,
    rules: Rules,
) -> Callable[[Any, Rows], None] | None:
    """Quantities and money, and both ends of a range."""
    take_one = _main(parameter) if parameter.place == "main" else _side(parameter.number)
    if not is_measured(type_name):
        return None

    def take(value: Any, rows: Rows) -> None:
        for one in measured(type_name, value):
            take_one(one, rows)

    return take


def parse(text: str, source: Source, rules: Rules, modifier: str = "") -> Measure:
    """A prefix and a number, then perhaps the unit as `|system|code` or `||code`."""
    parts = [unescape(part) for part in split(text, "|")]
    if len(parts) not in (1, 3):
        raise Malformed(
            "is neither a number nor number|system|code", "phải là số hoặc số|hệ mã|mã đơn vị"
        )
    found = amount(parts[0])
    if len(parts) == 1 or not (parts[1] or parts[2]):
        return Measure(found, "", "")
    _, system, code = parts
    if not code:
        raise Malformed("has a system of units but no unit", "có hệ đơn vị nhưng thiếu đơn vị")
    if not system and source.parameter.types == {"Money"}:
        system = CURRENCY
    return Measure(found, system or None, code)


def lookups(terms: Sequence[Measure], parameter: Parameter) -> Iterator[Lookup]:
    """The units there are, if one is asked for that others can be converted into."""
    if any(term.system == UCUM and unit(term.code) for term in terms):
        yield Lookup(UNITS, limited("select code from unit", ()))


def where(terms: Sequence[Measure], parameter: Parameter, row: str, facts: Facts) -> Sql:
    """One of the comparisons holds for a quantity of the resource."""
    units = [code for (code,) in facts.get(UNITS, ())]
    if parameter.place == "main":
        asked = [pair for term in terms for pair in _comparisons(term, parameter.name, units)]
        met = any_of(
            all_of(
                (
                    compared(one, f"{row}.q1"),
                    *([has_any(row, hashes)] if hashes else []),
                )
            )
            for one, hashes in asked
        )
        return all_of((*_within([one for one, _ in asked], f"{row}.q1"), met))
    return beside(row, "quantity", parameter.number, side_condition(terms, units))


def side_condition(terms: Sequence[Measure], units: Sequence[str]) -> Sql:
    """On a side row `x`: one of the comparisons holds for it."""
    return any_of(
        all_of(
            (
                compared(one, "x.value"),
                *([Sql("x.unit = any(%s::bigint[])", (list(hashes),))] if hashes else []),
            )
        )
        for term in terms
        for one, hashes in _comparisons(term, _SIDE_UNIT, units)
    )


def matches(term: Measure, type_name: str, value: Any, parameter: Parameter, rules: Rules) -> bool:
    """Whether the comparison holds for a value of the FHIR type."""
    return any(_matches(term, one) for one in measured(type_name, value))


def is_measured(type_name: str) -> bool:
    """Whether values of the FHIR type are quantities."""
    return type_name in _QUANTITIES or type_name in ("Money", "Range")


def measured(type_name: str, value: Any) -> Iterator[dict[str, Any]]:
    """The quantities of a value: both ends of a range, money with its currency as the unit."""
    if type_name == "Range":
        yield from (value[end] for end in ("low", "high") if end in value)
    elif type_name == "Money":
        yield {"value": value.get("value"), "system": CURRENCY, "code": value.get("currency")}
    elif type_name in _QUANTITIES:
        yield value


def side_rows(value: dict[str, Any], rows: Rows) -> Iterator[tuple[float, int]]:
    """The value and each hash of its unit, for side rows; none without a value."""
    if (number := value.get("value")) is not None:
        _learn(value, rows)
        for hash_ in _units_of(_SIDE_UNIT, value):
            yield as_float(number), hash_


def _matches(term: Measure, value: dict[str, Any]) -> bool:
    number = value.get("value")
    if number is None:
        return False
    system, code, name = (value.get(key) or "" for key in ("system", "code", "unit"))
    if not term.code:
        return holds(term.amount, number)
    if term.system is None:
        return term.code in (code, name) and holds(term.amount, number)
    if term.system == system == UCUM:
        there = _in_unit(term.amount, term.code, code)
        return there is not None and holds(there, number)
    return (term.system, term.code) == (system, code) and holds(term.amount, number)


def _comparisons(
    term: Measure, name: str, units: Sequence[str]
) -> Iterator[tuple[Amount, tuple[int, ...]]]:
    """The comparisons that stand for the term, each with the hashes of its unit; none: any."""
    if not term.code:
        yield term.amount, ()
    elif term.system is None:
        systems = (UCUM, CURRENCY, "")
        yield term.amount, tuple(hash64(name, system, term.code) for system in systems)
    else:
        for code in dict.fromkeys((term.code, *(units if term.system == UCUM else ()))):
            there = _in_unit(term.amount, term.code, code)
            if there is not None:
                yield there, (hash64(name, term.system, code),)


def _within(amounts: Sequence[Amount], column: str) -> Iterator[Sql]:
    """What holds whichever of the comparisons does: bounds, by which an index is read."""
    if len(amounts) > 1 and all(one.prefix in _FROM for one in amounts):
        yield Sql(f"{column} >= %s", (as_float(min(one.lo for one in amounts)),))
    if len(amounts) > 1 and all(one.prefix in _TO for one in amounts):
        yield Sql(f"{column} <= %s", (as_float(max(one.hi for one in amounts)),))


def _in_unit(of: Amount, code: str, other: str) -> Amount | None:
    """The comparison in another unit; None if the units measure different things."""
    if code == other:
        return of
    here, there = unit(code), unit(other)
    if here is None or there is None:
        return None
    ends = [converted(value, here, there) for value in (of.value, of.lo, of.hi)]
    if any(end is None for end in ends):
        return None
    value, lo, hi = (end for end in ends if end is not None)
    return replace(of, value=value, lo=lo, hi=hi)


_FROM = frozenset(("eq", "gt", "ge", "sa", "ap"))  # prefixes of what is not below `lo`
_TO = frozenset(("eq", "lt", "le", "eb", "ap"))  # and not above `hi`

# Side rows name their parameter already; in the array a hash must.
_SIDE_UNIT = "unit"


def _learn(value: dict[str, Any], rows: Rows) -> None:
    """Units of UCUM are written down, so that a search knows which there are."""
    code = value.get("code")
    if code and value.get("system") == UCUM and len(code) < CACHED_MAX:
        rows.units.append(code)


def _units(name: str, system: str, code: str, unit: str) -> tuple[int, ...]:
    """The hashes of a unit, at least one: by system and code, by what else it is called."""
    if not code:
        return (hash64(name, "", unit),) if unit else (0,)
    others = {code if system not in (UCUM, CURRENCY) else "", unit if unit != code else ""} - {""}
    return (hash64(name, system, code), *(hash64(name, "", other) for other in sorted(others)))


_cached = lru_cache(maxsize=4096)(_units)


def _units_of(name: str, value: dict[str, Any]) -> tuple[int, ...]:
    parts = value.get("system", ""), value.get("code", ""), value.get("unit", "")
    return (_cached if sum(map(len, parts)) < CACHED_MAX else _units)(name, *parts)


def _main(parameter: Parameter) -> Callable[[Any, Rows], None]:
    name = parameter.name

    def take(value: Any, rows: Rows) -> None:
        if (number := value.get("value")) is not None:
            rows.q1 = as_float(number)
            rows.toks += [unit for unit in _units_of(name, value) if unit]
            _learn(value, rows)

    return take


def _side(number: int) -> Callable[[Any, Rows], None]:
    def take(value: Any, rows: Rows) -> None:
        rows.quantities += [(number, *one, 0, 0) for one in side_rows(value, rows)]

    return take
