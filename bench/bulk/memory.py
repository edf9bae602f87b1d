"""The most memory that processes held together while something was done."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Self

from harness.processes import proportional_memory

if TYPE_CHECKING:
    from types import TracebackType

_EVERY_S = 0.1


class Peak:
    """A block during which `root` and all below it are looked at ten times a second; PostgreSQL's
    processes are not counted. What several share counts once: the sum of their proportional sets.
    """

    def __init__(self, root: int) -> None:
        self.bytes = 0
        self._root = root
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._look)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._is_over.set()
        self._thread.join()

    def _look(self) -> None:
        while True:
            self.bytes = max(self.bytes, proportional_memory(self._root))
            if self._is_over.wait(_EVERY_S):
                return
