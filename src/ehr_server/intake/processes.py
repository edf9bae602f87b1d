"""Parts done side by side, by processes of their own: as many as there are processors.

They are told by pipes what to do. One that dies (the system may take it for its memory) is started
again with the part that it had; the second time, that is an error.
"""

from __future__ import annotations

import logging
import queue
import subprocess
import sys
import threading
from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING, Any

from ehr_server.errors import Unavailable
from ehr_server.fhir import json
from ehr_server.intake.load import Outcome, outcome_of

if TYPE_CHECKING:
    from ehr_server.intake.parts import Part
    from ehr_server.settings import Settings

log = logging.getLogger(__name__)

_TRIES = 2
_LOOK_S = 0.2


Results = Generator["tuple[Part, Outcome] | None", None, None]


class ProcessDied(Exception):
    """The processes that were to do a part ended before they had."""


def head_of(settings: Settings, url: str, told: dict[str, Any]) -> bytes:
    """The first line for a process: `told` is what the job says, see `process.intake_of`."""
    return json.write({"settings": settings.as_texts(), "url": url, **told}) + b"\n"


def done(parts: Iterator[Part], head: bytes, count: int) -> Results:
    """The parts and what came of each, in the order in which they are done; None now and then, so
    that who waits can look at something else. Who stops asking ends the processes.

    Raises `Unavailable` when the database is away or full, `ProcessDied`, and what the iterator of
    the parts raises.
    """
    crew = _Crew(parts, head)
    threads = [
        threading.Thread(target=crew.work, name=f"intake-{number}", daemon=True)
        for number in range(count)
    ]
    for thread in threads:
        thread.start()
    working = count
    try:
        while working:
            try:
                found = crew.results.get(timeout=_LOOK_S)
            except queue.Empty:
                yield None
                continue
            if found is None:
                working -= 1
            elif isinstance(found, BaseException):
                raise found
            else:
                yield found
    finally:
        crew.end()
        for thread in threads:
            thread.join()


class _Crew:
    def __init__(self, parts: Iterator[Part], head: bytes) -> None:
        self.results: queue.Queue[tuple[Part, Outcome] | BaseException | None] = queue.Queue()
        self._parts = parts
        self._head = head
        self._lock = threading.Lock()
        self._is_over = threading.Event()
        self._running: set[subprocess.Popen[bytes]] = set()

    def work(self) -> None:
        """One thread for one process."""
        process: subprocess.Popen[bytes] | None = None
        try:
            while (part := self._next()) is not None:
                process = self._do(part, process)
        except BaseException as error:
            if not self._is_over.is_set():
                self.results.put(error)
        finally:
            if process is not None:
                self._end(process)
            self.results.put(None)

    def end(self) -> None:
        """Nothing more is done; what is under way stops between two transactions, or in one, which
        then never was."""
        self._is_over.set()
        with self._lock:
            for process in self._running:
                process.kill()

    def _next(self) -> Part | None:
        with self._lock:
            return None if self._is_over.is_set() else next(self._parts, None)

    def _do(self, part: Part, process: subprocess.Popen[bytes] | None) -> subprocess.Popen[bytes]:
        for _ in range(_TRIES):
            process = process or self._started()
            answer = _asked(process, part)
            if answer is not None:
                self.results.put((part, answer))
                return process
            self._end(process)
            process = None
            if self._is_over.is_set():
                break
            log.warning("a process of an import ended in the middle of part %d", part.number)
        raise ProcessDied(f"part {part.number}")

    def _started(self) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [sys.executable, "-m", "ehr_server.intake.process"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        with self._lock:
            self._running.add(process)
        if process.stdin is None:
            raise ValueError("no pipe")
        process.stdin.write(self._head)
        return process

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        with self._lock:
            self._running.discard(process)
        for pipe in (process.stdin, process.stdout):
            try:
                if pipe is not None:
                    pipe.close()
            except OSError:  # what was to be written found nobody
                continue
        process.wait()


def _asked(process: subprocess.Popen[bytes], part: Part) -> Outcome | None:
    """What came of a part; None if the process ended. Raises `Unavailable`."""
    if process.stdin is None or process.stdout is None:
        raise ValueError("no pipe")
    head = {
        "number": part.number,
        "stretches": [one.as_json() for one in part.stretches],
        "sizes": [None if one.data is None else len(one.data) for one in part.stretches],
        "read": part.read,
        "only": None if part.only is None else sorted(part.only),
    }
    try:
        process.stdin.write(json.write(head) + b"\n")
        for one in part.stretches:
            if one.data is not None:
                process.stdin.write(one.data)
        process.stdin.flush()
        line = process.stdout.readline()
    except OSError:
        return None
    if not line.endswith(b"\n"):
        return None
    answer = json.read_own(line)
    if "unavailable" in answer:
        text, vi = answer["unavailable"]
        raise Unavailable(text, vi=vi)
    return outcome_of(answer["outcome"])
