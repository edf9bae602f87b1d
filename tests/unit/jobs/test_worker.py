"""Claims, leases and ends of jobs."""

import os
import threading
from datetime import timedelta
from pathlib import Path

import pytest

from ehr_server import clock
from ehr_server.jobs import worker
from ehr_server.jobs.work import Interrupted, Work
from ehr_server.store import marks, queue
from ehr_server.store.connect import Store
from ehr_server.store.files import forget_uploads
from ehr_server.store.queue import Job, Part
from unit.jobs.record import created, put, settings

PART = Part(0, {}, {"n": 1})


def test_jobs_are_claimed_once_and_the_oldest_first(store: Store) -> None:
    first, second = _queued(store), _queued(store)
    with store.connection() as connection, connection.transaction():
        one = queue.claim(connection, ["k"], 60)
        with store.connection() as other:
            two = queue.claim(other, ["k"], 60)
            assert queue.claim(other, ["k"], 60) is None
    assert one is not None
    assert two is not None
    assert {one.id, two.id} == {first.id, second.id}
    assert one.id == min(first.id, second.id)


def test_kinds_that_a_worker_does_not_know_are_left_alone(store: Store) -> None:
    _queued(store)
    with store.connection() as connection:
        assert queue.claim(connection, ["other"], 60) is None


def test_a_job_is_taken_over_when_its_lease_ends(store: Store) -> None:
    _queued(store)
    with store.connection() as connection:
        lost = queue.claim(connection, ["k"], 0)
        taken = queue.claim(connection, ["k"], 60)
        assert lost is not None
        assert taken is not None
        assert taken.attempts == lost.attempts + 1
        assert not queue.renew(connection, lost, 60)
        assert not queue.add_part(connection, lost, PART, {})
        assert not queue.finish(connection, lost, queue.DONE, {})
        assert not queue.give_back(connection, lost, 0)
        assert queue.renew(connection, taken, 60)
        assert queue.add_part(connection, taken, PART, {"n": 1})
        assert queue.parts(connection, taken.id) == [PART]
        assert queue.finish(connection, taken, queue.DONE, {"n": 1})
        ended = queue.find(connection, taken.id)
    assert ended is not None
    assert (ended.state, ended.progress["n"]) == (queue.DONE, 1)
    assert timedelta(0) <= clock.now() - ended.ended < timedelta(minutes=1)


def test_a_job_given_back_waits(store: Store) -> None:
    _queued(store)
    with store.connection() as connection:
        job = queue.claim(connection, ["k"], 60)
        assert job is not None
        assert queue.give_back(connection, job, 60)
        assert queue.claim(connection, ["k"], 60) is None


def test_a_cancelled_job_stops_the_work(store: Store, folder: Path) -> None:
    _queued(store)
    with store.connection() as connection:
        job = queue.claim(connection, ["k"], 60)
        assert job is not None
        queue.cancel(connection, job.id)
        with Work(store, settings(folder, lease_s=1), job, threading.Event()) as work:
            assert work.is_lost.wait(5)
            with pytest.raises(Interrupted):
                work.go_on()
            with pytest.raises(Interrupted):
                work.finish_part(PART, {})
        assert queue.claim(connection, ["k"], 60) is None


def test_the_lease_is_renewed_while_the_work_goes_on(store: Store, folder: Path) -> None:
    _queued(store)
    with store.connection() as connection:
        job = queue.claim(connection, ["k"], 1)
        assert job is not None
        with Work(store, settings(folder, lease_s=1), job, threading.Event()) as work:
            threading.Event().wait(1.5)
            assert queue.claim(connection, ["k"], 60) is None
            work.go_on()


