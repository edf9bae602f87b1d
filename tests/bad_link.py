"""A bad link between a client and a server: a TCP proxy that cuts, delays and loses answers.

    with bad_link(server.url, seed=7) as link:
        httpx.post(f"{link.url}/fhir", ...)      # as if to the server
    link.met                                     # how often what happened

What becomes of an exchange (a request and its answer) is drawn from the seed and the number of the
exchange. No request may be sent before the answer to the one before it on the same connection.
"""

import random
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from selectors import EVENT_READ, DefaultSelector
from urllib.parse import urlsplit

# How often an exchange meets what fate, in relation to each other.
FATES: Mapping[str, float] = {
    "whole": 5,  # nothing happens to it
    "late": 1,  # the request arrives after a while
    "never sent": 1,  # cut before anything of the request is passed on
    "half sent": 1,  # cut in the middle of the request
    "left": 1,  # cut at some moment after the request is passed on, perhaps while it is worked on
    "unheard": 2,  # the answer is there, but nothing of it arrives: cut
    "silent": 0.5,  # as unheard, but the connection stays open for a while
    "half heard": 1,  # cut in the middle of the answer
}
_CHUNK_BYTES = 1 << 16


class BadLink:
    """A link to the server at the address `to`, which may be set anew when that has restarted.

    `fates` are weights as in FATES; `wait_s` is the longest wait of what is late, left or silent.
    `met` counts what happened. Set `is_good` to let everything pass from now on.
    """

    def __init__(
        self, to: str, seed: int, fates: Mapping[str, float] = FATES, wait_s: float = 0.2
    ) -> None:
        self.to = to
        self.met: Counter[str] = Counter()
        self.is_good = False
        self._seed, self._fates, self._wait_s = seed, dict(fates), wait_s
        self._lock = threading.Lock()
        self._is_open = True
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Take no more connections; those that are open are cut."""
        self._is_open = False
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while self._is_open:
            with suppress(OSError):
                client, _ = self._listener.accept()
                threading.Thread(target=self._carry, args=(client,), daemon=True).start()

    def _carry(self, client: socket.socket) -> None:
        """One connection, from its first byte to its end or its cut."""
        there = urlsplit(self.to)
        server: socket.socket | None = None
        try:
            server = socket.create_connection((there.hostname or "", there.port or 80), timeout=5)
            self._exchange(client, server)
        except OSError:
            pass  # one of the two is gone: so is the connection
        finally:
            _cut(client)
            if server is not None:
                _cut(server)

    def _exchange(self, client: socket.socket, server: socket.socket) -> None:
        """Carry requests and answers until one side closes, or fate cuts."""
        fate, chance, is_answered, until = "whole", random.Random(0), True, float("inf")
        with DefaultSelector() as ready:
            for one in (client, server):
                ready.register(one, EVENT_READ)
            while self._is_open and time.monotonic() < until:
                for key, _ in ready.select(min(0.2, max(0, until - time.monotonic()))):
                    is_request = key.fileobj is client
                    chunk = (client if is_request else server).recv(_CHUNK_BYTES)
                    if not chunk:
                        return
                    if is_request and is_answered:
                        fate, chance = self._drawn()
                        if fate == "left":
                            until = time.monotonic() + chance.uniform(0, self._wait_s)
                    is_answered = not is_request
                    if is_request and not self._request(fate, chance, chunk, server):
                        return
                    if not is_request and not self._answer(fate, chance, chunk, client):
                        return

    def _request(self, fate: str, chance: random.Random, chunk: bytes, to: socket.socket) -> bool:
        """Pass a piece of a request on, as its fate wants; False to cut."""
        if fate == "never sent":
            return False
        if fate == "late":
            time.sleep(chance.uniform(0, self._wait_s))
        if fate == "half sent" and chance.random() < 0.5:  # head and body often come in two pieces
            to.sendall(chunk[: chance.randrange(len(chunk))])
            return False
        to.sendall(chunk)
        return True

    def _answer(self, fate: str, chance: random.Random, chunk: bytes, to: socket.socket) -> bool:
        """Pass a piece of an answer on, as the fate of the request wants; False to cut."""
        if fate == "silent":
            time.sleep(chance.uniform(0, self._wait_s))
        if fate == "half heard":
            to.sendall(chunk[: chance.randrange(len(chunk))])
        if fate in ("left", "unheard", "silent", "half heard", "half sent"):
            return False
        to.sendall(chunk)
        return True

    def _drawn(self) -> tuple[str, random.Random]:
        with self._lock:
            number = sum(self.met.values())
            chance = random.Random(f"{self._seed} {number}")
            (fate,) = chance.choices(list(self._fates), list(self._fates.values()))
            fate = "whole" if self.is_good else fate
            self.met[fate] += 1
        return fate, chance


@contextmanager
def bad_link(
    to: str, seed: int, fates: Mapping[str, float] = FATES, wait_s: float = 0.2
) -> Iterator[BadLink]:
    """A link for as long as the block."""
    link = BadLink(to, seed, fates, wait_s)
    try:
        yield link
    finally:
        link.close()


def _cut(one: socket.socket) -> None:
    """As a broken link ends: without a farewell."""
    with suppress(OSError):
        one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    one.close()
