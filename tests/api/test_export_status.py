"""The status of $export, and manifests in pages.

https://hl7.org/fhir/uv/bulkdata/export.html#bulk-data-status-request
"""

import gzip
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from api.exports import ASYNC, exported, kicked_off
from api.patients import resident
from ehr_server import clock
from ehr_server.operations.export.status import PAGE_PARTS
from ehr_server.store import queue
from ehr_server.store.connect import Store
from ehr_server.store.files import NO_ROOM, File
from ehr_server.store.queue import Part
from servers import ENCRYPTION_KEY, Server, serving


@pytest.fixture(scope="module")
def export_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("export")


@pytest.fixture(scope="module")
def server(module_database: str, export_dir: Path) -> Iterator[Server]:
    with serving(module_database, export_dir=str(export_dir)) as started:
        yield started


@pytest.fixture
def still(given_postgresql: Any, tmp_path: Path) -> Iterator[tuple[httpx.Client, Store]]:
    """A server that does no jobs, and its database."""
    with (
        given_postgresql.database() as url,
        serving(url, "--no-worker", export_dir=str(tmp_path)) as started,
        httpx.Client(base_url=started.fhir, timeout=30) as client,
        closing(Store(url, encryption_key=ENCRYPTION_KEY)) as store,
    ):
        yield client, store


def _parts_done(store: Store, id_: str, numbers: range) -> None:
    """A worker's work: so many parts with a file each."""
    with store.connection() as connection:
        job = queue.find(connection, id_)
        assert job is not None
        if job.state == queue.QUEUED:
            job = queue.claim(connection, ["export"], 60)
            assert job is not None
        for number in numbers:
            file = File(f"Patient.{number:06}.ndjson", "Patient", 1, 10, "00", is_gzip=True)
            queue.add_part(connection, job, Part(number, {}, {"files": [file.as_json()]}), {})


def _end(store: Store, id_: str, state: str, progress: dict[str, Any]) -> None:
    with store.connection() as connection:
        job = queue.find(connection, id_)
        assert job is not None
        assert queue.finish(connection, job, state, progress)


def _names(manifest: dict[str, Any]) -> list[str]:
    return [file["url"].rpartition("/")[2] for file in manifest["output"]]


def test_until(client: httpx.Client) -> None:
    """ "Resources will be included in the response if their state has changed before the supplied
    time"; a resource is meant as it is now, so one that changed later is left out."""
    early, changed = (client.post("/Patient", json=resident()).json() for _ in range(2))
    time.sleep(0.01)
    until = clock.instant(clock.now())
    client.put(f"/Patient/{changed['id']}", json={**changed, "active": True})
    client.post("/Patient", json=resident())
    manifest = exported(client, _type="Patient", _until=until)
    lines = [one for file in manifest["output"] for one in client.get(file["url"]).text.split("\n")]
    assert early["id"] in "".join(lines)
    assert changed["id"] not in "".join(lines)
    assert sum(file["count"] for file in manifest["output"]) == 1


@pytest.mark.parametrize("name", ["_since", "_until"])
def test_moments_that_cannot_be_meant(client: httpx.Client, name: str) -> None:
    later = clock.instant(clock.now() + timedelta(days=1))
    asked = {"_since": later} if name == "_since" else {"_since": "2020-01-02", "_until": "2020"}
    refused = client.get("/$export", params=asked, headers=ASYNC)
    assert refused.status_code == 400
    assert name in refused.json()["issue"][0]["diagnostics"]
    assert refused.json()["issue"][0]["expression"] == [name]


def test_the_status_of_the_job_apart_from_that_of_the_request(client: httpx.Client) -> None:
    """Prefer: separate-export-status: "the HTTP status code in the response to this request SHALL
    reflect the status request itself", and X-Export-Status the job."""
    prefer = {"Prefer": "respond-async,separate-export-status"}
    kicked = client.get("/$export?_type=Patient", headers=prefer)
    assert kicked.headers["preference-applied"] == "respond-async, separate-export-status"
    seen = set()
    while "200 OK" not in seen:
        status = client.get(kicked.headers["content-location"])
        assert status.status_code == 200
        seen.add(status.headers["x-export-status"])
        assert seen <= {"202 Accepted", "200 OK"}
    assert status.json()["transactionTime"]


