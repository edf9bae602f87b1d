"""Whose turn it is to be answered by a thread, where there are fewer threads than requests.

Clients take turns, however many requests each has waiting. Who is alone leaves a quarter of the
threads free, so that who comes next begins at once; while others are there, all together take half
of them, for threads that run at the same time slow each other down.
"""

import asyncio
from collections import Counter, OrderedDict, deque


class Turns:
    """Hands out the turns of one process; used by its event loop alone."""

    def __init__(self, threads: int) -> None:
        self._threads = self._free = threads
        self._held = Counter[str]()
        self._waiting = OrderedDict[str, deque[asyncio.Future[None]]]()

    async def take(self, client: str, patience_s: float) -> bool:
        """Wait for a turn; False where none came in time. After it, `over` must be called. A
        `client` of "" is everyone, where clients are not told apart."""
        if self._free and self._may_have_another(client):  # others wait for their own share
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
        while self._free and self._next():
            pass

    def _may_have_another(self, client: str) -> bool:
        if not client:
            return True
        here = len(self._held.keys() | self._waiting.keys() | {client})
        most = self._threads // (2 * here) if here > 1 else self._threads * 3 // 4
        return self._held[client] < max(1, most)

    def _give(self, client: str) -> None:
        self._free -= 1
        self._held[client] += 1

    def _next(self) -> bool:
        """A turn for the client that has waited for longest since its last one, and may have
        another; False where there is none."""
        for client, turns in self._waiting.items():
            if self._may_have_another(client):
                self._give(client)
                turn = turns.popleft()
                self._waiting.move_to_end(client)
                if not turns:
                    del self._waiting[client]
                turn.set_result(None)
                return True
        return False

    def _leave(self, client: str, turn: asyncio.Future[None]) -> None:
        turns = self._waiting[client]
        turns.remove(turn)
        if not turns:
            del self._waiting[client]
