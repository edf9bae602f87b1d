"""An export that is disturbed: workers killed, the database away, the disk full, a receiver who
has changed its mind. What comes out is what an undisturbed one gives, or nothing.

https://hl7.org/fhir/uv/bulkdata/export.html
"""

import os
import re
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
import psycopg
import pytest

import full_disk
from api.patients import resident
from api.received import ASYNC, downloaded, export, kick_off, manifest_of
from databases import PostgreSQL
from ehr_server.store.embedded import running
from growth.load import load
from growth.record import Part
from servers import Server, serving, working

_RESIDENTS = 150  # about 60 resources each
_END_S = 60


@pytest.fixture(scope="module")
def export_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("export")


@pytest.fixture(scope="module")
def server(module_database: str, export_dir: Path) -> Iterator[Server]:
    """A server without a worker, on a record of thousands of resources."""
    load(module_database, Part(0, _RESIDENTS))
    with serving(module_database, "--no-worker", **_settings(export_dir)) as started:
        yield started


def _settings(export_dir: Path) -> dict[str, str]:
    return {"export_dir": str(export_dir), "lease_s": "1"}


def _lines(client: httpx.Client, manifest: dict[str, Any]) -> Counter[bytes]:
    """All lines of all files, in no order."""
    found = downloaded(client, manifest)
    return Counter(found.lines.values())


def _bytes(folder: Path) -> int:
    """What lies in the folder now, finished or not."""
    total = 0
    for path in folder.glob("*"):
        try:
            total += path.stat().st_size
        except FileNotFoundError:
            continue  # it has just got its name
    return total


def test_killed_workers_change_nothing(
    client: httpx.Client, server: Server, export_dir: Path
) -> None:
    _is_unchanged(client, server, export_dir, Kills(2, exports=3))


@pytest.mark.slow
def test_ten_killed_workers_change_nothing(
    client: httpx.Client, server: Server, export_dir: Path
) -> None:
    _is_unchanged(client, server, export_dir, Kills(10, exports=5))


@pytest.mark.slow
def test_ten_killed_workers_of_one_large_export(
    given_postgresql: PostgreSQL, tmp_path: Path
) -> None:
    with given_postgresql.database() as url:
        load(url, Part(0, 4_000), processes=2)
        with (
            serving(url, "--no-worker", **_settings(tmp_path)) as server,
            httpx.Client(base_url=server.fhir, timeout=60) as client,
        ):
            _is_unchanged(client, server, tmp_path, Kills(10, exports=1))


@dataclass(frozen=True)
class Kills:
    """How many workers are killed while they do so many exports."""

    count: int
    exports: int


def _is_unchanged(client: httpx.Client, server: Server, export_dir: Path, kills: Kills) -> None:
    """Several exports of the same record, and one more that is left alone. What is written after
    they were asked for is in none."""
    settings, url = _settings(export_dir), str(server.database_url)
    with working(url, **settings):
        before = kick_off(client)
        manifest_of(client, before)
    size = _bytes(_folder(export_dir, before))
    client.delete(before).raise_for_status()
    disturbed = [kick_off(client) for _ in range(kills.exports)]
    folders = [_folder(export_dir, one) for one in disturbed]
    left_alone = kick_off(client)
    late = client.post("/Patient", json=resident())
    late.raise_for_status()
    for number in range(kills.count):
        share = (number + 1) / (kills.count + 1)
        _kill(url, settings, folders, size * kills.exports * share)
    with working(url, **settings):
        expected = _lines(client, manifest_of(client, left_alone))
        assert late.content not in expected
        assert len(expected) > _RESIDENTS * 20
        for status_url, folder in zip(disturbed, folders, strict=True):
            manifest = manifest_of(client, status_url)
            assert _lines(client, manifest) == expected
            listed = {one["url"].rpartition("/")[2] for one in manifest["output"]}
            # On the disk the name tells the attempt too: Patient.000001-….ndjson.gz
            stored = [path.name.removesuffix(".gz") for path in folder.iterdir()]
            assert sorted(re.sub("-[^.]+", "", one) for one in stored) == sorted(listed), (
                "what was half done is gone"
            )
    for status_url in (*disturbed, left_alone):
        client.delete(status_url).raise_for_status()


