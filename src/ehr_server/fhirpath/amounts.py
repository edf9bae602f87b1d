"""Quantities: of one unit, or of units of time. http://hl7.org/fhirpath/N1/#quantity

Other units are not converted: two quantities of different units compare to nothing
(http://hl7.org/fhirpath/N1/#comparison), as the section allows.
"""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation
from typing import Any

from ehr_server.fhirpath.system import is_number

UCUM = "http://unitsofmeasure.org"

# https://hl7.org/fhir/R4/fhirpath.html#quantity: a year of FHIRPath is an `a` of UCUM.
CALENDAR = {
    form: code
    for word, code in (
        ("year", "a"),
        ("month", "mo"),
        ("week", "wk"),
        ("day", "d"),
        ("hour", "h"),
        ("minute", "min"),
        ("second", "s"),
        ("millisecond", "ms"),
    )
    for form in (word, f"{word}s")
}
_IN_SECONDS: dict[str, int | Decimal] = {
    "wk": 604_800,
    "d": 86_400,
    "h": 3_600,
    "min": 60,
    "s": 1,
    "ms": Decimal("0.001"),
}
_IN_MONTHS = {"a": 12, "mo": 1}
_TEXT = re.compile(r"\s*([+-]?\d+(?:\.\d+)?)\s*(?:'([^']+)'|([a-z]+))?\s*", re.ASCII)


def quantity(value: Any, unit: str) -> dict[str, Any]:
    """A Quantity of a unit of UCUM, or of a word such as `days`."""
    code = CALENDAR.get(unit, unit)
    return {"value": value, "unit": unit, "system": UCUM, "code": code}


def read_quantity(text: str) -> dict[str, Any] | None:
    """`4 days`, `1 'mg'`, `3.5`; None if the text is no such thing."""
    match = _TEXT.fullmatch(text)
    if match is None or (match[3] and match[3] not in CALENDAR):
        return None
    return quantity(Decimal(match[1]), match[2] or match[3] or "1")


def amount_of(value: Any) -> tuple[Decimal, str] | None:
    """The number and the unit, those of time in seconds or months; None if there is no number."""
    if not isinstance(value, dict) or not is_number(value.get("value")):
        return None
    number = Decimal(value["value"])
    code = value.get("code")
    if code is None:
        return number, str(value.get("unit", "1"))
    if value.get("system", UCUM) != UCUM:
        return number, f"{value['system']}|{code}"
    try:
        if code in _IN_SECONDS:
            return number * _IN_SECONDS[code], "s"
        if code in _IN_MONTHS:
            return number * _IN_MONTHS[code], "mo"
    except InvalidOperation:
        return None
    return number, str(code)


def compared(first: Any, second: Any) -> int | None:
    """-1, 0 or 1 as the first quantity is less, equal or more; None where the units differ."""
    one, other = amount_of(first), amount_of(second)
    if one is None or other is None or one[1] != other[1]:
        return None
    return (one[0] > other[0]) - (one[0] < other[0])
