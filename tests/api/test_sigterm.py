"""SIGTERM under load: what was asked is answered, and what was acknowledged is stored."""

import signal
import socket
import threading
import time
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from ehr_server.fhir import json
from servers import serving

WRITERS = 8
_NOTES = "http://example.org/notes"


class Writer:
    """Sends creates over kept connections; tells complete answers from none at all."""

    def __init__(self, url: str, number: int) -> None:
        place = urlsplit(url)
        self._address = (str(place.hostname), int(place.port or 80))
        self._number = number
        self.acknowledged: list[str] = []
        self.unanswered: list[str] = []
        self.cut: list[str] = []  # an answer that began and did not end: never
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def join(self) -> None:
        self._thread.join(30)

    def _run(self) -> None:
        count = 0
        while True:
            try:
                link = socket.create_connection(self._address, timeout=20)
            except OSError:
                return  # refused: the server is gone, and nothing was asked
            with link:
                is_kept = True
                while is_kept:
                    name = f"{self._number}-{count}"
                    count += 1
                    is_kept = self._ask(link, name)

    def _ask(self, link: socket.socket, name: str) -> bool:
        """Whether the connection is kept."""
        received = b""
        try:
            link.sendall(_request(name))
            while not _is_whole(received):
                chunk = link.recv(65_536)
                if not chunk:
                    break
                received += chunk
        except OSError:
            pass
        if _is_whole(received):
            assert received.startswith(b"HTTP/1.1 201"), received[:200]
            self.acknowledged.append(name)
            return b"connection: close" not in received.lower()
        (self.cut if received else self.unanswered).append(name)
        return False


@pytest.mark.parametrize("processes", ["1", "2"])
def test_no_request_is_cut(folder: Path, processes: str) -> None:
    options = ("--data-dir", str(folder / "data"), "--workers", processes)
    with serving(None, *options) as server:
        writers = [Writer(server.url, number) for number in range(WRITERS)]
        time.sleep(1.5)
        start = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(30) == 0
        assert time.monotonic() - start < 10
        for writer in writers:
            writer.join()
    with serving(None, *options) as again, httpx.Client(base_url=again.fhir) as client:
        for writer in writers:
            assert len(writer.acknowledged) > 10
            assert writer.cut == []
            for name in writer.acknowledged[-20:]:
                assert _stored(client, name) == 1
            for name in writer.unanswered:  # the connection was closed before they were read
                assert _stored(client, name) == 0
        total = client.get("/Basic?_summary=count").json()["total"]
        assert total == sum(len(writer.acknowledged) for writer in writers)


def test_connections_that_are_idle_are_closed_soon(folder: Path) -> None:
    """They do not hold up the end; a request that is on its way is answered, and says so."""
    with serving(None, "--data-dir", str(folder / "data")) as server:
        place = urlsplit(server.url)
        address = (str(place.hostname), int(place.port or 80))
        with socket.create_connection(address, timeout=20) as idle:
            with socket.create_connection(address, timeout=20) as late:
                server.process.send_signal(signal.SIGTERM)
                time.sleep(0.5)
                late.sendall(_request("late"))
                answer = late.recv(65_536)
                assert answer.startswith(b"HTTP/1.1 201")
                assert b"connection: close" in answer.lower()
            assert idle.recv(1) == b""
        assert server.process.wait(10) == 0


def _stored(client: httpx.Client, name: str) -> int:
    asked = {"identifier": f"{_NOTES}|{name}", "_summary": "count"}
    total: int = client.get("/Basic", params=asked).json()["total"]
    return total


def _request(name: str) -> bytes:
    note = {
        "resourceType": "Basic",
        "identifier": [{"system": _NOTES, "value": name}],
        "code": {"text": "note"},
    }
    body = json.write(note)
    head = (
        "POST /fhir/Basic HTTP/1.1\r\nHost: localhost\r\n"
        f"Content-Type: application/fhir+json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def _is_whole(received: bytes) -> bool:
    head, end, body = received.partition(b"\r\n\r\n")
    if not end:
        return False
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return len(body) >= int(line.split(b":")[1])
    return True
