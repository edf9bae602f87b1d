"""How a column lies in Parquet: by its FHIR type, or by the SQL type that a tag asks for.

https://sql-on-fhir.org/ig/StructureDefinition-ViewDefinition.html#type-hinting-with-tags. Left to
itself a date is a text, since it may be partial, and so is a decimal, since its precision is part
of it; the tag `ansi/type` makes them a DATE or a number. A value that does not fit is null.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

from ehr_server.fhir import json
from ehr_server.views.definition import wrong
from ehr_server.views.parquet import arrow

if TYPE_CHECKING:
    from ehr_server.issue import Issue
    from ehr_server.views.column import Column, Form

# Values of a column to an array of the library.
Convert = Callable[[Sequence[Any]], Any]

_SQL = re.compile(
    r"([A-Z]+(?: [A-Z]+)*?)\s*(?:\(\s*(\d{1,3})\s*(?:,\s*(\d{1,3})\s*)?\))?", re.ASCII
)
_TEXTS = ("CHARACTER VARYING", "VARCHAR", "CHARACTER", "CHAR", "TEXT", "STRING")
_WHOLE = {"SMALLINT": "int16", "INT": "int32", "INTEGER": "int32", "BIGINT": "int64"}
_FLOATS = {
    "REAL": "float32",
    "FLOAT": "float64",
    "DOUBLE": "float64",
    "DOUBLE PRECISION": "float64",
}
_EXACT = ("DECIMAL", "NUMERIC", "DEC")
_ZONED = ("TIMESTAMP WITH TIME ZONE", "TIMESTAMP", "DATETIME")
_PRECISION_MAX = 38
_DIGITS_MAX = 300  # of a number; a whole one of a million would take minutes
_BITS = {"int16": 15, "int32": 31, "int64": 63}
_OF_FORM: dict[Form, str] = {
    "boolean": "BOOLEAN",
    "integer": "INT",
    "text": "VARCHAR",
    "decimal": "VARCHAR",
    "instant": "TIMESTAMP WITH TIME ZONE",
    "binary": "VARCHAR",
    "complex": "VARCHAR",
}


def arrow_type(column: Column) -> Any:
    """The type of the library in which a column lies."""
    kind, _ = _lies(column)
    return arrow().list_(kind) if column.is_collection else kind


def converter(column: Column) -> Convert:
    """Values of a column, as a view gives them, to an array of the library."""
    kind, fit = _lies(column)
    if column.is_collection:
        whole = arrow().list_(kind)
        return lambda values: arrow().array(
            [None if value is None else [fit(one) for one in value] for value in values], whole
        )
    return lambda values: arrow().array([fit(value) for value in values], kind)


def check(columns: Sequence[Column]) -> list[Issue]:
    """What is wrong with the SQL types that are asked for: those that are not known."""
    return [
        wrong(
            "ViewDefinition.select.column.tag",
            "type",
            f"The column {column.name} asks by ansi/type for what is no SQL type here; known are "
            "BOOLEAN, INT, BIGINT, DOUBLE PRECISION, DECIMAL(p,s), DATE, TIMESTAMP and VARCHAR.",
            f"Cột {column.name} yêu cầu qua ansi/type một kiểu SQL không có; có thể dùng BOOLEAN, "
            "INT, BIGINT, DOUBLE PRECISION, DECIMAL(p,s), DATE, TIMESTAMP và VARCHAR.",
        )
        for column in columns
        if column.sql_type is not None and not _is_known(column.sql_type)
    ]


def _is_known(sql_type: str) -> bool:
    found = _SQL.fullmatch(sql_type)
    if found is None:
        return False
    if found[1] in _EXACT:
        precision, scale = int(found[2] or _PRECISION_MAX), int(found[3] or 0)
        return 0 < precision <= _PRECISION_MAX and scale <= precision
    return found[1] in ("BOOLEAN", "DATE", *_TEXTS, *_WHOLE, *_FLOATS, *_ZONED)


def _lies(column: Column) -> tuple[Any, Callable[[Any], Any]]:
    """The type of the library for a single value, and what makes a value fit it."""
    pa = arrow()
    sql_type = column.sql_type if column.form != "complex" else None
    found = _SQL.fullmatch(sql_type or _OF_FORM[column.form])
    name = found[1] if found is not None else "VARCHAR"
    if name == "BOOLEAN":
        return pa.bool_(), lambda value: value if isinstance(value, bool) else None
    if name in _WHOLE:
        return getattr(pa, _WHOLE[name])(), _whole(_BITS[_WHOLE[name]])
    if name in _FLOATS:
        return getattr(pa, _FLOATS[name])(), _float
    if name in _EXACT and found is not None:
        precision, scale = int(found[2] or _PRECISION_MAX), int(found[3] or 0)
        return pa.decimal128(precision, scale), _exact(precision, scale)
    if name == "DATE":
        return pa.date32(), _day
    if name in _ZONED:
        return pa.timestamp("us", tz="UTC"), _moment
    return pa.string(), text


def text(value: Any) -> str | None:
    """A value as FHIR writes it; of what has elements, its JSON."""
    if value is None or isinstance(value, str):
        return value
    return json.write(value).decode()


def _number(value: Any) -> Decimal | None:
    if isinstance(value, bool) or value is None:
        return None
    try:
        found = Decimal(value)
    except (InvalidOperation, TypeError, ValueError):
        return None
    return found if found.is_finite() and abs(found.adjusted()) < _DIGITS_MAX else None


def _whole(bits: int) -> Callable[[Any], int | None]:
    def fit(value: Any) -> int | None:
        number = value if type(value) is int else _number(value)
        if number is None or number != int(number):
            return None
        return int(number) if -(2**bits) <= number < 2**bits else None

    return fit


def _float(value: Any) -> float | None:
    number = _number(value)
    return None if number is None else float(number)


def _exact(precision: int, scale: int) -> Callable[[Any], Decimal | None]:
    def fit(value: Any) -> Decimal | None:
        number = _number(value)
        if number is None:
            return None
        try:
            rounded = number.quantize(Decimal(1).scaleb(-scale))
        except InvalidOperation:
            return None
        return rounded if rounded.adjusted() < precision - scale else None

    return fit


def _day(value: Any) -> date | None:
    """The day of a date or dateTime; a partial one has none."""
    try:
        return date.fromisoformat(value[:10]) if isinstance(value, str) else None
    except ValueError:
        return None


def _moment(value: Any) -> datetime | None:
    """The moment of an instant or dateTime; without a time of day it has none."""
    if not isinstance(value, str) or "T" not in value:
        return None
    try:
        found = datetime.fromisoformat(value)
    except ValueError:
        return None
    return found.astimezone(UTC) if found.tzinfo is not None else None
