"""$export: https://hl7.org/fhir/uv/bulkdata/export.html"""

import signal
from pathlib import Path
from typing import Any

import httpx
import pytest

from api.exports import ASYNC, finished, manifest_at
from api.merges import merged
from api.patients import resident, weight
from databases import PostgreSQL
from ehr_server.fhir import json
from servers import client_of, serving

pytestmark = pytest.mark.smoke

NDJSON = "application/fhir+ndjson"


def test_kick_off_status_manifest_download(client: httpx.Client) -> None:
    patient = client.put("/Patient/a", json=resident(id="a")).json()
    observation = client.put(
        "/Observation/o",
        content=json.write(weight("Patient/a", "52.50") | {"id": "o"}),
        headers={"Content-Type": "application/fhir+json"},
    )
    kicked = client.get("/$export", params={"_type": "Patient,Observation"}, headers=ASYNC)
    assert kicked.status_code == 202
    manifest = finished(client, kicked)
    assert manifest["requiresAccessToken"] is False
    assert manifest["request"].endswith("/fhir/$export?_type=Patient%2CObservation")
    assert manifest["error"] == []
    assert manifest["transactionTime"] >= patient["meta"]["lastUpdated"]
    lines = _lines(client, manifest)
    assert json.read(lines["Patient"][0]) == patient
    assert lines["Observation"] == [observation.content], "byte for byte, 52.50 included"
    for file in manifest["output"]:
        assert file["count"] == len(lines[file["type"]])


def test_files_are_ndjson_and_of_the_manifest_only(client: httpx.Client) -> None:
    client.put("/Patient/a", json=resident(id="a"))
    kicked = client.get("/$export", headers=ASYNC)
    manifest = finished(client, kicked)
    file = client.get(manifest["output"][0]["url"], headers={"Accept": NDJSON})
    assert file.headers["content-type"] == NDJSON
    status = kicked.headers["content-location"]
    assert client.get(f"{status}/Patient.999999.ndjson").status_code == 404
    assert client.get(f"{status}/..%2F..%2Fetc%2Fpasswd").status_code == 404


def test_patient_level_leaves_out_what_is_no_patients(client: httpx.Client) -> None:
    client.put("/Patient/a", json=resident(id="a"))
    client.put("/Organization/clinic", json={"resourceType": "Organization", "id": "clinic",
                                             "name": "Trạm y tế"})  # fmt: skip
    client.put("/Observation/w", json=_plain(weight("Patient/a") | {"id": "w"}))
    manifest = finished(client, client.get("/Patient/$export", headers=ASYNC))
    assert {"Patient", "Observation"} <= {file["type"] for file in manifest["output"]}
    assert "Organization" not in {file["type"] for file in manifest["output"]}
    whole = finished(client, client.get("/$export", headers=ASYNC))
    assert "Organization" in {file["type"] for file in whole["output"]}


def test_records_that_were_merged_are_both_there(client: httpx.Client) -> None:
    """Each resource once, with its references as they were sent."""
    source, target = (client.post("/Patient", json=resident()).json()["id"] for _ in range(2))
    seen = {
        client.post(
            "/Observation",
            content=json.write(weight(f"Patient/{one}")),
            headers={"Content-Type": "application/fhir+json"},
        ).content
        for one in (source, target)
    }
    merged(client, source, target)
    kicked = client.get("/Patient/$export?_type=Patient,Observation", headers=ASYNC)
    lines = _lines(client, finished(client, kicked))
    assert seen <= set(lines["Observation"])
    for one in (source, target):
        assert lines["Patient"].count(client.get(f"/Patient/{one}").content) == 1


def test_parameters_may_be_posted(client: httpx.Client) -> None:
    client.put("/Patient/a", json=resident(id="a"))
    parameters = {
        "resourceType": "Parameters",
        "parameter": [
            {"name": "_type", "valueString": "Patient"},
            {"name": "_outputFormat", "valueString": NDJSON},
        ],
    }
    manifest = finished(client, client.post("/$export", json=parameters, headers=ASYNC))
    assert {file["type"] for file in manifest["output"]} == {"Patient"}


def test_since_the_last_export(client: httpx.Client) -> None:
    """What changed after a transactionTime, and what was deleted."""
    for id_ in ("kept", "changed", "gone"):
        client.put(f"/Patient/{id_}", json=resident(id=id_))
    first = finished(client, client.get("/$export", params={"_type": "Patient"}, headers=ASYNC))
    assert "deleted" not in first
    client.put("/Patient/changed", json=resident(id="changed", active=True))
    client.delete("/Patient/gone")
    second = finished(
        client,
        client.get(
            "/$export",
            params={"_type": "Patient", "_since": first["transactionTime"]},
            headers=ASYNC,
        ),
    )
    assert [json.read(line)["id"] for line in _lines(client, second)["Patient"]] == ["changed"]
    (deleted,) = second["deleted"]
    entries = [
        json.read(line)["entry"][0]["request"]
        for line in client.get(deleted["url"]).content.splitlines()
    ]
    assert entries == [{"method": "DELETE", "url": "Patient/gone"}]


