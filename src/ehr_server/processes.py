"""Work that is shared by several processes, for what one would do at the speed of one processor.

A process is given an opening and then tasks, one after another, each as a line of JSON on its
standard input, followed by the bytes that the task brings along; it answers each with a line on its
standard output. It ends when its input does, so none stays behind when whoever started it is
killed. One that dies (the system may take it for its memory) is started again with the task that it
had; the second time, that is an error.
"""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ehr_server import collector
from ehr_server.errors import Refusal, Unavailable, Unprocessable
from ehr_server.fhir import json
from ehr_server.fhir.outcome import issues_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

log = logging.getLogger(__name__)

_NICE = 5  # requests go first
_LOOK_S = 0.2  # how long it takes at most until the work stops when it must
_TRIES = 2
_REFUSALS = {one.__name__: one for one in (Unavailable, Unprocessable)}

Value = dict[str, Any]
Answering = Callable[[Value, Sequence[bytes]], Value]


class ProcessEnded(Exception):
    """A process ended before it had answered; its standard error says why."""


@dataclass(frozen=True, slots=True)
class Task:
    """What is asked of a process, and the `data` that goes with it as it is."""

    asked: Value
    data: Sequence[bytes] = ()


class Processes:
    """So many processes that run `python -m module`, started as they are needed. Close them."""

    def __init__(self, count: int, module: str, opening: Value) -> None:
        self.count = count
        self._module = module
        self._opening = Task(opening)
        self._threads = ThreadPoolExecutor(count, thread_name_prefix="process")
        self._lock = threading.Lock()
        self._idle: list[subprocess.Popen[bytes]] = []
        self._all: list[subprocess.Popen[bytes]] = []
        self._is_closed = False

    def answers(
        self, tasks: Iterable[Task], go_on: Callable[[], None]
    ) -> Iterator[tuple[Task, Value]]:
        """Each task and its answer, in the order in which they are done; no more tasks are taken
        than are worked on and wait. `go_on` is called often, and may raise.

        Raises OSError, `Unprocessable` and `Unavailable` as a process met it, and `ProcessEnded`
        for all else.
        """
        waiting: dict[Future[Value], Task] = {}
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

    def _answer(self, task: Task) -> Value:
        for _ in range(_TRIES):
            process = self._process()
            answer = _told(process, task)
            if answer is not None:
                with self._lock:
                    self._idle.append(process)
                return _taken(answer)
            if self._is_closed:
                break
            log.warning("a process of %s ended in the middle of its work", self._module)
        raise ProcessEnded(f"{self._module} ended with {process.wait()}")

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
        opened = _told(process, self._opening)
        if opened is not None:
            _taken(opened)
        return process


def _told(process: subprocess.Popen[bytes], task: Task) -> Value | None:
    """What the process answers; None if it ended."""
    if process.stdin is None or process.stdout is None:
        raise TypeError("pipes were asked for")
    head = {"asked": task.asked, "sizes": [len(one) for one in task.data]}
    try:
        process.stdin.write(json.write(head) + b"\n")
        for one in task.data:
            process.stdin.write(one)
        process.stdin.flush()
        line = process.stdout.readline()
    except OSError:  # what was to be written found nobody
        return None
    answer: Value | None = json.read_own(line) if line.endswith(b"\n") else None
    return answer


def _taken(answer: Value) -> Value:
    """The answer. Raises what the process met."""
    if "errno" in answer:
        raise OSError(answer["errno"], os.strerror(answer["errno"]))
    if "refusal" in answer:
        raise _REFUSALS[answer["refusal"]](answer["text"], vi=answer["vi"])
    told: Value = answer["told"]
    return told


def answer_from_now_on(opened: Callable[[Value], Answering]) -> None:
    """What such a process does: open what the tasks need, then answer each."""
    os.nice(_NICE)
    coming, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what anything prints is no answer
    answering: Answering | None = None
    try:
        while line := coming.readline():
            head = json.read_own(line)
            data = [coming.read(size) for size in head["sizes"]]
            told: Value = {"told": {}}
            try:
                if answering is None:
                    answering = opened(head["asked"])
                    collector.settle()
                else:
                    told = {"told": answering(head["asked"], data)}
            except OSError as error:
                told = {"errno": error.errno}
            except (Unavailable, Unprocessable) as refusal:
                told = _refused(refusal)
            answers.write(json.write(told) + b"\n")
            answers.flush()
    except BrokenPipeError:  # nobody waits for it any more
        os._exit(1)


def _refused(refusal: Refusal) -> Value:
    issue = issues_of(refusal)[0]
    kind = Unavailable if isinstance(refusal, Unavailable) else Unprocessable
    return {"refusal": kind.__name__, "text": issue.text, "vi": issue.vi}
