"""$import: https://github.com/smart-on-fhir/bulk-import/blob/master/import.md

The request in the form of that proposal, in that of HAPI and Microsoft (Parameters), and with the
NDJSON as its body.
"""

import gzip
import signal
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

from api.importing import counts, record, written
from api.patients import resident, weight
from databases import PostgreSQL
from ehr_server.fhir import json
from servers import Server, client_of, serving

ASYNC = {"Prefer": "respond-async"}
NDJSON = {"Content-Type": "application/fhir+ndjson"}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the server may import from."""
    return tmp_path_factory.mktemp("incoming")


@pytest.fixture(scope="module")
def other() -> Iterator["Other"]:
    """Another server, which has files to fetch."""
    with Other() as started:
        yield started


@pytest.fixture(scope="module")
def server(module_database: str, files: Path, other: "Other") -> Iterator[Server]:
    settings = {
        "import_dir": str(files),
        "import_origins": other.origin,
        "import_bytes_max": str(4 << 20),
        "import_workers": "1",
    }
    with serving(module_database, **settings) as started:
        yield started


class Other:
    """Serves `paths`: bytes as they are, or a status."""

    def __init__(self) -> None:
        self.paths: dict[str, bytes | int] = {}
        self.asked: list[str] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.asked.append(self.path)
                found = outer.paths.get(self.path, 404)
                if isinstance(found, int):
                    self.send_response(found)
                    self.send_header("Location", "http://127.0.0.1:1/elsewhere")
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                    return
                self.send_response(200)
                if found[:2] == b"\x1f\x8b":
                    self.send_header("Content-Encoding", "gzip")
                self.send_header("Content-Length", str(len(found)))
                self.end_headers()
                self.wfile.write(found)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.origin = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> "Other":
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


def test_a_request_as_the_proposal_has_it(client: httpx.Client, files: Path) -> None:
    """#body-json-fields, #response---complete-status: output and error correspond to the input."""
    written(files / "patients.ndjson", resident(id="r1"), resident(id="r2", gender="man"))
    written(files / "weights.ndjson", weight("Patient/r1") | {"id": "rw"})
    kicked = client.post(
        "/$import",
        json={
            "inputFormat": "application/fhir+ndjson",
            "inputSource": "https://his.example.vn",
            "storageDetail": {"type": "https"},
            "input": [
                {"type": "Patient", "url": "patients.ndjson"},
                {"type": "Observation", "url": "file:weights.ndjson"},
            ],
        },
        headers=ASYNC,
    )
    result = _finished(client, kicked)
    assert result["request"].endswith("/fhir/$import")
    assert [(one["inputUrl"], one["count"]) for one in result["output"]] == [
        ("patients.ndjson", 1),
        ("weights.ndjson", 1),
    ]
    (error,) = result["error"]
    assert (error["inputUrl"], error["count"], error["type"]) == (
        "patients.ndjson",
        1,
        "OperationOutcome",
    )
    report = client.get(error["url"])
    assert report.headers["content-type"] == "application/fhir+ndjson"
    (issue,) = json.read(report.content)["issue"]
    assert (issue["severity"], issue["expression"]) == ("error", ["Patient.gender"])
    assert {"valueInteger": 2}.items() <= issue["extension"][1].items()
    assert client.get("/Patient/r2").status_code == 404
    kept = client.get("/Patient/r1").json()
    assert kept["meta"]["source"] == "https://his.example.vn", "#preserving-resource-provenance"
    assert client.get("/Observation?patient=r1").json()["total"] == 1


def test_parameters_as_other_servers_take_them(client: httpx.Client, files: Path) -> None:
    written(files / "p.ndjson", resident(id="q1"))
    parameters = {
        "resourceType": "Parameters",
        "parameter": [
            {"name": "inputFormat", "valueCode": "application/fhir+ndjson"},
            {"name": "inputSource", "valueUri": "http://example.com/"},
            {"name": "storageDetail", "part": [{"name": "type", "valueCode": "https"}]},
            {"name": "mode", "valueString": "IncrementalLoad"},
            {"name": "input", "part": [{"name": "type", "valueCode": "Patient"},
                                       {"name": "url", "valueUri": "p.ndjson"}]},
        ],
    }  # fmt: skip
    for stored, same in ((1, 0), (0, 1)):
        result = _finished(client, client.post("/$import", json=parameters, headers=ASYNC))
        assert (result["extension"]["stored"], result["extension"]["same"]) == (stored, same)


