"""Trouble that passes is told as such, quickly, and is over when it is over.

503 with Retry-After: https://www.rfc-editor.org/rfc/rfc9110.html#name-503-service-unavailable.
"""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import httpx
import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from api.patients import resident
from databases import PostgreSQL
from servers import serving


@pytest.fixture
def alone(database: str) -> Iterator[httpx.Client]:
    """A client of a server with few connections and a database of its own."""
    with (
        serving(database, "--pool-size=3") as server,
        httpx.Client(base_url=server.fhir, timeout=30) as client,
    ):
        yield client


@contextmanager
def _as_admin(given: PostgreSQL) -> Iterator[psycopg.Connection]:
    with psycopg.connect(given.admin, autocommit=True) as connection:
        yield connection


def _end_connections(given: PostgreSQL, database: str) -> None:
    name = conninfo_to_dict(database)["dbname"]
    with _as_admin(given) as admin:
        admin.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity where datname = %s", (name,)
        )


def test_a_connection_that_was_ended_costs_no_request(
    alone: httpx.Client, given_postgresql: PostgreSQL, database: str
) -> None:
    """As after a restart of PostgreSQL: those in the pool are stale, and nobody is told so."""
    assert alone.post("/Patient", json=resident("001174000101")).status_code == 201
    for round_ in range(3):
        _end_connections(given_postgresql, database)
        time.sleep(0.1)
        assert alone.get("/Patient").status_code == 200
        _end_connections(given_postgresql, database)
        time.sleep(0.1)
        assert alone.post("/Patient", json=resident(f"00117400020{round_}")).status_code == 201


def test_while_the_database_is_away_the_answer_is_503_at_once_and_then_all_is_well(
    alone: httpx.Client, given_postgresql: PostgreSQL, database: str
) -> None:
    name = str(conninfo_to_dict(database)["dbname"])
    with _as_admin(given_postgresql) as admin:
        admin.execute(f"alter database {name} allow_connections false")
        _end_connections(given_postgresql, database)
        first = alone.get("/Patient")  # waits a little: it may be a restart
        assert first.status_code == 503
        start = time.monotonic()
        for answer in (alone.get("/Patient"), alone.post("/Patient", json=resident())):
            assert answer.status_code == 503
            assert int(answer.headers["retry-after"]) >= 1
            assert answer.json()["issue"][0]["code"] == "transient"
        assert time.monotonic() - start < 2
        admin.execute(f"alter database {name} allow_connections true")
    _eventually(lambda: alone.get("/Patient").status_code == 200, 5)
    assert alone.post("/Patient", json=resident()).status_code == 201


@pytest.mark.parametrize("audit", ["on", "off"])
def test_a_database_that_is_read_only_refuses_writes_and_serves_reads(
    given_postgresql: PostgreSQL, database: str, audit: str
) -> None:
    """As while a standby takes over: SQLSTATE 25006. Where looks are logged, none is had that
    cannot be."""
    with (
        serving(database, "--pool-size=3", audit=audit) as server,
        httpx.Client(base_url=server.fhir, timeout=30) as alone,
    ):
        _is_read_only_for_a_while(alone, given_postgresql, database, 200 if audit == "off" else 503)


def _is_read_only_for_a_while(
    alone: httpx.Client, given_postgresql: PostgreSQL, database: str, read: int
) -> None:
    name = str(conninfo_to_dict(database)["dbname"])
    with _as_admin(given_postgresql) as admin:
        admin.execute(f"alter database {name} set default_transaction_read_only = on")
        _end_connections(given_postgresql, database)
        for _ in range(4):  # more than there are connections
            refused = alone.post("/Patient", json=resident())
            assert refused.status_code == 503
            assert "read-only" in refused.json()["issue"][0]["details"]["text"]
            assert "retry-after" in refused.headers
            assert alone.get("/Patient").status_code == read
        admin.execute(f"alter database {name} reset default_transaction_read_only")
    _eventually(lambda: alone.post("/Patient", json=resident()).status_code == 201, 5)
    assert alone.get("/Patient").json()["total"] == 1


@pytest.mark.slow
def test_requests_that_wait_too_long_for_their_turn_are_503(
    alone: httpx.Client, database: str
) -> None:
    """Three are held up by a lock; those for which nobody is free are told so in time."""
    assert alone.post("/Patient", json=resident(id="one")).status_code == 201
    put = resident(id="one") | {"id": "one"}
    assert alone.put("/Patient/one", json=put).status_code == 201
    with psycopg.connect(make_conninfo(database)) as holder:
        holder.execute("lock table rid in access exclusive mode")
        with ThreadPoolExecutor(8) as several:
            start = time.monotonic()

            def ask(_: int) -> tuple[int, str | None, float]:
                answer = httpx.get(f"{alone.base_url}Patient/one", timeout=60)
                took = time.monotonic() - start
                return answer.status_code, answer.headers.get("retry-after"), took

            asked = [several.submit(ask, number) for number in range(8)]
            time.sleep(12)
            holder.rollback()
            told = [one.result() for one in asked]
    assert sorted({status for status, *_ in told}) == [200, 503]
    assert all(wait and took < 11.5 for status, wait, took in told if status == 503)


def test_nothing_is_claimed_of_a_commit_that_nobody_saw(
    alone: httpx.Client, given_postgresql: PostgreSQL, database: str
) -> None:
    """Connections are ended while writes go on: each answer is 201 or 503, and where it is 503
    without a word on doubt, nothing is there."""
    stop = threading.Event()
    certain: list[str] = []

    def write(sender: int) -> None:
        with httpx.Client(base_url=alone.base_url, timeout=30) as client:
            number = 0
            while not stop.is_set():
                id_ = f"w{sender}-{number}"
                number += 1
                answer = client.put(f"/Basic/{id_}", json=_basic(id_))
                assert answer.status_code in (201, 503), answer.text
                is_certain = "not known" not in answer.text
                if answer.status_code == 503 and is_certain:
                    certain.append(id_)

    threads = [threading.Thread(target=write, args=(sender,)) for sender in range(3)]
    for thread in threads:
        thread.start()
    for _ in range(15):
        time.sleep(0.15)
        _end_connections(given_postgresql, database)
    stop.set()
    for thread in threads:
        thread.join()
    for id_ in certain:
        assert alone.get(f"/Basic/{id_}").status_code == 404


def _basic(id_: str) -> dict[str, object]:
    code = {"coding": [{"system": "http://example.org/kind", "code": "note"}]}
    return {"resourceType": "Basic", "id": id_, "code": code}


def _eventually(is_so: object, seconds: float) -> None:
    end = time.monotonic() + seconds
    while not is_so():  # type: ignore[operator]
        assert time.monotonic() < end, "it did not come back"
        time.sleep(0.1)
