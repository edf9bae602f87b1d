"""The index of a search parameter is built while the server serves, and misses nothing.

https://hl7.org/fhir/R4/searchparameter.html
"""

import os
import signal
import threading
import time
from contextlib import ExitStack
from pathlib import Path

import httpx
import psycopg
import pytest

from api.own_parameters import (
    URL,
    client_of,
    ids,
    ids_if_ready,
    is_ready,
    issue,
    listed,
    parameter,
    person,
    put,
    within,
)
from api.patients import resident
from api.test_command_line import run
from servers import Server, serving
from tarballs import guide, written


@pytest.mark.smoke
def test_until_the_index_is_complete_searches_are_told_how_far_it_is(database: str) -> None:
    with serving(database, no_worker="yes") as server, client_of(server) as client:
        put(client, person("A", id="a", managingOrganization={"display": "x"}))
        put(client, parameter())
        for address in (
            "/Patient?blood=A",
            "/Patient?_filter=blood eq A",
            "/Observation?subject:Patient.blood=A",
            "/Organization?_has:Patient:organization:blood=A",
            "/Patient?_sort=blood",
        ):
            answer = client.get(address)
            assert (answer.status_code, issue(answer)["code"]) == (503, "transient"), address
            assert int(answer.headers["Retry-After"]) > 0
            assert (
                "blood of Patient is still being built. 0 percent"
                in issue(answer)["details"]["text"]
            )
        lenient = client.get("/Patient?blood=A", headers={"Prefer": "handling=lenient"})
        assert lenient.status_code == 503
        assert client.get("/Patient").json()["total"] == 1
        assert "blood" not in listed(client, "Patient")
        put(client, person("A", id="b"))
        # Whoever has no worker builds it by hand.
        done = run("reindex", "--database-url", database)
        assert "reindex" not in done.stderr
        assert within(5, lambda: ids_if_ready(client, "/Patient?blood=A") == ["a", "b"])


def test_what_is_taken_away_is_built_no_more(database: str) -> None:
    with serving(database, no_worker="yes") as server, client_of(server) as client:
        put(client, person("A", id="a"))
        put(client, parameter())
        assert client.delete("/SearchParameter/blood").status_code == 204
        assert client.get("/Patient?blood=A").status_code == 400
    with psycopg.connect(database) as connection:
        assert connection.execute("select state from job").fetchall() == [("cancelled",)]


def test_a_server_that_is_killed_goes_on_where_it_was(database: str) -> None:
    with serving(database) as server, client_of(server) as client:
        _many(client, 6_000)
    with serving(database, lease_s="1") as server, client_of(server) as client:
        put(client, parameter())
        assert within(20, lambda: _parts(database) >= 2)
        os.kill(server.process.pid, signal.SIGKILL)
        server.process.wait()
    with serving(database, lease_s="1") as server, client_of(server) as client:
        assert within(60, lambda: is_ready(client, "/Patient?blood=A"))
        found = client.get("/Patient?blood=A&_summary=count&_total=accurate").json()["total"]
        assert found == 6_000
        assert _parts(database) == 3  # what it is for, 5,000 of them, the rest


def _many(client: httpx.Client, count: int) -> None:
    for start in range(0, count, 1_000):
        entries = [
            {"resource": person("A"), "request": {"method": "POST", "url": "Patient"}}
            for _ in range(start, min(start + 1_000, count))
        ]
        bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
        assert client.post("/", json=bundle, timeout=60).status_code == 200


def _parts(database: str) -> int:
    with psycopg.connect(database) as connection:
        row = connection.execute("select count(*) from job_part").fetchone()
    return 0 if row is None else int(row[0])


@pytest.mark.smoke
def test_nothing_that_is_written_meanwhile_is_missed(database: str) -> None:
    """Two processes under constant writing, while the parameter comes and changes."""
    with serving(database, "--workers=2") as server:
        writers = [_Writer(server, number) for number in range(4)]
        with client_of(server) as client:
            time.sleep(0.5)
            for round_ in range(4):
                code = f"group{round_}"
                put(client, parameter(code=code))
                assert within(30, lambda code=code: is_ready(client, f"/Patient?{code}=A"))
            time.sleep(0.3)
            acknowledged = sorted(id_ for writer in writers for id_ in writer.end())
            assert len(acknowledged) > 100
            assert ids(client, f"/Patient?{code}=A&_count=1000") == acknowledged


class _Writer:
    """Creates and changes patients of group A until told to stop."""

    def __init__(self, server: Server, number: int) -> None:
        self._server, self._number = server, number
        self._stop = threading.Event()
        self._acknowledged: list[str] = []
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def end(self) -> list[str]:
        self._stop.set()
        self._thread.join()
        return self._acknowledged

    def _run(self) -> None:
        at = 0
        with ExitStack() as stack:  # several connections, so that both processes write
            clients = [stack.enter_context(client_of(self._server)) for _ in range(4)]
            while not self._stop.is_set():
                id_, at = f"w{self._number}-{at}", at + 1
                client = clients[at % len(clients)]
                assert put(client, person("A", id=id_)).status_code == 201
                self._acknowledged.append(id_)
                if at % 3 == 0:
                    put(client, person("A", id=id_, gender="female"))


def test_parameters_of_a_package_are_searched_by(database: str, tmp_path: Path) -> None:
    definition = parameter()
    bad = parameter(id="bad", url=f"{URL}-bad", code="bad", expression="Patient.nam")
    with serving(database) as server, client_of(server) as client:
        put(client, person("A", id="a"))
        done = run(
            "load-package", written(tmp_path, guide(definition, bad)), "--database-url", database
        )
        assert done.returncode == 0, done.stderr
        assert f"warning: SearchParameter {URL}-bad: is not used: The expression" in done.stdout
        assert within(20, lambda: is_ready(client, "/Patient?blood=A"))
        assert ids(client, "/Patient?blood=A") == ["a"]
        assert listed(client, "Patient")["blood"]["definition"] == URL
        answer = put(client, parameter(id="mine"))
        assert answer.status_code == 422
        assert "a loaded package" in issue(answer)["details"]["text"]
        other = guide(parameter(expression="Patient.gender"), version="2.0.0")
        run("load-package", written(tmp_path, other, "two.tgz"), "--database-url", database)
        assert within(20, lambda: ids_if_ready(client, "/Patient?blood=A") == [])
    with psycopg.connect(database) as connection:
        states = connection.execute("select state from search_parameter order by number").fetchall()
    assert states == [("retired",), ("ready",)]


def test_rows_of_an_older_format_are_brought_up_to_date_at_the_start(database: str) -> None:
    with serving(database) as server, client_of(server) as client:
        put(client, resident(id="a"))
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("update resource set fmt = 0, toks = '{}'")
        connection.execute("update setting set value = '0' where name = 'index_format'")
    with serving(database) as server, client_of(server) as client:
        assert within(20, lambda: ids(client, "/Patient?gender=female") == ["a"])
    with psycopg.connect(database) as connection:
        row = connection.execute(
            "select (select value::integer from setting where name = 'index_format') > 0,"
            " (select min(fmt) from resource) > 0, (select count(*) from job)"
        ).fetchone()
    assert row == (True, True, 1)
    with serving(database):  # and not again
        pass
    with psycopg.connect(database) as connection:
        assert connection.execute("select count(*) from job").fetchone() == (1,)
