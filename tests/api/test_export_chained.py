"""Exports that follow each other while everybody writes: together they are the record.

https://hl7.org/fhir/uv/bulkdata/export.html: the response "SHALL include any matching resources
modified up to and including" transactionTime, which is what the next export gives as `_since`.
"""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psycopg
import pytest

from api.received import Copy, Export, Place, downloaded, export, kick_off, manifest_of
from api.writers import Together, Writer, Written, first
from databases import PostgreSQL
from ehr_server.fhir import json
from ehr_server.fhir.bundle import version
from servers import Server, serving, working

WRITERS = 8
_LINKS_MIN = 2  # while everybody writes
JSON = {"Accept": "application/fhir+json"}
TYPES = ("Patient", "Observation", "Organization", "Basic", "Binary")


@dataclass
class Chain:
    """Exports one after the other, each since the last, applied to a copy."""

    fhir: str
    path: str = "/$export"
    query: dict[str, str] = field(default_factory=dict)
    copy: Copy = field(default_factory=Copy)
    links: list[tuple[Export, dict[Place, bytes]]] = field(default_factory=list)

    def link(self) -> None:
        """The next export; what the copy then holds is remembered with it."""
        since = {"since": self.links[-1][0].at} if self.links else {}
        with httpx.Client(base_url=self.fhir, timeout=60) as client:
            made = export(client, self.path, **self.query, **since)
        self.copy.apply(made)
        self.links.append((made, dict(self.copy.lines)))


def _chains(fhir: str) -> dict[str, Chain]:
    return {
        "everything": Chain(fhir),
        "everything again": Chain(fhir),
        "two types": Chain(fhir, query={"type": "Observation,Basic"}),
        "of patients": Chain(fhir, "/Patient/$export"),
    }


@dataclass
class Run:
    """What came of writing and exporting at the same time."""

    chains: dict[str, Chain]
    done: list[Together]
    may_vanish: set[Place]  # what conditional deletes may have met, which do not tell

    def deletions(self) -> dict[Place, int]:
        """The last version of each place that is a deletion."""
        found: dict[Place, int] = {}
        for together in self.done:
            for one in together:
                if one.at is None:
                    found[one.place] = max(one.ver, found.get(one.place, 0))
        return found


def _run(fhir: str, seconds: float) -> Run:
    with httpx.Client(base_url=fhir, timeout=60) as client:
        first(client)
    chains = _chains(fhir)
    with ExitStack() as writing:
        writers = [Writer(fhir, number) for number in range(WRITERS)]
        for writer in writers:
            writing.callback(writer.end)
        until = time.monotonic() + seconds
        _at_once([lambda chain=chain: _while(chain, until) for chain in chains.values()])
    for chain in chains.values():
        chain.link()  # the last, when nobody writes
    return Run(
        chains,
        [together for writer in writers for together in writer.done],
        {place for writer in writers for place in writer.conditional},
    )


def _while(chain: Chain, until: float) -> None:
    while len(chain.links) < _LINKS_MIN or time.monotonic() < until:
        chain.link()


def _at_once(deeds: list[Callable[[], None]]) -> None:
    """Do all of them at the same time; raise what one of them raised."""
    errors: list[BaseException] = []

    def tried(deed: Callable[[], None]) -> None:
        try:
            deed()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=tried, args=(deed,)) for deed in deeds]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


@pytest.fixture(scope="module")
def run(server: Server) -> Run:
    return _run(server.fhir, 3)


def test_enough_was_done_to_prove_something(run: Run) -> None:
    written = [one for together in run.done for one in together]
    assert len(written) > 200
    assert any(one.at is None for one in written)
    for chain in run.chains.values():
        assert len(chain.links) > _LINKS_MIN
    assert any(made.deleted for made, _ in run.chains["everything"].links)
    assert any(len(found) > 1 for found in _holders(run.chains["everything"]).values())


def _holders(chain: Chain) -> dict[Place, set[str]]:
    """The patients that each resource was found with: some are moved from one to another."""
    found: dict[Place, set[str]] = {}
    for made, _ in chain.links:
        for place, line in made.lines.items():
            if place[0] == "Observation":
                found.setdefault(place, set()).add(json.read(line)["subject"]["reference"])
    return found


def test_the_chain_is_the_database_exactly(run: Run, server: Server) -> None:
    _is_exact(run, server)


def test_every_export_is_of_one_moment(run: Run) -> None:
    _is_of_one_moment(run)


def test_nothing_up_to_the_transaction_time_is_left_out(run: Run) -> None:
    _is_complete(run)


def test_what_nobody_touched_does_not_come_again(run: Run) -> None:
    for name, chain in run.chains.items():
        quiet = [("Organization", "quiet") in made.lines for made, _ in chain.links]
        is_asked_for = name.startswith("everything")
        assert quiet == [is_asked_for, *(False for _ in quiet[1:])]