@pytest.mark.parametrize("packed", [False, True])
def test_the_lines_themselves_as_the_body(client: httpx.Client, packed: bool) -> None:
    """With what is wished for in the address."""
    body = b"\n".join(map(json.write, record([10 + packed])))
    headers = ASYNC | NDJSON
    if packed:
        body, headers = gzip.compress(body), headers | {"Content-Encoding": "gzip"}
    kicked = client.post("/$import?dangling=remove", content=body, headers=headers)
    result = _finished(client, kicked)
    assert [one["count"] for one in result["output"]] == [4]
    assert client.get(f"/Observation?patient=p{10 + packed}").json()["total"] == 3


def test_a_body_larger_than_the_limit_leaves_nothing(client: httpx.Client) -> None:
    def pieces() -> Iterator[bytes]:
        for _ in range(100):
            yield b"x" * 65_536

    for body in (pieces(), b"x" * (5 << 20)):
        refused = client.post("/$import", content=body, headers=ASYNC | NDJSON)
        assert refused.status_code == 413
        assert "import_bytes_max" in refused.json()["issue"][0]["diagnostics"]


def test_an_upload_that_is_refused_is_not_kept(client: httpx.Client) -> None:
    for query, headers, status in (("?ids=mine", ASYNC, 400), ("", {}, 400)):
        refused = client.post(f"/$import{query}", content=b"{}", headers=headers | NDJSON)
        assert refused.status_code == status
    odd = ASYNC | NDJSON | {"Content-Encoding": "br"}
    assert client.post("/$import", content=b"{}", headers=odd).status_code == 415


def test_a_manifest_of_another_server(client: httpx.Client, other: Other) -> None:
    """https://hl7.org/fhir/uv/bulkdata/export.html#response---complete-status, deletions too."""
    client.put("/Patient/m2", json=resident(id="m2"))
    entry = {"request": {"method": "DELETE", "url": "Patient/m2"}}
    gone = {"resourceType": "Bundle", "type": "transaction", "entry": [entry]}
    other.paths = {
        "/manifest": json.write({
            "transactionTime": "2026-11-26T00:00:00Z",
            "output": [{"type": "Patient", "url": f"{other.origin}/p?sig=secret"}],
            "deleted": [{"type": "Bundle", "url": f"{other.origin}/d.ndjson"}],
        }),
        "/p?sig=secret": gzip.compress(json.write(resident(id="m1"))),
        "/d.ndjson": json.write(gone),
    }  # fmt: skip
    kicked = client.post("/$import", json={"manifest": f"{other.origin}/manifest"}, headers=ASYNC)
    result = _finished(client, kicked)
    assert [one["count"] for one in result["output"]] == [1, 1]
    assert client.get("/Patient/m1").status_code == 200
    assert client.get("/Patient/m2").status_code == 410


def test_files_of_another_server(client: httpx.Client, other: Other) -> None:
    other.paths = {"/a.ndjson": json.write(resident(id="f1"))}
    body = {"input": [{"type": "Patient", "url": f"{other.origin}/a.ndjson"}]}
    result = _finished(client, client.post("/$import", json=body, headers=ASYNC))
    assert result["output"][0]["inputUrl"] == f"{other.origin}/a.ndjson"
    assert client.get("/Patient/f1").status_code == 200


