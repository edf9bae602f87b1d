"""The access log when processes are killed: whatever was answered is in it, and it is whole."""

import threading
from contextlib import closing, suppress

import httpx
import psycopg
import pytest

from api.patients import resident
from ehr_server.store import seals
from ehr_server.store.connect import Store
from servers import Server, client_of, serving


def _ask(server: Server, id_: str, told: list[str], name: str) -> None:
    """Reads, searches and writes until the server is gone; `told` are those that were answered."""
    with suppress(httpx.HTTPError), client_of(server) as client:
        for number in range(100_000):
            request = {"X-Request-Id": f"{name}-{number}"}
            if number % 3 == 0:
                answer = client.get(f"/Patient/{id_}", headers=request)
            elif number % 3 == 1:
                answer = client.get(f"/Patient?_id={id_}", headers=request)
            else:
                answer = client.post("/Patient", json=resident(), headers=request)
            assert answer.status_code in (200, 201), answer.text
            told.append(request["X-Request-Id"])


def _killed(database: str, number: int) -> list[str]:
    """The requests that were answered by two processes that were killed."""
    told: list[str] = []
    with serving(database, workers="2") as server:
        with client_of(server) as client:
            id_ = str(client.post("/Patient", json=resident()).json()["id"])
        threads = [
            threading.Thread(target=_ask, args=(server, id_, told, f"k{number}-{one}"))
            for one in range(4)
        ]
        for thread in threads:
            thread.start()
        threading.Event().wait(0.3 + 0.1 * (number % 5))
        server.process.kill()
        for thread in threads:
            thread.join()
    return told


def _expect_whole(database: str, kills: int) -> None:
    told = [request for number in range(kills) for request in _killed(database, number)]
    assert len(told) > kills
    with closing(Store(database, pool_size=2)) as store:
        seals.seal(store)
        verdict = seals.verify(store)
    assert (verdict.faults, verdict.unsealed) == ((), 0)
    with psycopg.connect(database) as connection:
        rows = connection.execute("select request, count(*) from access_log group by 1").fetchall()
    logged = dict(rows)
    assert [one for one in told if one not in logged] == []
    assert [one for one in told if logged[one] != 1] == []
    assert verdict.rows == sum(logged.values())


def test_what_was_answered_before_a_kill_is_logged(database: str) -> None:
    _expect_whole(database, 2)


@pytest.mark.slow
def test_twenty_kills_leave_the_log_whole(database: str) -> None:
    _expect_whole(database, 20)
