"""The benchmark of look-ups on a few residents: what is asked, on which schedule, what is told."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import parse_qs

import pytest

from campaign import residents
from databases import open_folder
from growth.record import Part, records
from harness.client import Load, Refused, at_once, good, request, run
from identity.measure import measure
from identity.report import Measured, page, section
from identity.ways import WAYS, Way

PLACES = ["Patient", "Coverage", "Encounter"]


@contextmanager
def answering(wait_s: float, status: str = "200 OK") -> Iterator[tuple[str, int]]:
    """A server of one connection at a time that takes so long for every answer."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listening:

        def serve() -> None:
            try:
                while True:
                    link, _ = listening.accept()
                    with link:
                        while link.recv(1 << 16):
                            time.sleep(wait_s)
                            head = f"HTTP/1.1 {status}\r\nContent-Length: 2\r\n\r\n"
                            link.sendall(head.encode() + b"{}")
            except OSError:
                return

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listening.getsockname()[:2]


pytestmark = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")


def test_what_waits_for_a_slow_answer_counts_from_when_it_was_due() -> None:
    with answering(0.03) as address:
        sent = [request("GET", "/", "x")] * 10
        waited = run(Load(address, sent, due=[0.01 * at for at in range(10)]))
        closed = run(Load(address, sent))
    assert waited.is_good
    assert closed.is_good
    assert max(closed.latencies) < 0.1
    assert waited.latencies[-1] > 0.15  # 300 ms of answers, due after 90
    assert waited.wall_s < 1


def test_what_is_not_due_is_not_sent() -> None:
    with answering(0.0) as address:
        outcome = run(Load(address, [request("GET", "/", "x")] * 4, due=[0.0, 0.1, 0.2, 0.3]))
    assert outcome.wall_s >= 0.3
    assert max(outcome.latencies) < 0.1


def test_loads_go_at_the_same_time_and_refusals_are_raised() -> None:
    with answering(0.0) as one, answering(0.0) as two:
        sent, due = [request("GET", "/", "x")] * 2, [0.0, 0.3]
        start = time.perf_counter()
        outcomes = at_once([Load(one, sent, due=due), Load(two, sent, due=due)])
        assert time.perf_counter() - start < 0.6
        assert [outcome.statuses for outcome in outcomes] == [{200: 2}] * 2
    with answering(0.0, "409 Conflict") as refusing, pytest.raises(Refused, match="409"):
        good(Load(refusing, sent))


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.name)
def test_a_way_asks_for_one_number(way: Way) -> None:
    """https://hl7.org/fhir/R4/http.html#search: by POST the number stands in no address."""
    resident = next(one for one in residents(10, 1) if one.cccd is not None)
    head, _, body = way.request(resident, "x").decode().partition("\r\n\r\n")
    address = head.split()[1]
    assert head.startswith(way.method)
    assert (way.number(resident) in address) == (way.method == "GET")
    asked = parse_qs(body or address.partition("?")[2])["identifier"]
    assert asked == ["|".join(filter(None, (way.system, way.number(resident))))]


def test_of_most_residents_there_is_what_the_reception_writes() -> None:
    found = {one.number: one for one in records(Part(0, 42, visits=20))}
    assert len(found[20].resources) > 15
    for number in (1, 2, 19):
        types = [one["resourceType"] for one in found[number].resources]
        assert [one for one in types if one != "RelatedPerson"] == PLACES


@pytest.fixture(scope="module")
def measured() -> Iterator[tuple[Measured, Path]]:
    with open_folder() as folder:
        yield measure(60, folder, is_quick=True), folder


@pytest.mark.slow
def test_everything_is_measured_to_the_end(measured: tuple[Measured, Path]) -> None:
    found, _ = measured
    assert [one.way for one in found.lookups.ways] == [way.name for way in WAYS]
    first, nobody = found.lookups.ways[0], found.lookups.ways[-1]
    assert (first.found, nobody.found) == (first.asked, nobody.asked)
    assert found.lookups.pushed >= 200
    assert found.lists.made == found.lists.sent == 400
    text = page([section(found)], "Machine: this one.")
    assert "one Patient each" in text
    assert "Made by `python -m bench --identity" in text


@pytest.mark.slow
def test_a_kept_town_is_not_loaded_again(measured: tuple[Measured, Path]) -> None:
    """The people of the second run are others than those of the first."""
    before, folder = measured
    after = measure(60, folder, is_quick=True)
    assert after.resources > before.resources
    assert after.loaded == before.loaded
    assert after.lists.made == after.lists.sent
