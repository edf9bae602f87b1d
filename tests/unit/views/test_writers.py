"""Rows as CSV, NDJSON, JSON and Parquet, to a file or piece by piece."""

import csv
import hashlib
import io
import json
import stat
from contextlib import closing
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest

from ehr_server.views import parquet, writers
from ehr_server.views.column import Column
from ehr_server.views.view import view
from ehr_server.views.writers import Format, Shape, TableFile, pieces

COLUMNS = (
    Column("id", "id"),
    Column("active", "boolean"),
    Column("count", "integer"),
    Column("value", "decimal"),
    Column("born", "date"),
    Column("issued", "instant"),
    Column("given", "string", is_collection=True),
    Column("name", "HumanName"),
)
FULL = (
    "a",
    True,
    3,
    Decimal("1.50"),
    "1974-05",
    "2026-05-31T08:15:30.5+07:00",
    ["Thị", "Ngọp"],
    {"family": "Phạm"},
)
EMPTY = ("b", None, None, None, None, None, [], None)


def _body(format_: Format, rows: list[Any], columns: Any = COLUMNS, **more: Any) -> bytes:
    return b"".join(pieces(Shape(columns, format_, **more), rows))


def _table(rows: list[Any], columns: Any) -> pyarrow.Table:
    return pyarrow.parquet.read_table(io.BytesIO(_body("parquet", rows, columns)))


def _typed(type_: str, sql_type: str | None, *values: Any) -> tuple[str, list[Any]]:
    table = _table([(value,) for value in values], (Column("a", type_, sql_type=sql_type),))
    return str(table.schema.field("a").type), table.column("a").to_pylist()


def test_csv_writes_what_has_parts_as_json_and_null_as_nothing() -> None:
    rows = list(csv.reader(io.StringIO(_body("csv", [FULL, EMPTY]).decode(), newline="")))
    assert rows == [
        [column.name for column in COLUMNS],
        [
            *("a", "true", "3", "1.50", "1974-05", "2026-05-31T08:15:30.5+07:00"),
            *('["Thị","Ngọp"]', '{"family":"Phạm"}'),
        ],
        ["b", "", "", "", "", "", "[]", ""],
    ]


def test_csv_quotes_what_would_break_it() -> None:
    """https://www.rfc-editor.org/rfc/rfc4180"""
    sent = 'An, "Jr."\nBình'
    body = _body("csv", [(sent,)], (Column("a", "string"),), has_header=False)
    assert body == b'"An, ""Jr.""\nB\xc3\xacnh"\r\n'


def test_ndjson_and_json_keep_values_as_fhir_has_them() -> None:
    (line, other) = _body("ndjson", [FULL, EMPTY]).splitlines()
    assert b'"value":1.50' in line
    assert json.loads(line)["name"] == {"family": "Phạm"}
    assert json.loads(other) == dict(zip((column.name for column in COLUMNS), EMPTY, strict=True))
    assert json.loads(_body("json", [FULL, EMPTY])) == [json.loads(line), json.loads(other)]
    assert _body("json", []) == b"[]"
    assert _body("ndjson", []) == b""


def test_parquet_has_the_types_of_the_default_mapping() -> None:
    """#default-type-mappings: dates and decimals are texts, since neither loses anything so."""
    table = _table([FULL, EMPTY], COLUMNS)
    assert [str(field.type) for field in table.schema] == [
        *("string", "bool", "int32", "string", "string", "timestamp[us, tz=UTC]"),
        *("list<element: string>", "string"),
    ]
    first, second = table.to_pylist()
    assert first == {
        "id": "a",
        "active": True,
        "count": 3,
        "value": "1.50",
        "born": "1974-05",
        "issued": datetime(2026, 5, 31, 1, 15, 30, 500_000, tzinfo=UTC),
        "given": ["Thị", "Ngọp"],
        "name": '{"family":"Phạm"}',
    }
    assert list(second.values()) == list(EMPTY)


@pytest.mark.parametrize(
    ("type_", "sql_type", "arrow", "values", "found"),
    [
        ("date", "DATE", "date32[day]", ["1974-05-20", "1974-05"], [date(1974, 5, 20), None]),
        (
            "dateTime",
            "TIMESTAMP",
            "timestamp[us, tz=UTC]",
            ["2026-05-31T08:00:00Z", "2026-05-31"],
            [datetime(2026, 5, 31, 8, tzinfo=UTC), None],
        ),
        ("decimal", "DOUBLE PRECISION", "double", [Decimal("1.50"), 2], [1.5, 2.0]),
        (
            "decimal",
            "DECIMAL(5, 2)",
            "decimal128(5, 2)",
            [Decimal("1.5"), Decimal("1234.5")],
            [Decimal("1.50"), None],
        ),
        ("integer", "BIGINT", "int64", [2**40, None], [2**40, None]),
        ("integer", None, "int32", [2**31 - 1, 2**40], [2**31 - 1, None]),
        ("decimal", "INT", "int32", [Decimal("3.0"), Decimal("3.5")], [3, None]),
        ("decimal", "BIGINT", "int64", [Decimal("1E+999999")], [None]),
        ("integer", "VARCHAR", "string", [3, None], ["3", None]),
        ("boolean", "VARCHAR", "string", [True], ["true"]),
        ("string", "INT", "int32", ["3", "three"], [3, None]),
        ("HumanName", "DATE", "string", [{"family": "Võ"}], ['{"family":"Võ"}']),
    ],
)
def test_a_tag_asks_for_another_type_and_what_does_not_fit_is_null(
    type_: str, sql_type: str | None, arrow: str, values: list[Any], found: list[Any]
) -> None:
    assert _typed(type_, sql_type, *values) == (arrow, found)


@pytest.mark.parametrize("format_", ["csv", "ndjson", "json", "parquet"])
def test_many_rows_come_in_pieces_that_are_the_file(
    format_: Format, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writers, "BATCH_ROWS", 10)
    monkeypatch.setattr(parquet, "GROUP_ROWS", 30)
    paths = {"id": "id", "text": "'số ' & id"}
    columns = [{"name": name, "path": path} for name, path in paths.items()]
    made = view({"resource": "Basic", "select": [{"column": columns}]})
    several = list(pieces(Shape(made.columns, format_), ((f"{n}", f"số {n}") for n in range(95))))
    assert len(several) > 3
    lines = [b'{"resourceType":"Basic","id":"%d"}' % number for number in range(95)]
    with closing(TableFile(tmp_path / "t", made, Shape(made.columns, format_))) as file:
        for start in range(0, 95, 10):
            file.add(lines[start : start + 10])
        whole = b"".join(several)
        assert file.end() == (95, len(whole), hashlib.sha256(whole).hexdigest())
    assert (tmp_path / "t").read_bytes() == whole
    assert stat.S_IMODE((tmp_path / "t").stat().st_mode) == 0o600


def test_rows_are_asked_for_only_when_those_before_are_taken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(writers, "BATCH_ROWS", 10)
    asked = 0

    def rows() -> Any:
        nonlocal asked
        for number in range(1_000):
            asked += 1
            yield (number,)

    body = pieces(Shape((Column("n", "integer"),), "ndjson"), rows())
    next(body)
    assert asked == 10
