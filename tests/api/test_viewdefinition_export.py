"""$viewdefinition-export: the rows of views as files, made in the background; and the command.

https://sql-on-fhir.org/ig/OperationDefinition-ViewDefinitionExport.html
"""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pyarrow.parquet
import pytest

from api.patients import resident, weight
from servers import Server

KICK_OFF = "/$viewdefinition-export"
ASYNC = {"Prefer": "respond-async"}
PEOPLE: dict[str, Any] = {
    "resourceType": "ViewDefinition",
    "name": "people",
    "resource": "Patient",
    "select": [{"column": [{"name": "id", "path": "id"}, {"name": "sex", "path": "gender"}]}],
}
FEMALE = PEOPLE | {"name": "women", "where": [{"path": "gender = 'female'"}]}
WEIGHTS: dict[str, Any] = {
    "resourceType": "ViewDefinition",
    "resource": "Observation",
    "select": [
        {
            "column": [
                {"name": "patient_id", "path": "subject.getReferenceKey(Patient)"},
                {"name": "unit", "path": "value.ofType(Quantity).unit"},
            ]
        }
    ],
}


@pytest.fixture(scope="module", autouse=True)
def people(server: Server) -> Iterator[None]:
    """Three residents, one of whom was weighed; another was here once."""
    with httpx.Client(base_url=server.fhir) as client:
        sent = [resident(id="a"), resident(id="b"), resident(id="c", gender="male")]
        sent += [weight("Patient/a") | {"id": "w", "valueQuantity": {"value": 52, "unit": "kg"}}]
        for one in [*sent, resident(id="gone")]:
            assert client.put(f"/{one['resourceType']}/{one['id']}", json=one).status_code == 201
        client.delete("/Patient/gone")
        yield


def _asked(*views: dict[str, Any], **more: str) -> dict[str, Any]:
    parts = [{"name": "view", "part": [{"name": "viewResource", "resource": one}]} for one in views]
    kinds = {"_format": "valueCode", "clientTrackingId": "valueString", "_since": "valueInstant"}
    named = [{"name": name, kinds[name]: value} for name, value in more.items()]
    return {"resourceType": "Parameters", "parameter": [*parts, *named]}


def _values(parameters: dict[str, Any]) -> dict[str, Any]:
    return {
        one["name"]: next(value for key, value in one.items() if key != "name")
        for one in parameters["parameter"]
    }


