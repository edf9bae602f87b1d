"""The examples for analysts open what the server writes: DuckDB, pandas, Spark, and a chart."""

import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from api.patients import resident
from examples.guides import needs_curl, printed
from servers import Server

EXAMPLES = Path(__file__).parents[2] / "examples"
LOINC = "http://loinc.org"
# (id, born, gender, systolic and diastolic of each reading in October 2026)
PEOPLE: tuple[tuple[str, str, str, tuple[tuple[int, int], ...]], ...] = (
    ("an", "1990-02-01", "female", ((120, 80), (124, 78))),
    ("binh", "1989", "male", ((131, 95),)),
    ("chi", "1951-07", "female", ((150, 85), (152, 84), (139, 89))),
)
BY_AGE = [
    "age  30: 3 readings, systolic 125.0, 33.3 % high",
    "age  70: 3 readings, systolic 147.0, 66.7 % high",
]
BY_CODE = ["85354-9: 6", "29463-7: 1"]


def _pressure(patient: str, systolic: int, diastolic: int) -> dict[str, Any]:
    parts = (("8480-6", systolic), ("8462-4", diastolic))
    return {
        "resourceType": "Observation",
        "status": "final",
        "code": _concept("85354-9"),
        "subject": {"reference": f"Patient/{patient}"},
        "effectiveDateTime": "2026-10-05T08:30:00+07:00",
        "component": [
            {"code": _concept(code), "valueQuantity": {"value": value, "unit": "mm[Hg]"}}
            for code, value in parts
        ],
    }


def _concept(code: str) -> dict[str, Any]:
    return {"coding": [{"system": LOINC, "code": code}]}


def _run(script: str, *options: str, timeout: int = 60) -> list[str]:
    """The lines that an example prints; it must end well."""
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / script), *options],
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
        env=os.environ | {"PYTHONIOENCODING": "utf-8", "no_proxy": "127.0.0.1"},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.splitlines()


@pytest.fixture(scope="module", autouse=True)
def people(server: Server) -> Iterator[None]:
    with httpx.Client(base_url=server.fhir) as client:
        for id_, born, gender, readings in PEOPLE:
            sent = resident(id=id_, birthDate=born, gender=gender)
            assert client.put(f"/Patient/{id_}", json=sent).status_code == 201
            for reading in readings:
                answer = client.post("/Observation", json=_pressure(id_, *reading))
                assert answer.status_code == 201, answer.text
        other = _pressure("an", 1, 1) | {"code": _concept("29463-7")}
        assert client.post("/Observation", json=other).status_code == 201
        yield


@pytest.fixture(scope="module")
def tables(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of Parquet files that the first example fetches."""
    folder = tmp_path_factory.mktemp("tables")
    names = _run("07-analysts/tables.py", "--base", server.fhir, "--out", str(folder))
    assert sorted(names) == ["blood_pressure.0.parquet", "patients.0.parquet"]
    return folder


@pytest.fixture(scope="module")
def ndjson(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an export without a view."""
    folder = tmp_path_factory.mktemp("ndjson")
    _run("04-export/export.py", "--base", server.fhir, "--out", str(folder))
    return folder


def test_duckdb_reads_the_tables_and_the_export(tables: Path, ndjson: Path) -> None:
    found = _run("07-analysts/with_duckdb.py", str(tables), "--ndjson", str(ndjson))
    assert found == [*BY_AGE, *BY_CODE]


def test_pandas_reads_the_tables(tables: Path) -> None:
    assert _run("07-analysts/with_pandas.py", str(tables)) == BY_AGE


@pytest.mark.slow
@pytest.mark.skipif(
    importlib.util.find_spec("pyspark") is None or shutil.which("java") is None,
    reason="it needs pyspark and Java",
)
def test_spark_reads_the_tables_and_the_export(tables: Path, ndjson: Path) -> None:
    options = (str(tables), "--ndjson", str(ndjson))
    found = _run("07-analysts/with_spark.py", *options, timeout=300)
    assert found == [*BY_AGE, "Observation: 7", "Patient: 3"]


def test_a_chart_is_drawn_and_the_one_in_the_guide_is_small(tables: Path, tmp_path: Path) -> None:
    picture = tmp_path / "picture.png"
    (line,) = _run("07-analysts/chart.py", str(tables), str(picture))
    assert line == f"picture.png {picture.stat().st_size} bytes"
    shown = EXAMPLES.parent / "docs" / "pictures" / "blood-pressure.png"
    for path in (picture, shown):
        assert path.read_bytes().startswith(b"\x89PNG\r\n")
        assert path.stat().st_size < 60_000


@needs_curl
def test_the_commands_of_the_guide_do_what_it_says(server: Server, tmp_path: Path) -> None:
    lines = printed("analysis.md", server, tmp_path)
    assert lines[0] == "id,born"
    assert sorted(lines[1:4]) == ["an,1990-02-01", "binh,1989", "chi,1951-07"]
    assert lines[4:] == ['"id":"people"', "3"]
