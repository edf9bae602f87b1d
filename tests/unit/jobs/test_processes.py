"""Work shared by several processes."""

import errno
import os
import signal
from contextlib import closing
from typing import Any

import pytest

from ehr_server.jobs.processes import ProcessEnded, Processes

MODULE = "unit.jobs.doubling"


@pytest.fixture(autouse=True)
def tests_are_importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(("tests", os.environ.get("PYTHONPATH", ""))))


def test_every_task_is_answered_once_by_several_processes() -> None:
    with closing(Processes(3, MODULE, {"times": 2})) as working:
        tasks = ({"number": number} for number in range(50))
        answers = list(working.answers(tasks, lambda: None))
    assert sorted(answer["made"] for _, answer in answers) == [2 * n for n in range(50)]
    assert all(answer["made"] == 2 * task["number"] for task, answer in answers)
    assert len({answer["pid"] for _, answer in answers}) > 1


def test_no_more_is_taken_than_is_worked_on() -> None:
    taken: list[int] = []

    def tasks() -> Any:
        for number in range(50):
            taken.append(number)
            yield {"number": number}

    with closing(Processes(2, MODULE, {"times": 1})) as working:
        next(working.answers(tasks(), lambda: None))
        assert len(taken) <= 4


def test_an_error_of_the_disk_is_told_as_it_was() -> None:
    with closing(Processes(2, MODULE, {"times": 1})) as working, pytest.raises(OSError) as met:
        list(working.answers([{"errno": errno.ENOSPC}], lambda: None))
    assert met.value.errno == errno.ENOSPC


def test_a_process_that_is_killed_is_noticed() -> None:
    with closing(Processes(1, MODULE, {"times": 1})) as working, pytest.raises(ProcessEnded):
        list(working.answers([{"kill": signal.SIGKILL}], lambda: None))


def test_what_cannot_be_opened_is_noticed() -> None:
    with closing(Processes(1, MODULE, {})) as working, pytest.raises(ProcessEnded):
        list(working.answers([{"number": 1}], lambda: None))


def test_none_stays_behind() -> None:
    working = Processes(2, MODULE, {"times": 1})
    tasks = ({"number": number} for number in range(4))
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
        list(working.answers([{"sleep": 60}], go_on))