def _outputs(parameters: dict[str, Any]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for one in parameters["parameter"]:
        if one["name"] == "output":
            name, *locations = one["part"]
            found[name["valueString"]] = [part["valueUri"] for part in locations]
    return found


def _done(client: httpx.Client, started: httpx.Response) -> httpx.Response:
    """The result, once the status leads there."""
    assert started.status_code == 202, started.text
    address = started.headers["content-location"]
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        answer = client.get(address)
        if answer.status_code == 303:
            return client.get(answer.headers["location"])
        assert answer.status_code == 202, answer.text
        assert _values(answer.json())["status"] in ("accepted", "in-progress")
        time.sleep(0.1)
    raise AssertionError("the export did not come to its end")


def test_views_become_files_of_their_own(client: httpx.Client) -> None:
    sent = _asked(PEOPLE, FEMALE, WEIGHTS, _format="parquet", clientTrackingId="monthly")
    started = client.post(KICK_OFF, json=sent, headers=ASYNC)
    told = _values(started.json())
    assert (told["status"], told["clientTrackingId"]) == ("accepted", "monthly")
    assert told["location"] == started.headers["content-location"]
    result = _done(client, started)
    told = _values(result.json())
    assert (told["status"], told["_format"]) == ("completed", "parquet")
    rows = {}
    for name, locations in _outputs(result.json()).items():
        rows[name] = []
        for location in locations:
            answer = client.get(location)
            assert answer.headers["content-type"] == "application/vnd.apache.parquet"
            rows[name] += pyarrow.parquet.read_table(io.BytesIO(answer.content)).to_pylist()
    assert sorted(row["id"] for row in rows["people"]) == ["a", "b", "c"]
    assert sorted(row["id"] for row in rows["women"]) == ["a", "b"]
    assert rows["view3"] == [{"patient_id": "a", "unit": "kg"}]


@pytest.mark.parametrize("has_header", [True, False])
def test_rows_come_as_csv_too(client: httpx.Client, has_header: bool) -> None:
    sent = _asked(FEMALE, _format="csv")
    sent["parameter"].append({"name": "header", "valueBoolean": has_header})
    started = client.post(KICK_OFF, json=sent, headers=ASYNC)
    (location,) = _outputs(_done(client, started).json())["women"]
    answer = client.get(location, headers={"Accept": "text/csv"})
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    rows = list(csv.reader(io.StringIO(answer.text)))
    if has_header:
        assert rows.pop(0) == ["id", "sex"]
    assert sorted(rows) == [["a", "female"], ["b", "female"]]


def test_since_leaves_out_what_did_not_change(client: httpx.Client) -> None:
    """A chain: each export since the start of the last. What was deleted is in no table."""
    first = _done(client, client.post(KICK_OFF, json=_asked(PEOPLE), headers=ASYNC))
    client.put("/Patient/new", json=resident(id="new"))
    client.delete("/Patient/new")
    client.put("/Patient/d", json=resident(id="d"))
    sent = _asked(PEOPLE, _since=_values(first.json())["exportStartTime"])
    second = _done(client, client.post(KICK_OFF, json=sent, headers=ASYNC))
    (location,) = _outputs(second.json())["people"]
    rows = [json.loads(line) for line in client.get(location).text.splitlines()]
    assert [row["id"] for row in rows] == ["d"]
    client.delete("/Patient/d")


def test_what_a_view_cannot_hold_is_told_by_the_result(client: httpx.Client) -> None:
    several = PEOPLE | {"select": [{"column": [{"name": "given", "path": "name.given"}]}]}
    started = client.post(KICK_OFF, json=_asked(several), headers=ASYNC)
    refused = _done(client, started)
    assert refused.status_code == 422
    assert "given" in refused.json()["issue"][0]["details"]["text"]


def test_an_export_is_cancelled_by_delete(client: httpx.Client) -> None:
    started = client.post(KICK_OFF, json=_asked(PEOPLE), headers=ASYNC)
    address = started.headers["content-location"]
    assert client.delete(address).status_code == 202
    assert client.get(address).status_code == 404


@pytest.mark.parametrize(
    ("sent", "headers", "status", "expression"),
    [
        (_asked(PEOPLE), {}, 400, None),
        (_asked(), ASYNC, 400, ["view"]),
        (_asked(PEOPLE, PEOPLE), ASYNC, 400, ["view[1].name"]),
        (_asked(PEOPLE | {"name": "deleted"}), ASYNC, 400, ["view[0].name"]),
        (_asked(PEOPLE | {"name": "OperationOutcome"}), ASYNC, 400, ["view[0].name"]),
        (_asked(PEOPLE, _format="xlsx"), ASYNC, 400, ["_format"]),
        (_asked(PEOPLE | {"select": []}), ASYNC, 422, ["ViewDefinition.select"]),
    ],
)
def test_what_cannot_be_exported_is_refused_at_once(
    client: httpx.Client,
    sent: dict[str, Any],
    headers: dict[str, str],
    status: int,
    expression: list[str] | None,
) -> None:
    refused = client.post(KICK_OFF, json=sent, headers=headers)
    assert refused.status_code == status, refused.text
    assert refused.json()["issue"][0].get("expression") == expression


def _exported(client: httpx.Client, **asked: str) -> dict[str, Any]:
    """The manifest of an export as Parquet, an extension of ours."""
    params = {"_outputFormat": "parquet", **asked}
    address = client.get("/$export", params=params, headers=ASYNC).headers["content-location"]
    while (answer := client.get(address)).status_code == 202:
        time.sleep(0.1)
    manifest: dict[str, Any] = answer.json()
    return manifest


def _table(client: httpx.Client, file: dict[str, Any]) -> list[dict[str, Any]]:
    content = client.get(file["url"]).content
    assert file["fileSize"] == len(content)
    rows: list[dict[str, Any]] = pyarrow.parquet.read_table(io.BytesIO(content)).to_pylist()
    assert file["count"] == len(rows)
    return rows


def test_resources_are_exported_as_tables_too(client: httpx.Client) -> None:
    """A row for each; of what was deleted since, the Bundle that would delete it."""
    manifest = _exported(client, _type="Observation,Patient")
    rows = {file["type"]: _table(client, file) for file in manifest["output"]}
    (row,) = rows["Observation"]
    assert (row["id"], row["patient"]) == ("w", "Patient/a")
    assert json.loads(row["json"]) == client.get("/Observation/w").json()
    assert {row["patient"] for row in rows["Patient"]} == {f"Patient/{id_}" for id_ in "abc"}
    client.put("/Patient/d", json=resident(id="d"))
    client.delete("/Patient/d")
    since = _exported(client, _since=manifest["transactionTime"], _type="Patient")
    (deleted,) = [row for file in since["deleted"] for row in _table(client, file)]
    assert json.loads(deleted["json"])["entry"][0]["request"]["url"] == "Patient/d"


def _command(server: Server, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "ehr_server", "export", *options]
    assert server.database_url is not None
    return subprocess.run(
        [*command, f"--database-url={server.database_url}"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_the_command_writes_the_tables_of_views(server: Server, tmp_path: Path) -> None:
    for name, definition in (("people", PEOPLE), ("weights", WEIGHTS)):
        (tmp_path / f"{name}.json").write_text(json.dumps(definition))
    views = [f"--view={tmp_path / name}.json" for name in ("people", "weights")]
    out = tmp_path / "out"
    done = _command(server, "--out", str(out), *views, "--format=parquet")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("4 rows in 2 files")
    names = sorted(path.name for path in out.glob("*.parquet"))
    assert [name.split(".")[0] for name in names] == ["people", "weights"]
    table = pyarrow.parquet.read_table(out / names[0])
    assert sorted(table.column("id").to_pylist()) == ["a", "b", "c"]
    again = _command(server, "--out", str(out), views[1], "--format=csv")
    assert again.returncode == 0, again.stderr
    assert [path.name.split(".")[-1] for path in out.glob("*.*.*")] == ["csv"]


def test_the_command_tells_what_is_wrong_with_a_view(server: Server, tmp_path: Path) -> None:
    file = tmp_path / "view.json"
    file.write_text(json.dumps(PEOPLE | {"where": [{"path": "gendre"}]}))
    done = _command(server, "--out", str(tmp_path / "out"), f"--view={file}")
    assert done.returncode == 1
    assert "ViewDefinition.where[0].path" in done.stderr
    assert not (tmp_path / "out").exists()
