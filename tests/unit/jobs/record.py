"""Versions put straight into the store, for tests of what reads them in bulk."""

import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ehr_server import clock
from ehr_server.definitions import definitions
from ehr_server.fhir import json
from ehr_server.hashing import hash64, own_comp, person_comp
from ehr_server.settings import Settings
from ehr_server.store import export, queue
from ehr_server.store.connect import Store
from ehr_server.store.export import Ask
from ehr_server.store.queue import Job
from ehr_server.store.read import CREATE, DELETE, UPDATE
from ehr_server.store.write import Batch, write

Written = tuple[str, str, int, int]  # type, id, version, deed


def created(type_name: str, *ids: str) -> list[Written]:
    return [(type_name, id_, 1, CREATE) for id_ in ids]


def updated(type_name: str, id_: str, ver: int) -> list[Written]:
    return [(type_name, id_, ver, UPDATE)]


def deleted(type_name: str, id_: str, ver: int) -> list[Written]:
    return [(type_name, id_, ver, DELETE)]


def put(store: Store, versions: Iterable[Written]) -> None:
    """Write the versions in one transaction."""
    with in_flight(store, versions):
        pass


@contextmanager
def in_flight(store: Store, versions: Iterable[Written]) -> Iterator[None]:
    """Write the versions in a transaction of another thread, which commits after the block."""
    is_written, may_commit = threading.Event(), threading.Event()

    def write_and_wait() -> None:
        with store.transaction() as opened:
            batch = Batch()
            batch.rows["version"] += [_row(store, opened.tx, version) for version in versions]
            write(opened.connection, batch)
            is_written.set()
            may_commit.wait()

    with ThreadPoolExecutor(1) as thread:
        writing = thread.submit(write_and_wait)
        try:
            assert is_written.wait(10)
            yield
        finally:
            may_commit.set()
            writing.result()


def content(type_name: str, id_: str, ver: int) -> bytes:
    return json.write({"resourceType": type_name, "id": id_, "meta": {"versionId": str(ver)}})


def export_job(store: Store, since: Any = None, *, of_patients: bool = False) -> Job:
    """An export of everything, queued."""
    at, id_ = clock.now(), clock.new_id()
    with store.transaction() as opened:
        ask = Ask(opened.tx, definitions().resource_types, of_patients=of_patients)
        ask = export.begin(store, opened.connection, ask, at, since)
        job = Job(id_, "export", queue.QUEUED, {"ask": ask.as_json(), "form": "ndjson"}, {}, 0, at)
        queue.put(opened.connection, job)
    return job


def settings(folder: Path, lease_s: int = 60) -> Settings:
    return Settings(export_dir=folder, lease_s=lease_s)


def lines(folder: Path, *, kind: str = "*") -> list[bytes]:
    """All lines of the finished files, sorted."""
    paths = folder.glob(f"{kind}.*.ndjson")
    return sorted(line for path in paths for line in path.read_bytes().splitlines())


def _row(store: Store, tx: int, version: Written) -> tuple[Any, ...]:
    type_name, id_, ver, deed = version
    number = definitions().type_number[type_name]
    is_person = type_name in ("Patient", "Observation")
    comp = person_comp("p") if is_person else own_comp(type_name, id_)
    key = hash64(type_name, id_)
    enc, stored = store.contents.pack(content(type_name, id_, ver))
    return (comp, key, tx, clock.now(), ver, 0, number, enc, deed, stored)