def test_a_write_in_flight_is_waited_for(server: Server, client: httpx.Client) -> None:
    """It had its number and its time before the export was asked for, and commits after."""
    before = export(client)
    with (
        psycopg.connect(str(server.database_url)) as holding,
        ThreadPoolExecutor() as threads,
    ):
        holding.execute("lock table version in share mode")  # reading goes on, writing waits
        basic = {"resourceType": "Basic", "id": "held", "code": {"text": "held"}}
        put = threads.submit(client.put, "/Basic/held", json=basic)
        _wait_for_a_lock(holding)
        kicked = kick_off(client, since=before.at)
        time.sleep(0.5)  # enough for a worker to take it and be done
        assert client.get(kicked).status_code == 202
        holding.rollback()
        written = put.result().json()
    meanwhile = downloaded(client, manifest_of(client, kicked))
    assert written["meta"]["lastUpdated"] <= meanwhile.at
    assert ("Basic", "held") in meanwhile.lines


def _wait_for_a_lock(connection: psycopg.Connection) -> None:
    """Until somebody waits for what the connection holds."""
    waits = "select from pg_stat_activity where pg_backend_pid() = any(pg_blocking_pids(pid))"
    end = time.monotonic() + 10
    while connection.execute(waits).fetchone() is None:
        assert time.monotonic() < end, "nobody waits"
        connection.execute("select pg_stat_clear_snapshot()")
        time.sleep(0.01)


@pytest.mark.slow
def test_a_minute_of_it(given_postgresql: PostgreSQL, tmp_path: Path) -> None:
    """By two server processes and two workers."""
    settings = {"export_dir": str(tmp_path), "workers": "2"}
    with given_postgresql.database() as url, serving(url, **settings) as server:
        with working(url, export_dir=str(tmp_path)):
            run = _run(server.fhir, 60)
        assert len(run.chains["everything"].links) > 10
        _is_exact(run, server)
        _is_of_one_moment(run)
        _is_complete(run)


def _is_exact(run: Run, server: Server) -> None:
    with httpx.Client(base_url=server.fhir, timeout=60) as client:
        there = {type_name: _read_all(client, type_name) for type_name in TYPES}
    everything = {place: one for found in there.values() for place, one in found.items()}
    wanted = {
        "everything": TYPES,
        "everything again": TYPES,
        "two types": ("Observation", "Basic"),
        "of patients": ("Patient", "Observation"),
    }
    for name, chain in run.chains.items():
        expected = {p: one for p, one in everything.items() if p[0] in wanted[name]}
        copied = chain.copy.lines
        assert copied.keys() == expected.keys(), name
        assert {p: version(one) for p, one in copied.items()} == {
            p: version(one) for p, one in expected.items()
        }, name
        assert copied == expected, "byte for byte"


def _is_of_one_moment(run: Run) -> None:
    """A pair is there with one number or not at all, and what a transaction wrote is there as
    soon as any of it is."""
    deleted = run.deletions()
    several = [together for together in run.done if len(together) > 1]
    for name, chain in run.chains.items():
        types = {place[0] for place in chain.copy.lines}
        for _, held in chain.links:
            _pairs_match(held)
            vers = {place: version(line) for place, line in held.items()}
            for together in several:
                mine = [one for one in together if one.place[0] in types]
                if any(one.at and vers.get(one.place, 0) >= one.ver for one in mine):
                    missing = [one for one in mine if not _is_in(one, vers, deleted)]
                    assert not missing, f"{name} holds a transaction in part"


def _pairs_match(held: dict[Place, bytes]) -> None:
    numbers: dict[str, set[str]] = {}
    ends: dict[str, int] = {}
    for (type_name, id_), line in held.items():
        if type_name == "Basic":
            pair = id_[:-2]
            numbers.setdefault(pair, set()).add(json.read(line)["code"]["text"])
            ends[pair] = ends.get(pair, 0) + 1
    assert all(len(found) == 1 for found in numbers.values())
    assert set(ends.values()) <= {2}


def _is_complete(run: Run) -> None:
    deleted = run.deletions()
    for name, chain in run.chains.items():
        types = {place[0] for place in chain.copy.lines}
        written = [
            one for together in run.done for one in together
            if one.place[0] in types and one.place not in run.may_vanish
        ]  # fmt: skip
        for made, held in chain.links:
            vers = {place: version(line) for place, line in held.items()}
            missing = [
                one
                for one in written
                if one.at and one.at <= made.at and not _is_in(one, vers, deleted)
            ]
            assert not missing, f"{name} as of {made.at} lacks {missing[:3]}"


def _is_in(one: Written, vers: dict[Place, int], deleted: dict[Place, int]) -> bool:
    """Whether a copy of those versions knows of what was written, or of what came after it."""
    if one.at is None:
        return vers.get(one.place, one.ver + 1) > one.ver
    if one.place in vers:
        return vers[one.place] >= one.ver
    return deleted.get(one.place, 0) > one.ver


def _read_all(client: httpx.Client, type_name: str) -> dict[Place, bytes]:
    """Every resource of a type, each as a read of its own answers it."""
    found: dict[Place, bytes] = {}
    url: str | None = f"/{type_name}?_count=1000&_elements=id"
    while url:
        page = client.get(url).json()
        for entry in page.get("entry", ()):
            place = (type_name, entry["resource"]["id"])
            found[place] = client.get("/" + "/".join(place), headers=JSON).content
        url = next((link["url"] for link in page["link"] if link["relation"] == "next"), None)
    return found
