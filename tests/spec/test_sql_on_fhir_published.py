"""The published cases of SQL on FHIR v2, where they lie in `cache/`.

https://github.com/FHIR/sql-on-fhir-v2, folder `tests`, to be put into `cache/sql-on-fhir/tests`;
without them: skipped. Each case is a view, resources, and the rows or the refusal to expect.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ehr_server.errors import Unprocessable
from ehr_server.fhir import json
from ehr_server.views.view import view

_CASES = Path(__file__).parents[2] / "cache" / "sql-on-fhir" / "tests"

pytestmark = pytest.mark.skipif(not _CASES.is_dir(), reason="the cases are not in cache/")


def _cases() -> list[Any]:
    files = sorted(_CASES.glob("*.json"))
    return [
        pytest.param(document["resources"], case, id=f"{file.stem}: {case['title']}")
        for file in files
        for document in (json.read(file.read_bytes()),)
        for case in document["tests"]
    ]


def _unordered(rows: list[Any]) -> list[str]:
    """Rows in any order: the standard guarantees none. Numbers are equal by their value."""
    return sorted(str(_plain(row)) for row in rows)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return sorted((key, _plain(inner)) for key, inner in value.items())
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return value
    return float(value)


@pytest.mark.parametrize(("resources", "case"), _cases())
def test_a_published_case(resources: list[dict[str, Any]], case: dict[str, Any]) -> None:
    if case.get("expectError"):
        with pytest.raises(Unprocessable) as refused:
            list(view(case["view"]).rows(resources))
        assert refused.value.issues or refused.value.vi
        return
    made = view(case["view"])
    names = [column.name for column in made.columns]
    if "expectColumns" in case:
        assert names == case["expectColumns"]
    rows = [dict(zip(names, row, strict=True)) for row in made.rows(resources)]
    assert _unordered(rows) == _unordered(case["expect"])
