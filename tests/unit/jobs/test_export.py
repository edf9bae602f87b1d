"""The work behind $export: exactly the record as of one moment, whenever a part is run."""

import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from ehr_server import clock
from ehr_server.fhir import json
from ehr_server.jobs import export, export_part, worker
from ehr_server.jobs.export import Wish, export_to
from ehr_server.jobs.work import Interrupted, Work
from ehr_server.store import export as kept
from ehr_server.store import marks, queue
from ehr_server.store.connect import Connection, Store
from ehr_server.store.queue import Job
from unit.jobs.record import (
    content,
    created,
    deleted,
    export_job,
    in_flight,
    lines,
    put,
    settings,
    updated,
)


def test_the_newest_version_of_everything_that_is_live(store: Store, folder: Path) -> None:
    put(store, created("Patient", "a", "b") + created("Basic", "x") + created("Account", "y"))
    put(store, updated("Patient", "a", 2) + deleted("Patient", "b", 2))
    put(store, updated("Patient", "a", 3))
    manifest = export_to(store, folder)
    assert lines(folder) == sorted(
        [content("Patient", "a", 3), content("Basic", "x", 1), content("Account", "y", 1)]
    )
    assert json.read((folder / "manifest.json").read_bytes()) == manifest
    assert [(file["type"], file["count"]) for file in manifest["output"]] == [
        ("Patient", 1),
        ("Account", 1),
        ("Basic", 1),
    ]
    assert "deleted" not in manifest


def test_only_the_types_asked_for(store: Store, folder: Path) -> None:
    put(store, created("Patient", "a") + created("Basic", "x") + created("Account", "y"))
    export_to(store, folder, Wish(types=["Basic"]))
    assert lines(folder) == [content("Basic", "x", 1)]


def test_what_is_written_later_is_not_seen(store: Store, folder: Path) -> None:
    put(store, created("Patient", "a", "b"))
    job = export_job(store)
    put(store, updated("Patient", "a", 2) + deleted("Patient", "b", 2) + created("Patient", "c"))
    _run(store, folder, job)
    assert lines(folder / job.id) == [content("Patient", "a", 1), content("Patient", "b", 1)]


def test_what_was_in_flight_is_waited_for(store: Store, folder: Path) -> None:
    with in_flight(store, created("Patient", "early")):
        job = export_job(store)
        put(store, created("Patient", "late"))
        thread = threading.Thread(target=_run, args=(store, folder, job))
        thread.start()
        thread.join(0.3)
        assert thread.is_alive()
    thread.join()
    assert lines(folder / job.id) == [content("Patient", "early", 1)]


def test_since_gives_changes_and_deletions_and_misses_none_in_flight(
    store: Store, folder: Path
) -> None:
    put(store, created("Patient", "a", "b", "c"))
    with in_flight(store, updated("Patient", "c", 2)):
        with store.connection() as connection:
            at = clock.now()
            marks.leave(store, connection, at)
        put(store, updated("Patient", "a", 2) + deleted("Patient", "b", 2))
    manifest = export_to(store, folder, Wish(since=at))
    assert lines(folder, kind="Patient") == [content("Patient", "a", 2), content("Patient", "c", 2)]
    (bundle,) = lines(folder, kind="deleted")
    assert json.read(bundle) == {
        "resourceType": "Bundle",
        "type": "transaction",
        "entry": [{"request": {"method": "DELETE", "url": "Patient/b"}}],
    }
    assert [(file["type"], file["count"]) for file in manifest["deleted"]] == [("Bundle", 1)]


def test_since_before_the_first_mark_gives_everything(store: Store, folder: Path) -> None:
    put(store, created("Patient", "a"))
    export_to(store, folder, Wish(since=clock.now()))
    assert lines(folder) == [content("Patient", "a", 1)]


def test_patients_only(store: Store, folder: Path) -> None:
    put(store, created("Patient", "a") + created("Observation", "o") + created("Basic", "x"))
    job = export_job(store, of_patients=True)
    _run(store, folder, job)
    assert lines(folder / job.id) == [content("Observation", "o", 1), content("Patient", "a", 1)]


