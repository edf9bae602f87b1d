"""Content is never whole in memory: 200 MB come and go while the server grows by a few."""

import hashlib
import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import psutil
import pytest

from servers import Server

_SIZE = 200_000_000
_GROWTH_MAX = 40_000_000
_BLOCK = random.Random(5).randbytes(1_000_003)


def _pieces() -> Iterator[bytes]:
    left = _SIZE
    while left:
        piece = _BLOCK[:left]
        left -= len(piece)
        yield piece


@contextmanager
def _watched(server: Server) -> Iterator[list[int]]:
    """The memory of the server process, looked at a hundred times a second."""
    process = psutil.Process(server.process.pid)
    seen = [process.memory_info().rss]
    over = threading.Event()

    def look() -> None:
        while not over.wait(0.01):
            seen.append(process.memory_info().rss)

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield seen
    finally:
        over.set()
        thread.join()


@pytest.mark.slow
def test_200_mb_come_and_go_in_a_few_of_memory(client: httpx.Client, server: Server) -> None:
    kind = {"Content-Type": "application/dicom"}
    assert client.post("/Binary", content=_BLOCK, headers=kind).is_success  # all is loaded
    digest = hashlib.sha256()
    for piece in _pieces():
        digest.update(piece)
    with _watched(server) as seen:
        stored = client.post("/Binary", content=_pieces(), headers=kind)
        assert stored.status_code == 201
        address = f"/Binary/{stored.json()['id']}"
        shown = hashlib.sha256()
        with client.stream("GET", address) as answer:
            for piece in answer.iter_raw():
                shown.update(piece)
        accept = {"Accept": "application/fhir+json"}
        with client.stream("GET", address, headers=accept) as answer:
            length = sum(len(piece) for piece in answer.iter_raw())
    assert shown.digest() == digest.digest()
    assert length > _SIZE * 4 // 3
    assert max(seen) - seen[0] < _GROWTH_MAX
