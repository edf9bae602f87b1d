"""Nothing acknowledged is lost and nothing is there in part, whatever is killed.

Bundles of a patient and ten results are pushed by four senders while the server, then PostgreSQL,
is killed with SIGKILL.
"""

import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil

from api.patients import CCCD, resident, weight
from ehr_server.fhir import json
from servers import Server, serving

RESULTS = 10
SENDERS = 4


class Push:
    """Pushes Bundles until told to stop, and remembers what was acknowledged and what was not."""

    def __init__(self, fhir: str, sender: int) -> None:
        self.acknowledged: list[str] = []
        self.unknown: list[str] = []
        self._stop = threading.Event()
        self._fhir, self._sender = fhir, sender
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def end(self) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        with httpx.Client(base_url=self._fhir, timeout=20) as client:
            number = 0
            while not self._stop.is_set():
                card = f"{self._sender:03}{os.getpid() % 1000:03}{number:06}"
                number += 1
                try:
                    answer = client.post("/", content=_bundle(card), headers=_JSON)
                    is_done = answer.status_code == 200
                    assert is_done or answer.status_code == 503, answer.text
                except httpx.HTTPError:
                    is_done = False
                    time.sleep(0.02)
                (self.acknowledged if is_done else self.unknown).append(card)


def test_kill_9_of_the_server(folder: Path) -> None:
    options = ("--data-dir", str(folder / "data"))
    with serving(None, *options, pool_size="4") as server:
        pushes = [Push(server.fhir, sender) for sender in range(SENDERS)]
        time.sleep(3)
        server.process.kill()
        server.process.wait()
        for push in pushes:
            push.end()
    with serving(None, *options) as again:
        _all_whole(again, pushes)


def test_kill_9_of_postgresql(folder: Path) -> None:
    options = ("--data-dir", str(folder / "data"))
    with serving(None, *options, pool_size="4") as server:
        pushes = [Push(server.fhir, 100 + sender) for sender in range(SENDERS)]
        time.sleep(2)
        os.kill(_postmaster(server), signal.SIGKILL)
        time.sleep(0.5)
        before = [len(push.acknowledged) for push in pushes]
        until = time.monotonic() + 40
        while not all(len(p.acknowledged) > b + 3 for p, b in zip(pushes, before, strict=True)):
            assert time.monotonic() < until, "the server did not come back by itself"
            time.sleep(0.2)
        for push in pushes:
            push.end()
        _all_whole(server, pushes)


def _all_whole(server: Server, pushes: list[Push]) -> None:
    assert sum(len(push.acknowledged) for push in pushes) > 10
    with httpx.Client(base_url=server.fhir, timeout=30) as client:
        for push in pushes:
            for card in push.acknowledged:
                assert _stored(client, card) == (1, RESULTS), "an acknowledged Bundle is not whole"
            for card in push.unknown[:20] + push.unknown[-20:]:
                assert _stored(client, card) in ((0, 0), (1, RESULTS)), "a Bundle is there in part"


def _stored(client: httpx.Client, card: str) -> tuple[int, int]:
    found = client.get("/Patient", params={"identifier": f"{CCCD}|{card}"}).json()
    if not found["total"]:
        return 0, 0
    id_ = found["entry"][0]["resource"]["id"]
    results = client.get("/Observation", params={"patient": id_, "_count": 0}).json()
    return found["total"], results["total"]


def _bundle(card: str) -> bytes:
    urn = "urn:uuid:61ebe359-bfdc-4613-8bf2-c5e300945f0a"
    return json.write(
        {
            "resourceType": "Bundle",
            "type": "transaction",
            "entry": [
                {
                    "fullUrl": urn,
                    "resource": resident(card),
                    "request": {"method": "POST", "url": "Patient"},
                },
                *_results(urn),
            ],
        }
    )


def _results(urn: str) -> Iterator[dict[str, Any]]:
    for _ in range(RESULTS):
        yield {"resource": weight(urn), "request": {"method": "POST", "url": "Observation"}}


def _postmaster(server: Server) -> int:
    for process in psutil.Process(server.process.pid).children(recursive=True):
        if process.name() == "postgres" and "-D" in process.cmdline():
            return process.pid
    raise AssertionError("no postmaster below the server")


_JSON = {"Content-Type": "application/fhir+json"}
