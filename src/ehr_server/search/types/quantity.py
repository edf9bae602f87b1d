"""Measured values with a unit: `5.4`, `5.4|http://unitsofmeasure.org|mg`, `5.4||mg`.

https://hl7.org/fhir/R4/search.html#quantity. A value is stored once by the code of its unit; the
printed unit, and a code of another system than UCUM, are further rows where they differ. The main
quantity of a type is the column `q1`, its units are hashes in the array.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from ehr_server.hashing import hash64
from ehr_server.search.escapes import split, unescape
from ehr_server.search.malformed import Malformed
from ehr_server.search.parameters import Parameter, Source
from ehr_server.search.rows import CACHED_MAX, Rows
from ehr_server.search.rules import Rules
from ehr_server.search.sql import Sql, all_of, any_of, beside, overlaps
from ehr_server.search.types.number import Amount, amount, as_float, compared

UCUM = "http://unitsofmeasure.org"
CURRENCY = "urn:iso:std:iso:4217"

_QUANTITIES = frozenset(("Quantity", "Age", "Count", "Distance", "Duration", "SimpleQuantity"))


@dataclass(frozen=True, slots=True)
class Measure:
    """A comparison of the value, and the hashes of the units it may have; none: any unit."""

    amount: Amount
    units: tuple[int, ...]


def extract(
    type_name: str,
    parameter: Parameter,
    rules: Rules,  # noqa: ARG001
) -> Callable[[Any, Rows], None] | None:
    """Quantities and money, and both ends of a range."""
    take = _main(parameter) if parameter.place == "main" else _side(parameter.number)
    if type_name in _QUANTITIES:
        return take
    if type_name == "Money":
        return lambda value, rows: take(
            {"value": value.get("value"), "system": CURRENCY, "code": value.get("currency")}, rows
        )
    if type_name == "Range":
        return _range(take)
    return None


def parse(text: str, source: Source, rules: Rules) -> Measure:  # noqa: ARG001
    """A prefix and a number, then perhaps the unit as `|system|code` or `||code`."""
    parts = [unescape(part) for part in split(text, "|")]
    if len(parts) not in (1, 3):
        raise Malformed(
            "is neither a number nor number|system|code", "phải là số hoặc số|hệ mã|mã đơn vị"
        )
    found = amount(parts[0])
    if len(parts) == 1 or not (parts[1] or parts[2]):
        return Measure(found, ())
    _, system, code = parts
    if not code:
        raise Malformed("has a system of units but no unit", "có hệ đơn vị nhưng thiếu đơn vị")
    name = _unit_name(source.parameter)
    if system:
        return Measure(found, (hash64(name, system, code),))
    implied = CURRENCY if source.parameter.types == {"Money"} else UCUM
    return Measure(found, (hash64(name, implied, code), hash64(name, "", code)))


def where(terms: Sequence[Measure], parameter: Parameter) -> Sql:
    """One of the comparisons holds for a quantity of the resource."""
    if parameter.place == "main":
        return any_of(
            all_of(
                (
                    compared(term.amount, "r.q1"),
                    *([overlaps("r.toks", term.units)] if term.units else []),
                )
            )
            for term in terms
        )
    return beside("quantity", parameter.number, any_of(_side_condition(term) for term in terms))


def _side_condition(term: Measure) -> Sql:
    value = compared(term.amount, "x.value")
    if not term.units:
        return value
    return all_of((value, Sql("x.unit = any(%s::bigint[])", (list(term.units),))))


def _unit_name(parameter: Parameter) -> str:
    """Side rows name their parameter already; in the array a hash must."""
    return parameter.name if parameter.place == "main" else "unit"


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
    name = _unit_name(parameter)

    def take(value: Any, rows: Rows) -> None:
        if (number := value.get("value")) is not None:
            rows.q1 = as_float(number)
            rows.toks += [unit for unit in _units_of(name, value) if unit]

    return take


def _side(parameter_number: int) -> Callable[[Any, Rows], None]:
    def take(value: Any, rows: Rows) -> None:
        if (number := value.get("value")) is not None:
            for unit in _units_of("unit", value):
                rows.quantities.append((parameter_number, as_float(number), unit))

    return take


def _range(take: Callable[[Any, Rows], None]) -> Callable[[Any, Rows], None]:
    def take_ends(value: Any, rows: Rows) -> None:
        for end in ("low", "high"):
            if end in value:
                take(value[end], rows)

    return take_ends