def _kill(url: str, settings: dict[str, str], folders: list[Path], size: float) -> None:
    """Start a worker, and kill it once the files are so large. What it had started ends too."""
    with working(url, **settings) as worker:
        below = psutil.Process(worker.pid).children(recursive=True)
        end = time.monotonic() + _END_S
        while sum(map(_bytes, folders)) < size:
            assert time.monotonic() < end, "the files do not grow"
            below = below or psutil.Process(worker.pid).children(recursive=True)
            time.sleep(0.0005)
        below += psutil.Process(worker.pid).children(recursive=True)
        worker.kill()
        worker.wait()
    _, left = psutil.wait_procs(below, timeout=10)
    assert not left, "what the worker had started goes on without it"


@pytest.mark.slow
def test_postgresql_that_restarts_in_the_middle(folder: Path) -> None:
    """Its processes are killed; the supervisor starts it again, the job is gone on with."""
    settings = _settings(folder / "export")
    options = ("--data-dir", str(folder / "data"))
    with (
        serving(None, *options, "--no-worker", **settings) as server,
        httpx.Client(base_url=server.fhir, timeout=60) as client,
    ):
        url = running(folder / "data")
        assert url is not None
        load(url, Part(0, _RESIDENTS))
        disturbed, left_alone = kick_off(client), kick_off(client)
        with working(url, **settings):
            place = _folder(folder / "export", disturbed)
            end = time.monotonic() + _END_S
            while not _bytes(place):
                assert time.monotonic() < end
                time.sleep(0.0005)
            os.kill(_postmaster(server), signal.SIGKILL)
            found = [
                _lines(client, _patient_manifest(client, one)) for one in (disturbed, left_alone)
            ]
    assert found[0] == found[1]
    assert len(found[0]) > _RESIDENTS * 20


def _patient_manifest(client: httpx.Client, status_url: str) -> dict[str, Any]:
    """As `manifest_of`, by a receiver who asks again when the server is not there."""
    end = time.monotonic() + _END_S
    while client.get(status_url).status_code in (500, 502, 503):
        assert time.monotonic() < end
        time.sleep(0.2)
    return manifest_of(client, status_url)


def _postmaster(server: Server) -> int:
    for process in psutil.Process(server.process.pid).children(recursive=True):
        if process.name() == "postgres" and "-D" in process.cmdline():
            return process.pid
    raise AssertionError("no postmaster below the server")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 100 kB: what is exported here takes more, as gzip too."""
    with full_disk.small_disk(tmp_path, "100k") as place:
        yield place


def test_a_full_disk_is_told_and_nothing_half_is_listed(
    client: httpx.Client, server: Server, small_disk: Path
) -> None:
    """ "In the case that errors prevent the export from completing, the server SHOULD respond with
    a FHIR OperationOutcome resource" (Bulk Data Status Request); until then X-Progress tells."""
    settings, url = _settings(small_disk), str(server.database_url)
    status_url = kick_off(client)
    with working(url, **settings):
        told = _told(client, status_url, ("disk", "space", "room"))
        assert _bytes(_folder(small_disk, status_url)) <= 100 << 10
        subprocess.run(["mount", "-o", "remount,size=64m", str(small_disk)], check=True)
        if told.status_code == 202:  # it goes on by itself
            manifest = manifest_of(client, status_url)
        else:
            assert told.json()["resourceType"] == "OperationOutcome"
            again = kick_off(client)
            manifest = manifest_of(client, again)
    on_disk = sum(1 for path in small_disk.rglob("*.ndjson*"))
    assert on_disk == len(manifest["output"])


