"""No row misses a parameter: whoever wrote without it is waited for, and all others write by it."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from ehr_server.access.caller import LOOPBACK
from ehr_server.access.find import find
from ehr_server.changes.apply import apply
from ehr_server.changes.change import Change, InForce, Means, means
from ehr_server.fhir.bundle import identity
from ehr_server.jobs import worker
from ehr_server.jobs.reindex import keep_up
from ehr_server.search.parse import parse
from ehr_server.settings import Settings
from ehr_server.store.connect import Store
from ehr_server.store.search_parameters import building
from ehr_server.validation.rulebook import Rulebook

HERE = "http://here/fhir"
PARAMETER = {
    "resourceType": "SearchParameter",
    "id": "spoken",
    "url": "http://example.org/fhir/SearchParameter/spoken",
    "name": "Spoken",
    "status": "active",
    "description": "Language of the resource",
    "code": "spoken",
    "base": ["Patient"],
    "type": "token",
    "expression": "Patient.language",
}


@pytest.fixture
def store(database: str) -> Iterator[Store]:
    store = Store(database)
    yield store
    store.close()


def process(store: Store) -> Means:
    """The means of a process that has just started, on an empty database."""
    return means(store, Settings(), InForce(Rulebook()), LOOPBACK, HERE)


def person(id_: str) -> dict[str, Any]:
    return {"resourceType": "Patient", "id": id_, "language": "vi"}


def put(of: Means, resource: dict[str, Any], **more: Any) -> None:
    change = Change("update", resource["resourceType"], resource["id"], dict(resource))
    apply(of, [change], **more)


def ids(of: Means) -> list[str]:
    with of.store.connection() as connection:
        parameters = of.searchable.of(connection, 1_000_000)
        rules = of.rules.__class__(ZoneInfo("UTC"), parameters=parameters)
        query = parse("Patient", [("spoken", "vi")], rules)
        found = find(of.store, connection, query, LOOPBACK, bytes(32))
    return sorted(identity(match.content)[1] for match in found.matches)


def is_building(store: Store) -> bool:
    with store.connection() as connection:
        return bool(building(connection))


@contextmanager
def working(store: Store) -> Iterator[None]:
    stop = threading.Event()
    thread = threading.Thread(target=worker.run, args=(store, Settings(), stop))
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def within(seconds: float, store: Store) -> bool:
    end = time.monotonic() + seconds
    while is_building(store):
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


def test_a_process_that_has_not_heard_of_it_writes_by_it(store: Store) -> None:
    deaf = process(store)
    put(process(store), PARAMETER)
    with working(store):
        assert within(10, store)
    put(deaf, person("late"))  # its rules are those of before
    assert deaf.rules.parameters.generation == 0
    assert ids(process(store)) == ["late"]


def test_who_began_before_it_is_waited_for(store: Store) -> None:
    put(process(store), person("first"))  # so that what all writes share is there
    is_written, may_commit = threading.Event(), threading.Event()

    def wait() -> None:
        is_written.set()
        may_commit.wait(30)

    with ThreadPoolExecutor(1) as thread, working(store):
        early = thread.submit(put, process(store), person("early"), then=wait)
        assert is_written.wait(10)
        put(process(store), PARAMETER)
        put(process(store), person("late"))
        time.sleep(0.5)
        assert is_building(store)
        may_commit.set()
        early.result()
        assert within(10, store)
    assert ids(process(store)) == ["early", "first", "late"]


def test_one_walk_is_enough_for_several(store: Store) -> None:
    put(process(store), person("a"))
    for code in ("spoken", "one", "two"):
        put(
            process(store),
            PARAMETER | {"id": code, "code": code, "url": f"http://example.org/{code}"},
        )
    with working(store):
        assert within(10, store)
        time.sleep(0.5)
    with store.connection() as connection:
        rows = connection.execute(
            "select state, (select count(*) from job_part p where p.job = job.id and number > 0)"
            " from job where kind = 'reindex' order by made"
        ).fetchall()
    assert rows == [("done", 1), ("done", 0), ("done", 0)]
    assert ids(process(store)) == ["a"]


def test_numbers_are_never_given_again(store: Store) -> None:
    for language in ("language", "implicitRules", "language"):
        put(process(store), PARAMETER | {"expression": f"Patient.{language}"})
    with store.connection() as connection:
        rows = connection.execute(
            "select number, state from search_parameter order by number"
        ).fetchall()
    assert rows == [(10_000, "retired"), (10_001, "retired"), (10_002, "building")]


def test_what_failed_is_tried_again_when_a_server_starts(store: Store) -> None:
    keep_up(store)  # the first start: what is empty is of the present format
    put(process(store), person("a"))
    put(process(store), PARAMETER)
    with store.connection() as connection:
        connection.execute("update job set state = 'failed'")
    keep_up(store)
    keep_up(store)  # once is enough
    with store.connection() as connection:
        states = connection.execute("select state from job order by made").fetchall()
    assert states == [("failed",), ("queued",)]
    with working(store):
        assert within(10, store)
    assert ids(process(store)) == ["a"]
