"""The load: a process with a few threads, each one keep-alive connection of plain sockets.

A closed loop sends the next request when the answer to the last one is there. An open loop sends
each when it is `due`, over any connection that is free, and counts its latency from then on, so
that what has to wait because the server is slow is counted as slow.
"""

from __future__ import annotations

import itertools
import multiprocessing
import socket
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from multiprocessing.connection import Connection
    from multiprocessing.context import ForkProcess

_BLOCK = 1 << 18


@dataclass(frozen=True, slots=True)
class Load:
    """What to send: whole requests as bytes, over so many connections.

    With `seconds` the requests are sent again and again until then, else each of them once; with
    `due`, in rising order, each so many seconds after the beginning. `keep` brings the bodies of
    the answers back.
    """

    address: tuple[str, int]
    requests: Sequence[bytes]
    connections: int = 1
    seconds: float | None = None
    keep: bool = False
    due: Sequence[float] | None = None


@dataclass(slots=True)
class Outcome:
    """What came of it: latencies in seconds and statuses in the order of the answers."""

    wall_s: float = 0.0
    cpu_s: float = 0.0
    latencies: list[float] = field(default_factory=list)
    statuses: dict[int, int] = field(default_factory=dict)
    bodies: dict[int, bytes] = field(default_factory=dict)  # by index of the request
    refusal: bytes = b""  # the first body that came with a status over 299
    began: float = 0.0  # by the clock of the sending process

    @property
    def is_good(self) -> bool:
        return all(200 <= status < 300 for status in self.statuses)


def request(
    method: str, path: str, host: str, body: bytes = b"", kind: str = "application/fhir+json"
) -> bytes:
    """A whole HTTP/1.1 request; `path` is everything after the host, encoded; `kind` is that of
    the body."""
    head = f"{method} {path} HTTP/1.1\r\nHost: {host}\r\nAccept: application/fhir+json\r\n"
    if body:
        head += f"Content-Type: {kind}\r\nContent-Length: {len(body)}\r\n"
    return head.encode("ascii") + b"\r\n" + body


class Refused(Exception):
    """The server refused what it should have taken; the text is its answer."""


def run(load: Load) -> Outcome:
    """Sends the load from a process of its own and waits for it to end."""
    return at_once([load])[0]


def good(load: Load) -> Outcome:
    """As `run`. Raises `Refused` if an answer is none of success."""
    return accepted(run(load))


def accepted(outcome: Outcome) -> Outcome:
    """The same outcome. Raises `Refused` if an answer is none of success."""
    if not outcome.is_good:
        raise Refused(f"{outcome.statuses}: {outcome.refusal[:2000].decode()}")
    return outcome


def at_once(loads: Sequence[Load]) -> list[Outcome]:
    """Sends all loads at the same time, each from a process of its own; waits for all to end."""
    started = [_start(load) for load in loads]
    return [_end(process, results) for process, results in started]


def _start(load: Load) -> tuple[ForkProcess, Connection]:
    context = multiprocessing.get_context("fork")  # the requests need not be copied
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_send_all, args=(load, theirs))
    process.start()
    theirs.close()
    return process, ours


def _end(process: ForkProcess, results: Connection) -> Outcome:
    try:
        outcome: Outcome = results.recv()
    finally:
        process.join()
    return outcome


def _send_all(load: Load, results: Connection) -> None:
    cpu, outcome = time.process_time(), Outcome(began=time.perf_counter())
    turns = itertools.count()
    threads = [
        threading.Thread(target=_connection, args=(load, turns, outcome))
        for _ in range(load.connections)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    outcome.wall_s = time.perf_counter() - outcome.began
    outcome.cpu_s = time.process_time() - cpu
    results.send(outcome)


def _connection(load: Load, turns: itertools.count[int], outcome: Outcome) -> None:
    """One connection. When it breaks, the outcome is not good: a status of 0."""
    try:
        _converse(load, turns, outcome)
    except (OSError, ValueError) as error:
        outcome.statuses[0] = outcome.statuses.get(0, 0) + 1
        outcome.refusal = outcome.refusal or str(error).encode()


def _converse(load: Load, turns: itertools.count[int], outcome: Outcome) -> None:
    """Sends one request after another, each when it is due or when the last one is answered."""
    requests, count = load.requests, len(load.requests)
    deadline = None if load.seconds is None else time.perf_counter() + load.seconds
    with socket.create_connection(load.address) as link:
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for turn in turns:
            if turn >= count if deadline is None else time.perf_counter() > deadline:
                return
            start = time.perf_counter() if load.due is None else outcome.began + load.due[turn]
            time.sleep(max(0.0, start - time.perf_counter()))
            link.sendall(requests[turn % count])
            status, body = _answer(link)
            outcome.latencies.append(time.perf_counter() - start)
            outcome.statuses[status] = outcome.statuses.get(status, 0) + 1
            if load.keep:
                outcome.bodies[turn] = body
            if status > 299 and not outcome.refusal:
                outcome.refusal = body


def _answer(link: socket.socket) -> tuple[int, bytes]:
    """Status and body of one answer, which must tell its length."""
    data = link.recv(_BLOCK)
    while (end := data.find(b"\r\n\r\n")) < 0:
        data += _more(link)
    head = data[:end].lower()
    status = int(head[9:12])
    mark = head.find(b"content-length:")
    if mark < 0 and status != 204:
        raise ValueError(f"an answer without a length: {head.decode('latin-1')}")
    length = 0 if mark < 0 else int(head[mark + 15 :].split(b"\r\n", 1)[0])
    parts, got = [data[end + 4 :]], len(data) - end - 4
    while got < length:
        parts.append(_more(link))
        got += len(parts[-1])
    return status, b"".join(parts)


def _more(link: socket.socket) -> bytes:
    data = link.recv(_BLOCK)
    if not data:
        raise ConnectionError("the server closed the connection in the middle of an answer")
    return data