def _told(client: httpx.Client, status_url: str, words: tuple[str, ...]) -> httpx.Response:
    """The status as soon as it has one of the words in its progress or its outcome."""
    end = time.monotonic() + _END_S
    while True:
        status = client.get(status_url)
        assert status.status_code != 200, "nothing half is listed"
        text = status.headers.get("x-progress", "") + status.text
        if any(word in text.lower() for word in words):
            return status
        assert time.monotonic() < end, f"not told: {status.status_code} {text}"
        time.sleep(0.1)


def test_delete_in_the_middle_removes_everything(
    client: httpx.Client, server: Server, export_dir: Path
) -> None:
    """ "Following the delete request, when subsequent requests are made to the polling location,
    the server SHALL return a 404" (Bulk Data Delete Request)."""
    status_url = kick_off(client)
    place = _folder(export_dir, status_url)
    with working(str(server.database_url), **_settings(export_dir)):
        end = time.monotonic() + _END_S
        while not _bytes(place):
            assert time.monotonic() < end
            time.sleep(0.0005)
        assert client.delete(status_url).status_code == 202
        gone = client.get(status_url)
        assert gone.status_code == 404
        assert gone.json()["resourceType"] == "OperationOutcome"
        next_one = export(client)  # the worker has let go of the one before
        assert next_one.lines
        end = time.monotonic() + 10
        while place.exists():
            assert time.monotonic() < end, "files of a deleted export are left"
            time.sleep(0.05)


def test_what_has_expired_vanishes(client: httpx.Client, server: Server, export_dir: Path) -> None:
    url, settings = str(server.database_url), _settings(export_dir)
    with working(url, **settings):
        status_url = kick_off(client)
        manifest = manifest_of(client, status_url)
    place = _folder(export_dir, status_url)
    assert place.is_dir()
    with psycopg.connect(url) as connection:  # who could wait for two days?
        changed = connection.execute(
            "update job set progress = progress || jsonb_build_object('ended',"
            " (progress ->> 'ended')::timestamptz - interval '49 hours') where id = %s",
            (place.name,),
        )
        assert changed.rowcount == 1
    with working(url, **settings):
        end = time.monotonic() + _END_S
        while client.get(status_url).status_code != 404:
            assert time.monotonic() < end, "it is still there"
            time.sleep(0.05)
    assert not place.exists()
    assert client.get(manifest["output"][0]["url"]).status_code == 404


def test_two_at_once_are_both_right(client: httpx.Client, server: Server, export_dir: Path) -> None:
    """By two workers, each with another wish."""
    url, settings = str(server.database_url), _settings(export_dir)
    everything, observations = kick_off(client), kick_off(client, type="Observation")
    with working(url, **settings), working(url, **settings):
        whole, part = (
            downloaded(client, manifest_of(client, one)) for one in (everything, observations)
        )
    assert part.lines == {place: one for place, one in whole.lines.items()
                          if place[0] == "Observation"}  # fmt: skip
    assert {place[0] for place in whole.lines} > {"Observation", "Patient"}


def test_since_a_moment_to_come(client: httpx.Client, server: Server, export_dir: Path) -> None:
    """The standard does not say. Nothing has changed since then: "If no resources are returned
    from the kick-off request, the server SHOULD return an empty array"; or it is refused."""
    sent = {"_since": "2999-01-01T00:00:00Z"}
    kicked = client.get("/$export", params=sent, headers=ASYNC)
    if kicked.status_code == 400:
        assert "_since" in kicked.text
        return
    assert kicked.status_code == 202
    with working(str(server.database_url), **_settings(export_dir)):
        found = downloaded(client, manifest_of(client, kicked.headers["content-location"]))
    assert found.manifest["output"] == []
    assert not found.deleted


def _folder(export_dir: Path, status_url: str) -> Path:
    return export_dir / status_url.rpartition("/")[2]