@pytest.mark.parametrize(
    "answer", [404, 302, b"no manifest", b'{"output":[{"url":"http://127.0.0.1:1/x"}]}']
)
def test_what_cannot_be_fetched_fails_with_the_reason(
    client: httpx.Client, other: Other, answer: bytes | int
) -> None:
    """A redirect is not followed, nor an address of another origin in a manifest."""
    other.paths = {"/m": answer}
    kicked = client.post("/$import", json={"manifest": f"{other.origin}/m"}, headers=ASYNC)
    status = _ended(client, kicked)
    assert status.status_code == 500
    assert "127.0.0.1" in status.json()["issue"][0]["diagnostics"]


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:1/a",
        "http://localhost/a",
        "https://user:secret@127.0.0.1/a",
        "http://[::1",
        "http://169.254.169.254/latest/meta-data",
    ],
)
def test_no_other_origin_is_asked(client: httpx.Client, url: str) -> None:
    for body in ({"input": [{"type": "Patient", "url": url}]}, {"manifest": url}):
        refused = client.post("/$import", json=body, headers=ASYNC)
        assert refused.status_code == 422
        assert "import_origins" in refused.json()["issue"][0]["diagnostics"]


@pytest.mark.parametrize(
    "url",
    ["../secret.ndjson", "a/../../secret.ndjson", "/etc/passwd", "file:///etc/passwd",
     "link.ndjson", "linked/secret.ndjson", "nothing.ndjson", "%2e%2e/secret.ndjson",
     "ftp://x/y"],
)  # fmt: skip
def test_no_path_leads_out_of_the_folder(client: httpx.Client, files: Path, url: str) -> None:
    outside = files.parent / "secret.ndjson"
    outside.write_bytes(json.write(resident(id="secret")))
    if not (files / "link.ndjson").exists():
        (files / "link.ndjson").symlink_to(outside)
        (files / "linked").symlink_to(files.parent)
    body = {"input": [{"type": "Patient", "url": url}]}
    refused = client.post("/$import", json=body, headers=ASYNC)
    assert refused.status_code == 422
    assert client.get("/Patient/secret").status_code == 404


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({}, "input"),
        ({"input": []}, "input"),
        ({"input": "a"}, "input"),
        ({"input": [{"type": "Patient"}]}, "input.url"),
        ({"input": [{"url": "a"}], "inputFormat": "application/fhir+parquet"}, "inputFormat"),
        ({"input": [{"url": "a"}], "storageDetail": {"type": "aws-s3"}}, "type"),
        ({"input": [{"url": "a"}], "storageDetail": 5}, "storageDetail"),
        ({"input": [{"url": "a"}], "mode": "Whatever"}, "mode"),
        ({"input": [{"url": "a"}], "ids": "mine"}, "ids"),
        ({"input": [{"url": "a"}], "stopOnError": "perhaps"}, "stopOnError"),
        ({"input": [{"url": "a"}], "colour": "red"}, "colour"),
        ({"input": [{"url": "a"}], "inputSource": ""}, "inputSource"),
    ],
)
def test_what_is_not_understood_is_400_and_named(
    client: httpx.Client, body: dict[str, Any], said: str
) -> None:
    refused = client.post("/$import", json=body, headers=ASYNC)
    assert refused.status_code == 400
    assert refused.json()["issue"][0]["diagnostics"].startswith(said)


def test_only_in_the_background_and_only_by_post(client: httpx.Client) -> None:
    refused = client.post("/$import", json={"input": [{"url": "a"}]})
    assert refused.status_code == 400
    assert "respond-async" in refused.json()["issue"][0]["diagnostics"]
    assert client.get("/$import", headers=ASYNC).status_code == 405


def test_without_a_folder_no_file_is_read(shared_client: httpx.Client) -> None:
    body = {"input": [{"type": "Patient", "url": "a.ndjson"}]}
    refused = shared_client.post("/$import", json=body, headers=ASYNC)
    assert refused.status_code == 422
    assert "import_dir" in refused.json()["issue"][0]["diagnostics"]


def test_delete_removes_job_and_reports(client: httpx.Client, files: Path) -> None:
    written(files / "d.ndjson", b"{broken")
    body = {"input": [{"type": "Patient", "url": "d.ndjson"}]}
    kicked = client.post("/$import", json=body, headers=ASYNC)
    report = _finished(client, kicked)["error"][0]["url"]
    status = kicked.headers["content-location"]
    assert client.get(f"{status}/..%2F..%2Fetc%2Fpasswd").status_code == 404
    assert client.delete(status).status_code == 202
    assert client.get(status).status_code == 404
    assert client.get(report).status_code == 404
    assert client.get("/$import-status/nothing").status_code == 404


