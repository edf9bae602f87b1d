"""Work shared by several processes."""

import errno
import os
import signal
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from ehr_server.errors import Unavailable, Unprocessable
from ehr_server.processes import ProcessEnded, Processes, Task

MODULE = "unit.doubling"


@pytest.fixture(autouse=True)
def tests_are_importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(("tests", os.environ.get("PYTHONPATH", ""))))


def test_every_task_is_answered_once_by_several_processes() -> None:
    with closing(Processes(3, MODULE, {"times": 2})) as working:
        tasks = (Task({"number": number}) for number in range(50))
        answers = list(working.answers(tasks, lambda: None))
    assert sorted(answer["made"] for _, answer in answers) == [2 * n for n in range(50)]
    assert all(answer["made"] == 2 * task.asked["number"] for task, answer in answers)
    assert len({answer["pid"] for _, answer in answers}) > 1


def test_no_more_is_taken_than_is_worked_on() -> None:
    taken: list[int] = []

    def tasks() -> Any:
        for number in range(50):
            taken.append(number)
            yield Task({"number": number})

    with closing(Processes(2, MODULE, {"times": 1})) as working:
        next(working.answers(tasks(), lambda: None))
        assert len(taken) <= 4


def test_an_error_of_the_disk_is_told_as_it_was() -> None:
    with closing(Processes(2, MODULE, {"times": 1})) as working, pytest.raises(OSError) as met:
        list(working.answers([Task({"errno": errno.ENOSPC})], lambda: None))
    assert met.value.errno == errno.ENOSPC


def test_a_process_that_is_killed_is_noticed() -> None:
    with closing(Processes(1, MODULE, {"times": 1})) as working, pytest.raises(ProcessEnded):
        list(working.answers([Task({"kill": signal.SIGKILL})], lambda: None))


def test_one_that_dies_once_is_started_again(tmp_path: Path) -> None:
    once = Task({"kill": signal.SIGKILL, "unless": str(tmp_path / "was there"), "number": 4})
    with closing(Processes(1, MODULE, {"times": 2})) as working:
        ((_, answer),) = working.answers([once], lambda: None)
    assert answer["made"] == 8


def test_data_goes_along_as_it_is() -> None:
    data = [b"a\nb\0", b"", b"x" * 3_000_000]
    with closing(Processes(1, MODULE, {"times": 1})) as working:
        ((_, answer),) = working.answers([Task({"number": 1}, data)], lambda: None)
    assert answer["sizes"] == [4, 0, 3_000_000]


def test_a_refusal_is_told_as_it_was() -> None:
    for kind in (Unavailable, Unprocessable):
        task = Task({"refuse": kind.__name__})
        with closing(Processes(1, MODULE, {"times": 1})) as working, pytest.raises(kind) as met:
            list(working.answers([task], lambda: None))
        assert (str(met.value), met.value.vi) == ("not now", "chưa được")


def test_what_cannot_be_opened_is_noticed() -> None:
    with closing(Processes(1, MODULE, {})) as working, pytest.raises(ProcessEnded):
        list(working.answers([Task({"number": 1})], lambda: None))


def test_none_stays_behind() -> None:
    working = Processes(2, MODULE, {"times": 1})
    tasks = (Task({"number": number}) for number in range(4))
    pids = {answer["pid"] for _, answer in working.answers(tasks, lambda: None)}
    working.close()
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_it_stops_when_it_must() -> None:
    class Stop(Exception):
        pass

    def go_on() -> None:
        raise Stop

    with closing(Processes(1, MODULE, {"times": 1})) as working, pytest.raises(Stop):
        list(working.answers([Task({"sleep": 60})], go_on))
