"""Speaking HTTP by hand over a raw link, and lies in it."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPResponse

from servers import Server


@contextmanager
def link(server: Server) -> Iterator[socket.socket]:
    """A connection to the server."""
    host, port = server.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=20) as opened:
        yield opened


def answers(opened: socket.socket) -> list[tuple[int, bytes]]:
    """Status and body of all that is answered until the server closes the connection."""
    found = []
    whole = b""
    while piece := opened.recv(65_536):
        whole += piece
    while whole:
        given, taken = _first(whole)
        found.append(given)
        whole = whole[taken:]
    return found


def _first(data: bytes) -> tuple[tuple[int, bytes], int]:
    """The first answer of several that came together, and how many bytes it takes."""
    one, other = socket.socketpair()
    with one, other:
        one.sendall(data[: data.index(b"\r\n\r\n") + 4])
        one.shutdown(socket.SHUT_WR)
        answer = HTTPResponse(other)
        answer.begin()
        length = int(answer.headers.get("Content-Length", 0))
    start = data.index(b"\r\n\r\n") + 4
    return (answer.status, data[start : start + length]), start + length
