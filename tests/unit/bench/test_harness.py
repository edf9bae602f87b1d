"""The harness: its client, its arithmetic, and what it reads of processes."""

import http.server
import os
import threading
from collections.abc import Iterator

import pytest

from harness.client import Load, Outcome, request, run
from harness.figures import figures, percentile, table
from harness.inputs import Stored
from harness.processes import Usage, peak_memory, usage


class Echo(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(422 if body == b"bad" else 201)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def address() -> Iterator[tuple[str, int]]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Echo) as echo:
        thread = threading.Thread(target=echo.serve_forever)
        thread.start()
        yield "127.0.0.1", echo.server_port
        echo.shutdown()
        thread.join()


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")  # the echo runs in a thread here
def test_each_request_is_sent_once_and_its_answer_kept(address: tuple[str, int]) -> None:
    bodies = [b"%d" % number * 50_000 for number in range(20)]
    sent = [request("POST", "/fhir", "localhost", body) for body in bodies]
    outcome = run(Load(address, sent, connections=3, keep=True))
    assert [outcome.bodies[number] for number in range(20)] == bodies
    assert outcome.statuses == {201: 20}
    assert outcome.is_good
    assert len(outcome.latencies) == 20


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_timed_load_goes_round_and_tells_of_refusals(address: tuple[str, int]) -> None:
    sent = [request("POST", "/fhir", "localhost", body) for body in (b"good", b"bad")]
    outcome = run(Load(address, sent, seconds=0.1))
    assert outcome.statuses.keys() == {201, 422}
    assert not outcome.is_good
    assert outcome.refusal == b"bad"


def test_percentiles_are_values_that_were_measured() -> None:
    values = [float(number) for number in range(1, 101)]
    assert [percentile(values, share) for share in (0.5, 0.95, 0.99, 1.0)] == [50, 95, 99, 100]
    assert percentile([7.0], 0.5) == 7.0


def test_processor_time_of_children_counts() -> None:
    before = usage(os.getpid())
    child = os.fork()
    if child == 0:
        sum(number * number for number in range(3_000_000))
        os._exit(0)
    os.waitpid(child, 0)
    assert (usage(os.getpid()) - before).server_s >= 0.05
    assert peak_memory(os.getpid())[0] > 10e6


def test_a_row_divides_by_what_was_done() -> None:
    outcome = Outcome(wall_s=2.0, cpu_s=0.01, latencies=[0.001, 0.003])
    row = figures("read", 2, (1_000, "requests"), outcome, Usage(0.5, 0.2)).row()
    assert row == ("read", "2", "500 requests/s", "1.0", "3.0", "3.0", "500", "200", "10")
    assert table(("what", "n"), [("read", "2")]) == "| what | n |\n| --- | ---: |\n| read | 2 |"


def test_the_answer_to_a_transaction_tells_what_can_be_asked() -> None:
    sent = b"""{"entry": [
      {"fullUrl": "urn:uuid:1", "resource": {"resourceType": "Patient",
        "identifier": [{"system": "s", "value": "1"}]}},
      {"fullUrl": "urn:uuid:2", "resource": {"resourceType": "Observation",
        "subject": {"reference": "urn:uuid:1"}, "code": {"coding": [{"system": "l", "code": "c"}]}}}
    ]}"""
    answer = b"""{"entry": [{"response": {"location": "http://h/fhir/Patient/a/_history/1"}},
      {"response": {"location": "Observation/b/_history/1"}}]}"""
    stored = Stored()
    stored.learn(sent, answer)
    assert stored.locations == ["Patient/a", "Observation/b"]
    assert stored.identifiers == ["s|1"]
    assert stored.codes == [("a", "l|c")]
    assert stored.samples[0]["subject"] == {"reference": "Patient/a"}
