"""Whose turn it is to be answered by a thread, where there are fewer threads than requests.

Clients take turns, however many requests each has waiting; and none holds more than its share of
the threads, so that who asks seldom finds one free.
"""

import asyncio
from collections import Counter, OrderedDict, deque

_FOR_OTHERS = 4  # one of so many threads is left to others


class Turns:
    """Hands out the turns of one process; used by its event loop alone."""

    def __init__(self, threads: int) -> None:
        self._threads = self._free = threads
        self._share = max(1, threads - max(1, threads // _FOR_OTHERS))
        self._held = Counter[str]()
        self._waiting = OrderedDict[str, deque[asyncio.Future[None]]]()

    async def take(self, client: str, patience_s: float) -> bool:
        """Wait for a turn; False where none came in time. After it, `over` must be called. A
        `client` of "" is everyone, where clients are not told apart."""
        if self._free and self._may_have_another(client):  # who waits, waits for its own share
            self._give(client)
            return True
        turn = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(client, deque()).append(turn)
        try:
            await asyncio.wait({turn}, timeout=patience_s)
        except BaseException:
            if turn.done():
                self.over(client)
            raise
        finally:
            if not turn.done():
                turn.cancel()
                self._leave(client, turn)
        return not turn.cancelled()

    def over(self, client: str) -> None:
        """A turn has ended: the next begins."""
        self._free += 1
        self._held[client] -= 1
        if not self._held[client]:
            del self._held[client]
        self._next()

    def _may_have_another(self, client: str) -> bool:
        return self._held[client] < (self._share if client else self._threads)

    def _give(self, client: str) -> None:
        self._free -= 1
        self._held[client] += 1

    def _next(self) -> None:
        """The client that has waited for longest since its last turn, and may have another."""
        for client, turns in self._waiting.items():
            if self._may_have_another(client):
                self._give(client)
                turn = turns.popleft()
                self._waiting.move_to_end(client)
                if not turns:
                    del self._waiting[client]
                turn.set_result(None)
                return

    def _leave(self, client: str, turn: asyncio.Future[None]) -> None:
        turns = self._waiting[client]
        turns.remove(turn)
        if not turns:
            del self._waiting[client]
