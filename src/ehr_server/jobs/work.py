"""One job in the hands of a worker: held by a lease, done in parts, stopped between them."""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ehr_server.errors import Unavailable
from ehr_server.store import queue
from ehr_server.store.queue import Job, Part

if TYPE_CHECKING:
    from types import TracebackType

    from ehr_server.settings import Settings
    from ehr_server.store.connect import Store


class Interrupted(Exception):
    """The work stops here: the worker was told to end, or the job was cancelled or taken over."""


class Failed(Exception):
    """It can never be done, and need not be tried again: why, in English and in Vietnamese."""

    def __init__(self, why: str, vi: str) -> None:
        super().__init__(why)
        self.why = why
        self.vi = vi


@dataclass
class Work:
    """What the code of a kind of job is given. A thread of its own renews the lease."""

    store: Store
    settings: Settings
    job: Job
    stop: threading.Event

    def __post_init__(self) -> None:
        self.is_lost = threading.Event()
        self._is_over = threading.Event()
        self._renewal = threading.Thread(target=self._renew, name="lease", daemon=True)

    def __enter__(self) -> Work:
        self._renewal.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._is_over.set()
        self._renewal.join()

    def go_on(self) -> None:
        """To be called often. Raises `Interrupted` when the work must stop."""
        if self.stop.is_set() or self.is_lost.is_set():
            raise Interrupted

    def wait(self, seconds: float) -> None:
        """As `go_on`, after a while."""
        self.stop.wait(seconds)
        self.go_on()

    def finished_parts(self) -> list[Part]:
        """The parts that are done, by whichever worker, in order."""
        with self.store.connection() as connection:
            return queue.parts(connection, self.job.id)

    def planned_parts(self) -> list[tuple[int, dict[str, Any]]]:
        """The numbers and requests of all parts that were ever planned, in order."""
        with self.store.connection() as connection:
            return queue.planned(connection, self.job.id)

    def plan_part(self, number: int, request: dict[str, Any]) -> None:
        """Record what is to be done. Raises `Interrupted` if the job is no longer ours."""
        with self.store.connection() as connection:
            if not queue.plan_part(connection, self.job, number, request):
                self.is_lost.set()
                raise Interrupted

    def note(self, more: dict[str, Any]) -> None:
        """Add to the progress what is to be known of the work, until the next part is done."""
        progress = {**self.job.progress, **more}
        with self.store.connection() as connection:
            queue.note(connection, self.job, progress)
        self.job = replace(self.job, progress=progress)

    def finish_part(self, part: Part, progress: dict[str, Any]) -> None:
        """Record a part that is done. Raises `Interrupted` if the job is no longer ours."""
        # Attempts are counted from the last part that came to an end; errors in all from the first,
        # since a part that always fails may have neighbours that do not.
        errors = self.job.progress.get("errors_in_all", 0)
        progress = {**progress, "attempts": self.job.attempts, "errors_in_all": errors}
        with self.store.connection() as connection:
            if not queue.add_part(connection, self.job, part, progress):
                self.is_lost.set()
                raise Interrupted
        self.job = replace(self.job, progress=progress)

    def _renew(self) -> None:
        while not self._is_over.wait(self.settings.lease_s / 3):
            try:
                with self.store.connection() as connection:
                    is_held = queue.renew(connection, self.job, self.settings.lease_s)
            except Unavailable:
                continue  # if it lasts the lease ends, and the next part cannot be recorded
            if not is_held:
                self.is_lost.set()
                return
