"""Work that is shared by several processes, for what one would do at the speed of one processor.

A process is given an opening and then tasks, one after another, each a JSON line on its standard
input; it answers with a line on its standard output. It ends when its input does, so none stays
behind when whoever started it is killed.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING, Any

from ehr_server.errors import Unprocessable
from ehr_server.fhir import json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

_NICE = 5  # requests go first
_LOOK_S = 0.2  # how long it takes at most until the work stops when it must

Value = dict[str, Any]


class ProcessEnded(Exception):
    """A process ended before it had answered; its standard error says why."""


class Processes:
    """So many processes that run `python -m module`, started as they are needed. Close them."""

    def __init__(self, count: int, module: str, opening: Value) -> None:
        self.count = count
        self._module = module
        self._opening = opening
        self._threads = ThreadPoolExecutor(count, thread_name_prefix="process")
        self._lock = threading.Lock()
        self._idle: list[subprocess.Popen[bytes]] = []
        self._all: list[subprocess.Popen[bytes]] = []
        self._is_closed = False

    def answers(
        self, tasks: Iterable[Value], go_on: Callable[[], None]
    ) -> Iterator[tuple[Value, Value]]:
        """Each task and its answer, in the order in which they are done; no more tasks are taken
        than are worked on and wait. `go_on` is called often, and may raise.

        Raises OSError and `Unprocessable` as a process met it, and `ProcessEnded` for all else.
        """
        waiting: dict[Future[Value], Value] = {}
        rest = iter(tasks)
        is_last = False
        while not is_last or waiting:
            while not is_last and len(waiting) <= self.count:
                task = next(rest, None)
                is_last = task is None
                if task is not None:
                    waiting[self._threads.submit(self._answer, task)] = task
            done, _ = wait(waiting, _LOOK_S, FIRST_COMPLETED)
            go_on()
            for future in done:
                yield waiting.pop(future), future.result()

    def close(self) -> None:
        """End the processes, whatever they are at."""
        with self._lock:
            self._is_closed = True
            for process in self._all:
                process.kill()
        self._threads.shutdown(cancel_futures=True)
        for process in self._all:
            process.communicate()

    def _answer(self, task: Value) -> Value:
        process = self._process()
        answer = self._told(process, task)
        with self._lock:
            self._idle.append(process)
        return answer

    def _process(self) -> subprocess.Popen[bytes]:
        with self._lock:
            if self._is_closed:
                raise ProcessEnded(f"{self._module} is no longer wanted")
            if self._idle:
                return self._idle.pop()
            process = subprocess.Popen(
                [sys.executable, "-m", self._module], stdin=subprocess.PIPE, stdout=subprocess.PIPE
            )
            self._all.append(process)
        self._told(process, self._opening)
        return process

    def _told(self, process: subprocess.Popen[bytes], value: Value) -> Value:
        line = _asked(process, value)
        if not line:
            raise ProcessEnded(f"{self._module} ended with {process.wait()}")
        answer: Value = json.read_own(line)
        if "errno" in answer:
            raise OSError(answer["errno"], os.strerror(answer["errno"]))
        if "refused" in answer:
            raise Unprocessable(answer["refused"], vi=answer["vi"])
        return answer


def answer_from_now_on(opened: Callable[[Value], Callable[[Value], Value]]) -> None:
    """What such a process does: open what the tasks need, then answer each."""
    os.nice(_NICE)
    lines = iter(sys.stdin.buffer.readline, b"")
    answer: Callable[[Value], Value] | None = None
    for line in lines:
        task: Value = json.read_own(line)
        try:
            told: Value = {}
            if answer is None:
                answer = opened(task)
            else:
                told = answer(task)
        except OSError as error:
            told = {"errno": error.errno}
        except Unprocessable as refusal:
            told = {"refused": str(refusal), "vi": refusal.vi}
        sys.stdout.buffer.write(json.write(told) + b"\n")
        sys.stdout.buffer.flush()


def _asked(process: subprocess.Popen[bytes], task: Value) -> bytes:
    """The line that the process answers with; empty if it ended."""
    if process.stdin is None or process.stdout is None:
        raise TypeError("pipes were asked for")
    try:
        process.stdin.write(json.write(task) + b"\n")
        process.stdin.flush()
    except BrokenPipeError:
        return b""
    return process.stdout.readline()