def test_a_failure_is_told_with_its_reason(still: tuple[httpx.Client, Store]) -> None:
    client, store = still
    status = kicked_off(client)
    id_ = status.rpartition("/")[2]
    _parts_done(store, id_, range(1))
    _end(store, id_, queue.FAILED, {"trouble": NO_ROOM})
    failed = client.get(status, headers={"Accept-Language": "vi"})
    assert failed.status_code == 500
    (issue,) = failed.json()["issue"]
    assert issue["code"] == "no-store"
    assert "ổ đĩa" in issue["details"]["text"]
    assert "full" in issue["diagnostics"]


def test_expiry_counts_from_the_end(still: tuple[httpx.Client, Store]) -> None:
    """ "An Expires header indicating when the files listed will no longer be available for
    access": one that waited for two days is there for as long as any other."""
    client, store = still
    status = kicked_off(client)
    id_ = status.rpartition("/")[2]
    with store.connection() as connection:
        connection.execute("update job set made = made - interval '49 hours'")
    _parts_done(store, id_, range(1))
    _end(store, id_, queue.DONE, {})
    expires = clock.of_http_date(client.get(status).headers["expires"])
    assert expires is not None
    assert timedelta(hours=47) < expires - clock.now() <= timedelta(hours=48)


def test_how_far_it_is(still: tuple[httpx.Client, Store]) -> None:
    client, store = still
    status = kicked_off(client)
    assert client.get(status).headers["x-progress"] == "waiting for a worker"
    _parts_done(store, status.rpartition("/")[2], range(1))
    answer = client.get(status)
    assert answer.status_code == 202
    assert len(answer.headers["x-progress"]) < 100
    assert int(answer.headers["retry-after"]) >= 1


def test_a_manifest_in_pages(still: tuple[httpx.Client, Store]) -> None:
    """allowPartialManifests: "Prior to all of the files in the export being available, the server
    MAY return a manifest with files that are available along with a 202 Accepted HTTP response
    status, and subsequently update the manifest with a paging link to a new manifest"."""
    client, store = still
    status = kicked_off(client, allowPartialManifests="true")
    id_ = status.rpartition("/")[2]
    _parts_done(store, id_, range(PAGE_PARTS - 1))
    assert client.get(status).content == b"", "the first page is not complete"

    _parts_done(store, id_, range(PAGE_PARTS - 1, PAGE_PARTS + 1))
    early = client.get(status)
    assert early.status_code == 202
    assert early.headers["content-type"] == "application/json"
    assert len(_names(early.json())) == PAGE_PARTS
    assert "link" not in early.json()
    assert client.get(f"{status}?page=2").status_code == 404

    _end(store, id_, queue.DONE, {})
    first = client.get(status)
    assert first.status_code == 200
    (link,) = first.json()["link"]
    assert link["relation"] == "next"
    second = client.get(link["url"]).json()
    assert _names(second) == [f"Patient.{PAGE_PARTS:06}.ndjson"]
    assert "link" not in second
    without = ("output", "link")
    assert {name: value for name, value in first.json().items() if name not in without} == {
        name: value for name, value in second.items() if name not in without
    }, "All fields in the linked manifest SHALL be populated with the same values"


def test_one_manifest_where_pages_were_not_allowed(still: tuple[httpx.Client, Store]) -> None:
    client, store = still
    status = kicked_off(client)
    id_ = status.rpartition("/")[2]
    _parts_done(store, id_, range(PAGE_PARTS + 5))
    assert client.get(status).content == b""
    _end(store, id_, queue.DONE, {})
    manifest = client.get(status).json()
    assert len(_names(manifest)) == PAGE_PARTS + 5
    assert "link" not in manifest


def test_a_manifest_is_sent_as_gzip(still: tuple[httpx.Client, Store]) -> None:
    """One of a large record lists thousands of files."""
    client, store = still
    status = kicked_off(client)
    id_ = status.rpartition("/")[2]
    _parts_done(store, id_, range(20))
    _end(store, id_, queue.DONE, {})
    plain = client.get(status, headers={"Accept-Encoding": "identity"})
    with client.stream("GET", status, headers={"Accept-Encoding": "gzip"}) as answer:
        raw = b"".join(answer.iter_raw())
    assert answer.headers["content-encoding"] == "gzip"
    assert "accept-encoding" in answer.headers["vary"].lower()
    assert len(raw) < len(plain.content) / 5
    assert gzip.decompress(raw) == plain.content