def test_parts_join_to_the_whole(
    store: Store, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _put_many(store)
    monkeypatch.setattr(kept, "PIECE_ROWS", 7)
    monkeypatch.setattr(export_part, "_BUFFER_BYTES", 100)
    export_to(store, folder)
    assert len(list(folder.glob("Patient.*.ndjson"))) > 3
    assert lines(folder) == _expected_many()


def test_a_leaf_of_which_nothing_is_known_is_counted_first(
    store: Store, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a restore the database believes nothing of its tables."""
    with store.connection() as connection:
        connection.execute("truncate version_patient")
        assert _rows_believed(connection) < 0
    _put_many(store)
    monkeypatch.setattr(kept, "_CHUNK_BYTES", 0)
    export_to(store, folder, Wish(types=["Patient"]))
    with store.connection() as connection:
        assert _rows_believed(connection) > 0


def test_of_large_rows_few_are_fetched_at_once(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    _put_many(store)
    ask = kept.ask_of(export_job(store).request["ask"])
    patients = kept.Stretch("patient", kept.BEGINNING)
    with store.connection() as connection:
        connection.execute("analyze version_patient")
        assert kept._fetched(connection, ask, patients) == kept._CHUNK_ROWS
        monkeypatch.setattr(kept, "_CHUNK_BYTES", 4_096)
        assert 1 <= kept._fetched(connection, ask, patients) < 30


def test_a_stopped_worker_gives_the_job_back_and_another_goes_on(
    store: Store, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _put_many(store)
    monkeypatch.setattr(kept, "PIECE_ROWS", 7)
    job = export_job(store)
    stop = threading.Event()
    work = Work(store, settings(folder), _claimed(store), stop)
    finish_part = work.finish_part
    monkeypatch.setattr(work, "finish_part", lambda *part: (finish_part(*part), stop.set()))
    with pytest.raises(Interrupted):
        export.run(work)
    assert len(work.finished_parts()) == 1
    first = {path.name: path.stat().st_mtime_ns for path in (folder / job.id).iterdir()}
    with store.connection() as connection:
        assert queue.give_back(connection, work.job, 0)
    put(store, updated("Patient", "p0", 9))
    _run(store, folder, job)
    assert lines(folder / job.id) == _expected_many()
    for name, written in first.items():
        assert (folder / job.id / name).stat().st_mtime_ns == written


_KILLED = """
import os, signal, sys, threading
from pathlib import Path
from ehr_server.jobs import worker
from ehr_server.settings import Settings
from ehr_server.store import export as kept
from ehr_server.store import queue
from ehr_server.store.connect import Connection, Store

kept.PIECE_ROWS = 7
add_part, left = queue.add_part, [3]

def add_part_or_die(*part):
    left[0] -= 1
    if not left[0]:  # the files have their names, the row does not know yet
        os.kill(os.getpid(), signal.SIGKILL)
    return add_part(*part)

queue.add_part = add_part_or_die
settings = Settings(export_dir=Path(sys.argv[2]), lease_s=1)
worker.run(Store(sys.argv[1]), settings, threading.Event())
"""


def test_after_kill_9_another_worker_ends_the_job(
    store: Store, module_database: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _put_many(store)
    job = export_job(store)
    killed = subprocess.run(
        [sys.executable, "-c", _KILLED, module_database, str(folder)], check=False, timeout=60
    )
    assert killed.returncode == -signal.SIGKILL
    put(store, updated("Patient", "p0", 9))
    monkeypatch.setattr(kept, "PIECE_ROWS", 7)
    stop = threading.Event()
    thread = threading.Thread(target=worker.run, args=(store, settings(folder), stop))
    thread.start()
    try:
        _wait_for(store, job, queue.DONE)
    finally:
        stop.set()
        thread.join()
    assert lines(folder / job.id) == _expected_many()


def _rows_believed(connection: Connection) -> float:
    row = connection.execute(
        "select reltuples from pg_class where relname = 'version_patient'"
    ).fetchone()
    assert row is not None
    return float(row[0])


def _put_many(store: Store) -> None:
    put(store, created("Patient", *(f"p{number}" for number in range(30))))
    put(store, created("Basic", *(f"x{number}" for number in range(5))))
    put(store, updated("Patient", "p3", 2) + deleted("Patient", "p4", 2))


def _expected_many() -> list[bytes]:
    versions = {f"p{number}": 1 for number in range(30)} | {"p3": 2}
    del versions["p4"]
    patients = [content("Patient", id_, ver) for id_, ver in versions.items()]
    return sorted(patients + [content("Basic", f"x{number}", 1) for number in range(5)])


def _claimed(store: Store) -> Job:
    with store.connection() as connection:
        job = queue.claim(connection, ["export"], 60)
    assert job is not None
    return job


def _run(store: Store, folder: Path, job: Job) -> None:
    work = Work(store, settings(folder), _claimed(store), threading.Event())
    assert work.job.id == job.id
    export.run(work)


def _wait_for(store: Store, job: Job, state: str) -> None:
    for _ in range(200):
        with store.connection() as connection:
            found = queue.find(connection, job.id)
        if found is not None and found.state == state:
            return
        threading.Event().wait(0.05)
    raise AssertionError(f"the job is {found}")