def test_a_job_that_never_gets_on_fails(
    store: Store, folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    runs: list[int] = []

    def broken(work: Work) -> None:
        runs.append(work.job.attempts)
        raise OSError("no space left on device")

    monkeypatch.setattr(worker, "_RETRY_S", 0)
    monkeypatch.setattr(worker, "_IDLE_S", 0.01)
    job = _queued(store)
    stop = threading.Event()
    kinds = {"k": broken}
    thread = threading.Thread(target=worker.run, args=(store, settings(folder), stop, kinds))
    thread.start()
    state = queue.QUEUED
    while state in (queue.QUEUED, queue.RUNNING):
        with store.connection() as connection:
            found = queue.find(connection, job.id)
        assert found is not None
        state = found.state
        stop.wait(0.02)
    stop.set()
    thread.join()
    assert state == queue.FAILED
    assert len(runs) == worker.ATTEMPTS_MAX
    assert "no space left" in caplog.text


def test_a_part_that_always_fails_fails_the_job_though_others_end(
    store: Store, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "_RETRY_S", 0)
    monkeypatch.setattr(worker, "_IDLE_S", 0.01)
    runs: list[int] = []

    def one_more_and_broken(work: Work) -> None:
        runs.append(work.job.attempts)
        if len(runs) > 2 * worker.ERRORS_MAX:
            return
        work.finish_part(Part(len(runs), {}, {}), {})
        raise OSError("of another part")

    job = _queued(store)
    stop = threading.Event()
    kinds = {"k": one_more_and_broken}
    thread = threading.Thread(target=worker.run, args=(store, settings(folder), stop, kinds))
    thread.start()
    while (state := _state(store, job)) in (queue.QUEUED, queue.RUNNING):
        stop.wait(0.02)
    stop.set()
    thread.join()
    assert state == queue.FAILED
    assert len(runs) == worker.ERRORS_MAX


@pytest.mark.parametrize(("kills", "ended"), [(10, queue.DONE), (50, queue.FAILED)])
def test_killed_workers_say_little_against_a_job(
    store: Store, folder: Path, kills: int, ended: str
) -> None:
    """Who is killed says no more; another takes the job over, but not for ever."""
    job = _queued(store)
    with store.connection() as connection:
        for _ in range(kills):
            assert queue.claim(connection, ["k"], 0) is not None
    stop = threading.Event()

    def done(_: Work) -> None:
        stop.set()

    thread = threading.Thread(target=worker.run, args=(store, settings(folder), stop, {"k": done}))
    thread.start()
    while (state := _state(store, job)) == queue.RUNNING:
        threading.Event().wait(0.02)
    stop.set()
    thread.join()
    assert state == ended


def _state(store: Store, job: Job) -> str:
    with store.connection() as connection:
        found = queue.find(connection, job.id)
    assert found is not None
    return found.state


def test_an_idle_worker_leaves_marks_where_something_was_written(store: Store) -> None:
    with store.connection() as connection:
        marks.leave_if_written(store, connection, clock.now())
        assert _marks(store) == 0
        put(store, created("Patient", "a"))
        for _ in range(3):
            marks.leave_if_written(store, connection, clock.now())
        assert _marks(store) == 1
        before = marks.since(connection, clock.now())
        put(store, created("Patient", "b"))
        (tx,) = connection.execute("select max(tx) from version").fetchone() or (0,)
        assert before <= tx < store.horizon(connection)


def test_old_exports_are_removed_and_running_ones_are_not(store: Store, folder: Path) -> None:
    ids = {}
    for state in (queue.DONE, queue.FAILED, queue.RUNNING):
        for age_h in (1, 49):
            id_ = ids[state, age_h] = clock.new_id()
            made = clock.now() - timedelta(hours=age_h)
            with store.connection() as connection:
                queue.put(connection, Job(id_, "export", state, {}, {}, 0, made))
                connection.execute("update job set lease = now() + interval '1 hour'")
            (folder / id_).mkdir()
            (folder / id_ / "Patient.0.ndjson").write_bytes(b"{}\n")
    stop = threading.Event()
    running = threading.Thread(target=worker.run, args=(store, settings(folder), stop))
    running.start()
    gone = [ids[queue.DONE, 49], ids[queue.FAILED, 49]]
    while any((folder / id_).exists() for id_ in gone):
        stop.wait(0.05)
    stop.set()
    running.join()
    with store.connection() as connection:
        assert all(queue.find(connection, id_) is None for id_ in gone)
        assert all(
            queue.find(connection, id_) and (folder / id_).exists()
            for id_ in set(ids.values()) - set(gone)
        )


def test_what_waited_long_is_kept_from_its_end_on(store: Store, folder: Path) -> None:
    """An export that waited for longer than exports are kept was removed as it ended."""
    waited = Job(clock.new_id(), "k", queue.QUEUED, {}, {}, 0, clock.now() - timedelta(hours=49))
    with store.connection() as connection:
        queue.put(connection, waited)
        job = queue.claim(connection, ["k"], 60)
        assert job is not None
        assert queue.finish(connection, job, queue.DONE, {})
        now = clock.now()
        assert queue.ended_before(connection, "k", now - timedelta(hours=48)) == []
        assert queue.ended_before(connection, "k", now + timedelta(seconds=1)) == [job.id]


def _marks(store: Store) -> int:
    with store.connection() as connection:
        row = connection.execute("select count(*) from mark").fetchone()
    return int(row[0]) if row else 0


def _queued(store: Store) -> Job:
    job = Job(clock.new_id(), "k", queue.QUEUED, {"x": 1}, {}, 0, clock.now())
    with store.connection() as connection:
        queue.put(connection, job)
    return job


def test_uploads_that_nobody_took_are_removed(tmp_path: Path) -> None:
    old, new = tmp_path / "upload-a.ndjson", tmp_path / "upload-b.ndjson.gz"
    for path in (old, new):
        path.touch()
    os.utime(old, (0, 0))
    forget_uploads(tmp_path, clock.now() - timedelta(hours=1))
    assert list(tmp_path.iterdir()) == [new]
