"""The search for duplicates as a job: begun when there is something, gone on with, switched off."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ehr_server.access.caller import LOOPBACK
from ehr_server.changes.apply import apply
from ehr_server.changes.change import Change, InForce, means
from ehr_server.jobs import duplicates
from ehr_server.jobs.work import Interrupted, Work
from ehr_server.settings import Settings
from ehr_server.store import queue
from ehr_server.store.connect import Store
from ehr_server.validation.rulebook import Rulebook


@pytest.fixture
def store(database: str) -> Iterator[Store]:
    opened = Store(database)
    yield opened
    opened.close()


class _Hurried(Work):
    """Work that is interrupted after so many looks."""

    looks = 2

    def go_on(self) -> None:
        self.looks -= 1
        if self.looks < 0:
            raise Interrupted


def put(store: Store, *ids: str) -> None:
    """Patients of one name and birth date, a transaction each."""
    way = means(store, Settings(), InForce(Rulebook()), LOOPBACK, "")
    for id_ in ids:
        patient: dict[str, Any] = {
            "resourceType": "Patient",
            "id": id_,
            "name": [{"text": "Quàng Thị Pâng"}],
            "birthDate": "1971-03-12",
            "gender": "female",
        }
        apply(way, [Change("update", "Patient", id_, patient, "Patient")])


def jobs(store: Store) -> list[tuple[str, str, int]]:
    with store.connection() as connection:
        return queue.counts(connection)


def claimed(store: Store, folder: Path, kind: type[Work] = Work) -> Work:
    with store.connection() as connection:
        job = queue.claim(connection, [duplicates.KIND], 60)
    assert job is not None
    return kind(store, Settings(data_dir=folder), job, threading.Event())


def tasks(store: Store) -> int:
    with store.connection() as connection:
        row = connection.execute("select count(*) from resource_other").fetchone()
    assert row is not None
    return int(row[0])


def test_a_job_is_put_once_and_only_for_what_is_new(store: Store, folder: Path) -> None:
    duplicates.keep_up(store, Settings())
    assert jobs(store) == []
    put(store, "a", "b")
    for _ in range(2):
        duplicates.keep_up(store, Settings())
    assert jobs(store) == [(duplicates.KIND, queue.QUEUED, 1)]
    work = claimed(store, folder)
    duplicates.run(work)
    with store.connection() as connection:
        queue.finish(connection, work.job, queue.DONE, work.job.progress)
    assert tasks(store) == 1
    duplicates.keep_up(store, Settings())
    assert jobs(store) == [(duplicates.KIND, queue.DONE, 1)]


def test_an_interrupted_job_goes_on_where_the_last_part_ended(
    store: Store, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(duplicates, "_TOGETHER", 1)
    put(store, "a", "b", "c")
    duplicates.keep_up(store, Settings())
    hurried = claimed(store, folder, _Hurried)
    with pytest.raises(Interrupted):
        duplicates.run(hurried)
    assert len(hurried.finished_parts()) == 2
    with store.connection() as connection:
        assert queue.give_back(connection, hurried.job, 0)
    work = claimed(store, folder)
    duplicates.run(work)
    assert [part.done["persons"] for part in work.finished_parts()] == [1, 1, 1]
    assert tasks(store) == 3  # a and b, a and c, b and c


def test_what_is_left_is_for_the_next_job(
    store: Store, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(duplicates, "_TOGETHER", 1)
    monkeypatch.setattr(duplicates, "PERSONS_MAX", 2)
    put(store, "a", "b", "c")
    duplicates.keep_up(store, Settings())
    work = claimed(store, folder)
    duplicates.run(work)
    assert len(work.finished_parts()) == 2
    assert (duplicates.KIND, queue.QUEUED, 1) in jobs(store)


def test_what_was_deleted_is_passed_and_not_looked_for_again(store: Store, folder: Path) -> None:
    put(store, "a", "b")
    way = means(store, Settings(), InForce(Rulebook()), LOOPBACK, "")
    apply(way, [Change("delete", "Patient", "b")])
    duplicates.keep_up(store, Settings())
    work = claimed(store, folder)
    duplicates.run(work)
    with store.connection() as connection:
        queue.finish(connection, work.job, queue.DONE, work.job.progress)
    duplicates.keep_up(store, Settings())
    assert jobs(store) == [(duplicates.KIND, queue.DONE, 1)]
    assert tasks(store) == 0


def test_it_may_be_switched_off(store: Store, folder: Path) -> None:
    put(store, "a", "b")
    duplicates.keep_up(store, Settings(duplicates="off"))
    assert jobs(store) == []
