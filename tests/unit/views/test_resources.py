"""A row for each resource: the head of what is kept as columns, all of it as JSON."""

import hashlib
import stat
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow.parquet
import pytest

from ehr_server.fhir import json
from ehr_server.search.index import patients
from ehr_server.search.rules import Rules
from ehr_server.views import parquet
from ehr_server.views.resources import ResourceTable

RULES = Rules(ZoneInfo("Asia/Ho_Chi_Minh"), "http://here/fhir")


def patient_of(resource: dict[str, Any]) -> str | None:
    found = patients(resource, RULES)
    return f"Patient/{found[0]}" if found else None


def _line(number: int, **more: Any) -> bytes:
    meta = {"versionId": str(number), "lastUpdated": f"2026-05-31T08:15:30.{number:03}Z"}
    head = {"resourceType": "Observation", "id": f"o-{number}", "meta": meta}
    return json.write({**head, "status": "final", "code": {"text": "Huyết áp"}, **more})


def _read(path: Path) -> list[dict[str, Any]]:
    return pyarrow.parquet.read_table(path).to_pylist()


def test_the_head_of_a_resource_is_in_columns_and_all_of_it_in_json(tmp_path: Path) -> None:
    line = _line(7, subject={"reference": "Patient/p-1"}, valueQuantity={"value": 107.50})
    table = ResourceTable(tmp_path / "t.parquet", patient_of)
    table.add([line])
    rows, size, sha256 = table.end()
    table.close()
    content = (tmp_path / "t.parquet").read_bytes()
    assert (rows, size, sha256) == (1, len(content), hashlib.sha256(content).hexdigest())
    assert _read(tmp_path / "t.parquet") == [
        {
            "resourceType": "Observation",
            "id": "o-7",
            "versionId": "7",
            "lastUpdated": datetime(2026, 5, 31, 8, 15, 30, 7000, tzinfo=UTC),
            "patient": "Patient/p-1",
            "json": line.decode(),
        }
    ]


@pytest.mark.parametrize(
    ("more", "patient"),
    [
        ({}, None),
        ({"subject": {"reference": "Group/g"}}, None),
        ({"subject": {"reference": "http://here/fhir/Patient/p"}}, "Patient/p"),
        ({"subject": {"reference": "http://elsewhere/fhir/Patient/p"}}, None),
        ({"performer": [{"reference": "Patient/q"}]}, "Patient/q"),
    ],
)
def test_the_patient_is_the_one_in_whose_compartment_the_resource_lies(
    tmp_path: Path, more: dict[str, Any], patient: str | None
) -> None:
    """https://hl7.org/fhir/R4/compartmentdefinition-patient.html: subject, then performer."""
    table = ResourceTable(tmp_path / "t.parquet", patient_of)
    table.add([_line(1, **more)])
    table.end()
    table.close()
    assert [row["patient"] for row in _read(tmp_path / "t.parquet")] == [patient]


def test_a_resource_that_does_not_begin_as_a_stored_one_is_read_for_its_columns(
    tmp_path: Path,
) -> None:
    lines = [
        b'{"id":"b","resourceType":"Basic","meta":{"lastUpdated":"2026-01-01T00:00:00Z"}}',
        b'{"resourceType":"Basic"}',
    ]
    table = ResourceTable(tmp_path / "t.parquet", patient_of)
    table.add(lines)
    table.end()
    table.close()
    first, second = _read(tmp_path / "t.parquet")
    assert (first["id"], first["versionId"]) == ("b", None)
    assert first["lastUpdated"] == datetime(2026, 1, 1, tzinfo=UTC)
    assert (second["id"], second["lastUpdated"]) == (None, None)


def test_many_batches_are_written_in_groups_and_come_back_in_their_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parquet, "GROUP_ROWS", 50)
    table = ResourceTable(tmp_path / "t.parquet", patient_of)
    for start in range(0, 200, 20):
        table.add([_line(number) for number in range(start, start + 20)])
    table.add([])
    assert table.end()[0] == 200
    table.close()
    found = pyarrow.parquet.ParquetFile(tmp_path / "t.parquet")
    assert found.metadata.num_row_groups == 4
    assert found.metadata.row_group(0).column(5).compression == "ZSTD"
    assert [row["id"] for row in _read(tmp_path / "t.parquet")] == [f"o-{n}" for n in range(200)]


def test_an_empty_table_is_a_file_that_opens(tmp_path: Path) -> None:
    with closing(ResourceTable(tmp_path / "t.parquet", patient_of)) as table:
        assert table.end()[0] == 0
    assert _read(tmp_path / "t.parquet") == []


def test_the_file_is_closed_to_other_users(tmp_path: Path) -> None:
    ResourceTable(tmp_path / "t.parquet", patient_of).close()
    assert stat.S_IMODE((tmp_path / "t.parquet").stat().st_mode) == 0o600