@pytest.mark.parametrize(
    ("address", "query", "said"),
    [
        ("/$export", "_elements=id,nonsense", "nonsense"),
        ("/$export", "organizeOutputBy=Practitioner", "organizeOutputBy"),
        ("/$export", "includeAssociatedData=_mine", "includeAssociatedData"),
        ("/$export", "_typeFilter=Observation%3Fnonsense%3D1", "nonsense"),
        ("/$export", "_typeFilter=Observation%3Fdate%3Dyesterday", "date"),
        ("/$export", "_typeFilter=Observation%3F_sort%3Ddate%26status%3Dfinal", "_sort"),
        ("/Patient/$export", "patient=Patient/nobody", "Patient/nobody"),
        ("/$export", "patient=Patient/1", "patient"),
        ("/$export", "_typeFilter=Patient", "_typeFilter"),
        ("/$export", "_type=Patient,Nonsense", "Nonsense"),
        ("/Patient/$export", "_type=Organization", "Organization"),
        ("/$export", "_since=yesterday", "_since"),
        ("/$export", "_outputFormat=text/csv", "_outputFormat"),
    ],
)
def test_what_is_not_understood_is_400_and_named(
    client: httpx.Client, address: str, query: str, said: str
) -> None:
    refused = client.get(f"{address}?{query}", headers=ASYNC)
    assert refused.status_code == 400
    outcome = refused.json()
    assert outcome["resourceType"] == "OperationOutcome"
    assert said in outcome["issue"][0]["diagnostics"]


def test_lenient_handling_ignores_what_is_not_known(client: httpx.Client) -> None:
    prefer = {"Prefer": "respond-async, handling=lenient"}
    kicked = client.get("/$export?_nonsense=id&_outputFormat=ndjson", headers=prefer)
    assert kicked.status_code == 202


def test_only_in_the_background(client: httpx.Client) -> None:
    refused = client.get("/$export")
    assert refused.status_code == 400
    assert "respond-async" in refused.json()["issue"][0]["diagnostics"]


def test_a_body_that_is_no_parameters_is_400(client: httpx.Client) -> None:
    refused = client.post("/$export", json=resident(), headers=ASYNC)
    assert refused.status_code == 400


def test_an_unknown_job_is_404(client: httpx.Client) -> None:
    for method in ("GET", "DELETE"):
        missing = client.request(method, "/$export-status/nothing")
        assert missing.status_code == 404
        assert missing.json()["resourceType"] == "OperationOutcome"


def test_delete_removes_job_and_files(client: httpx.Client) -> None:
    client.put("/Patient/a", json=resident(id="a"))
    kicked = client.get("/$export", headers=ASYNC)
    manifest = finished(client, kicked)
    status = kicked.headers["content-location"]
    assert client.delete(status).status_code == 202
    assert client.get(status).status_code == 404
    assert client.get(manifest["output"][0]["url"]).status_code == 404
    assert client.delete(status).status_code == 404


def test_the_operations_are_in_the_statement(client: httpx.Client) -> None:
    rest = client.get("/metadata").json()["rest"][0]
    assert "export" in [operation["name"] for operation in rest["operation"]]
    patient = next(one for one in rest["resource"] if one["type"] == "Patient")
    assert "export" in [operation["name"] for operation in patient["operation"]]


def test_a_job_without_worker_waits_and_a_killed_server_loses_none(
    given_postgresql: PostgreSQL, tmp_path: Path
) -> None:
    with given_postgresql.database() as url:
        settings = {"export_dir": str(tmp_path), "lease_s": "1"}
        with serving(url, "--no-worker", **settings) as server, client_of(server) as client:
            client.put("/Patient/a", json=resident(id="a"))
            kicked = client.get("/$export", headers=ASYNC)
            status = client.get(kicked.headers["content-location"])
            assert status.status_code == 202
            assert "waiting" in status.headers["x-progress"]
            assert int(status.headers["retry-after"]) > 0
            server.process.send_signal(signal.SIGKILL)
            server.process.wait()
        with serving(url, **settings) as server, client_of(server) as client:
            location = kicked.headers["content-location"].rpartition("/fhir")[2]
            manifest = manifest_at(client, location)
            assert {file["type"] for file in manifest["output"]} == {"Patient"}


def _lines(client: httpx.Client, manifest: dict[str, Any]) -> dict[str, list[bytes]]:
    found: dict[str, list[bytes]] = {}
    for file in manifest["output"]:
        found.setdefault(file["type"], []).extend(client.get(file["url"]).content.splitlines())
    return found


def _plain(resource: dict[str, Any]) -> dict[str, Any]:
    quantity = resource["valueQuantity"]
    return {**resource, "valueQuantity": {**quantity, "value": float(quantity["value"])}}


def test_head_starts_nothing(client: httpx.Client) -> None:
    """RFC 9110 9.2.1: HEAD is safe."""
    answer = client.head("/$export", headers={"Prefer": "respond-async"})
    assert answer.status_code == 405
