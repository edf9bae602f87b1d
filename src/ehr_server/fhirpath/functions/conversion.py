"""Values made into those of another type. http://hl7.org/fhirpath/N1/#conversion

`toX()` is empty where `convertsToX()` is false.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from ehr_server.fhirpath import moments
from ehr_server.fhirpath.amounts import quantity, read_quantity
from ehr_server.fhirpath.functions.row import Function, of_value
from ehr_server.fhirpath.system import is_number

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_INTEGER = re.compile(r"[+-]?\d{1,18}", re.ASCII)
_DECIMAL = re.compile(r"[+-]?\d{1,100}(?:\.\d{1,100})?", re.ASCII)
_TRUE = frozenset(("true", "t", "yes", "y", "1", "1.0"))
_FALSE = frozenset(("false", "f", "no", "n", "0", "0.0"))
_DATE_LENGTHS = (4, 7, 10)


def to_string(value: Any) -> str | None:
    """A primitive or a quantity as text."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal) and abs(value.adjusted()) < 100:
        return format(value, "f")
    if is_number(value):
        return str(value)
    if isinstance(value, dict):
        unit = value.get("code", value.get("unit"))
        number = to_string(value["value"]) if is_number(value.get("value")) else None
        return None if number is None else f"{number} '{unit or 1}'"
    return value if isinstance(value, str) else None


def to_integer(value: Any) -> int | None:
    """A whole number, one in a text, 1 for true and 0 for false."""
    if isinstance(value, int):
        return int(value)
    return int(value) if isinstance(value, str) and _INTEGER.fullmatch(value) else None


def to_decimal(value: Any) -> Decimal | None:
    """A number, one in a text, 1 for true and 0 for false."""
    if isinstance(value, int | Decimal):
        return Decimal(value)
    return Decimal(value) if isinstance(value, str) and _DECIMAL.fullmatch(value) else None


def to_boolean(value: Any) -> bool | None:
    """true, one of the words for it, or 1; false likewise."""
    if isinstance(value, bool):
        return value
    if is_number(value):
        return {0: False, 1: True}.get(value)
    word = value.lower() if isinstance(value, str) else ""
    return True if word in _TRUE else False if word in _FALSE else None


def to_quantity(value: Any) -> dict[str, Any] | None:
    """A quantity, a number as one of the unit 1, or `4 days` in a text."""
    if isinstance(value, dict):
        return value if is_number(value.get("value")) else None
    if is_number(value):
        return quantity(value, "1")
    return read_quantity(value) if isinstance(value, str) else None


def to_date(value: Any) -> str | None:
    """The date of a date or dateTime."""
    if not isinstance(value, str) or not moments.is_moment(value):
        return None
    day = value.partition("T")[0]
    return day if len(day) in _DATE_LENGTHS else None


def to_date_time(value: Any) -> str | None:
    """A date or dateTime."""
    return value if isinstance(value, str) and moments.is_moment(value) else None


def to_time(value: Any) -> str | None:
    """A time of day."""
    return value if isinstance(value, str) and moments.is_time(value) else None


_CONVERSIONS: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "Boolean": ("boolean", to_boolean),
    "Date": ("date", to_date),
    "DateTime": ("dateTime", to_date_time),
    "Decimal": ("decimal", to_decimal),
    "Integer": ("integer", to_integer),
    "Quantity": ("Quantity", to_quantity),
    "String": ("string", to_string),
    "Time": ("time", to_time),
}


def _converts(function: Callable[[Any], Any]) -> Function:
    return of_value("boolean", lambda value: function(value) is not None)


ROWS: Mapping[str, Function] = {
    **{f"to{name}": of_value(*row) for name, row in _CONVERSIONS.items()},
    **{f"convertsTo{name}": _converts(row[1]) for name, row in _CONVERSIONS.items()},
}
