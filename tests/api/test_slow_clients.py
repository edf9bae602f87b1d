"""Clients that are slow, idle or gone take nothing from the others."""

import resource
import socket
import time
from contextlib import ExitStack
from urllib.parse import urlsplit

import httpx
import pytest

from ehr_server.web.connections import CONNECTIONS_MAX, HEAD_BYTES_MAX, HEAD_S
from servers import Server


def _connected(server: Server) -> socket.socket:
    place = urlsplit(server.url)
    return socket.create_connection((str(place.hostname), int(place.port or 80)), timeout=60)


def test_a_head_without_end_is_refused(server: Server) -> None:
    with _connected(server) as link:
        link.sendall(b"GET /fhir/metadata HTTP/1.1\r\nHost: x\r\n")
        sent = 0
        try:
            while sent < 4 * HEAD_BYTES_MAX:
                sent += link.send(b"X-More: " + b"x" * 1000 + b"\r\n")
                time.sleep(0.001)
        except OSError:
            pass
        assert sent < 4 * HEAD_BYTES_MAX


@pytest.mark.slow
def test_a_head_that_comes_a_byte_at_a_time_is_cut(server: Server) -> None:
    with _connected(server) as link:
        start = time.monotonic()
        link.sendall(b"GET /")
        link.settimeout(0.5)
        while True:
            try:
                link.sendall(b"a")
                if link.recv(1) == b"":
                    break
            except TimeoutError:
                pass
            except OSError:
                break
            assert time.monotonic() - start < HEAD_S + 5
        assert time.monotonic() - start > HEAD_S - 2
    assert httpx.get(f"{server.fhir}/metadata").status_code == 200


@pytest.mark.slow
def test_after_an_answer_too_the_next_head_has_its_time(server: Server) -> None:
    with _connected(server) as link:
        link.sendall(b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n")
        answer = b""
        while not answer.endswith(b"}"):
            answer += link.recv(65_536)
        assert answer.startswith(b"HTTP/1.1 200")
        start = time.monotonic()
        link.sendall(b"GET /health/live HTTP/1.1\r\n")
        assert link.recv(1) == b""
        assert HEAD_S - 2 < time.monotonic() - start < HEAD_S + 5


def test_idle_connections_make_room_for_others(server: Server) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = CONNECTIONS_MAX + 500
    if hard != resource.RLIM_INFINITY and hard < needed:
        pytest.skip("this system allows too few open files")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, needed), hard))
    with ExitStack() as idle:
        for _ in range(CONNECTIONS_MAX + 100):
            idle.enter_context(_connected(server))
        start = time.monotonic()
        for _ in range(5):
            assert httpx.get(f"{server.fhir}/metadata", timeout=20).status_code == 200
        assert time.monotonic() - start < 10
