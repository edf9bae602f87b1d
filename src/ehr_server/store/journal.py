"""Writes the rows of the access log that are part of no change: of reads, searches and refusals.

One thread of each process gathers the rows of all requests under way, writes them by one statement
and lets the answers go once that is on the disk. What comes meanwhile waits for the next one: so a
commit is shared by as many as come while one lasts. A statement costs nearly as much for one row as
for eight; so while several come at a time, one is begun every three milliseconds at most. Who asks
alone waits for nothing but the disk.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import TYPE_CHECKING

from ehr_server import clock
from ehr_server.store.access_log import Row, Words, insert
from ehr_server.store.connect import Store

if TYPE_CHECKING:
    from types import TracebackType

_ROWS_MAX = 5_000  # by one statement, about: what a request tells stays together
_TIMEOUT_MS = 10_000
_APART_MS = 3  # the beginnings of statements, where several come at a time

log = logging.getLogger(__name__)

Then = Callable[[BaseException | None], None]  # is told why the rows are not there; None: they are


class Journal:
    """Open it once in a process, close it at the end. `store` is whose log it is; the rows go by a
    connection of the journal's own, so that who waits for them holds none."""

    def __init__(self, store: Store, *, waits_for_disk: bool = True) -> None:
        self.store = store
        self.words = Words(store)
        self._own = Store(
            store.url,
            pool_size=1,
            statement_timeout_ms=_TIMEOUT_MS,
            waits_for_disk=waits_for_disk,
            encryption_key=store.encryption_key,
        )
        self._waiting: list[tuple[Sequence[Row], Then]] = []
        self._is_closed = False
        self._change = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="journal", daemon=True)
        self._thread.start()

    def add(self, rows: Sequence[Row], then: Then) -> None:
        """Write the rows; `then` is called in the thread of the journal, and must not wait."""
        with self._change:
            if self._is_closed:
                raise RuntimeError("the journal is closed")
            self._waiting.append((rows, then))
            self._change.notify()

    def write(self, rows: Sequence[Row]) -> BaseException | None:
        """Write the rows and wait until they are on the disk; why they are not, if so."""
        logged = Future[BaseException | None]()
        self.add(rows, logged.set_result)
        return logged.result()

    def close(self) -> None:
        """Write what waits, and end."""
        with self._change:
            self._is_closed = True
            self._change.notify()
        self._thread.join()
        self._own.close()

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _run(self) -> None:
        count = 0
        while taken := self._take():
            began = clock.ticks_ms()
            failure: BaseException | None = None
            try:
                with self._own.connection() as connection:
                    rows = [row for some, _ in taken for row in some]
                    insert(connection, rows, self._own.tx_offset)
            except Exception as error:
                failure = error
            for _, then in taken:
                try:
                    then(failure)
                except Exception:  # of one request, not of all that will ever be answered
                    log.exception("an answer was not let go")
            left_ms = _APART_MS - (clock.ticks_ms() - began)
            if left_ms > 0 and len(taken) + count > 2:
                time.sleep(left_ms / 1000)
            count = len(taken)

    def _take(self) -> list[tuple[Sequence[Row], Then]]:
        """What waits, as much as one statement takes; nothing once all is over."""
        with self._change:
            self._change.wait_for(lambda: self._waiting or self._is_closed)
            count, rows = 0, 0
            for some, _ in self._waiting:
                count, rows = count + 1, rows + len(some)
                if rows >= _ROWS_MAX:
                    break
            taken, self._waiting = self._waiting[:count], self._waiting[count:]
            return taken