def test_it_is_in_the_statement(client: httpx.Client) -> None:
    rest = client.get("/metadata").json()["rest"][0]
    assert "import" in [operation["name"] for operation in rest["operation"]]


@pytest.mark.parametrize("kills", [2, pytest.param(10, marks=pytest.mark.slow)])
def test_a_killed_server_goes_on_and_the_result_is_the_same(
    given_postgresql: PostgreSQL, folder: Path, kills: int
) -> None:
    """Kept on disk with 202, done by whichever worker comes next."""
    people = 900 if kills == 2 else 3_000
    written(folder / "a.ndjson", *record(range(people), weights=14))
    total = people * 15
    settings = {"import_dir": str(folder), "data_dir": str(folder / "data"), "lease_s": "1"}
    with given_postgresql.database() as url:
        location = ""
        for number in range(kills):
            with serving(url, **settings) as server, client_of(server) as client:
                if not location:
                    body = {"input": [{"type": "Patient", "url": "a.ndjson"}]}
                    kicked = client.post("/$import", json=body, headers=ASYNC)
                    location = kicked.headers["content-location"].rpartition("/fhir")[2]
                end = time.monotonic() + 60
                while counts(url)[0] <= total * number // (kills + 1):
                    assert time.monotonic() < end, "it does not get on"
                    time.sleep(0.05)
                status = client.get(location)
                assert (status.status_code, "x-progress" in status.headers) == (202, True)
                server.process.send_signal(signal.SIGKILL)
                server.process.wait()
        with serving(url, **settings) as server, client_of(server) as client:
            result = _wait(client, location)
        assert counts(url) == (total, total)
        done = result["extension"]
        assert done["stored"] + done["same"] == total
        assert (done["refused"], done["dangling"]) == (0, 0)
        assert result["output"][0]["count"] == total


def test_a_file_that_is_another_after_a_kill_is_told(
    given_postgresql: PostgreSQL, folder: Path
) -> None:
    """Parts are stretches of it: gone on with, they would be other lines."""
    file = written(folder / "a.ndjson", *record(range(600), weights=14))
    settings = {"import_dir": str(folder), "data_dir": str(folder / "data"), "lease_s": "1"}
    with given_postgresql.database() as url:
        with serving(url, **settings) as server, client_of(server) as client:
            body = {"input": [{"type": "Patient", "url": "a.ndjson"}]}
            kicked = client.post("/$import", json=body, headers=ASYNC)
            end = time.monotonic() + 60
            while not counts(url)[0]:
                assert time.monotonic() < end
                time.sleep(0.05)
            server.process.send_signal(signal.SIGKILL)
            server.process.wait()
        file.write_bytes(json.write(resident(id="before")) + b"\n" + file.read_bytes())
        location = kicked.headers["content-location"].rpartition("/fhir")[2]
        with serving(url, **settings) as server, client_of(server) as client:
            failed = _until_over(client, location)
    assert failed.status_code == 500
    assert "a.ndjson is not the file any more" in failed.json()["issue"][0]["diagnostics"]


def _finished(client: httpx.Client, kicked: httpx.Response) -> dict[str, Any]:
    assert kicked.status_code == 202, kicked.text
    return _wait(client, kicked.headers["content-location"])


def _wait(client: httpx.Client, location: str) -> dict[str, Any]:
    status = _until_over(client, location)
    assert status.status_code == 200, status.text
    assert status.headers["content-type"].startswith("application/json")
    assert status.headers["expires"].endswith("GMT")
    found: dict[str, Any] = status.json()
    return found


def _ended(client: httpx.Client, kicked: httpx.Response) -> httpx.Response:
    assert kicked.status_code == 202, kicked.text
    return _until_over(client, kicked.headers["content-location"])


def _until_over(client: httpx.Client, location: str) -> httpx.Response:
    end = time.monotonic() + 90
    while time.monotonic() < end:
        status = client.get(location)
        if status.status_code != 202:
            return status
        assert len(status.headers["x-progress"]) <= 100
        time.sleep(0.05)
    raise AssertionError("the import does not end")
