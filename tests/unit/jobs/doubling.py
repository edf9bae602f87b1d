"""A process that doubles, sleeps or fails, for tests of `jobs.processes`."""

import os
import time
from typing import Any

from ehr_server.jobs.processes import answer_from_now_on


def _opened(opening: dict[str, Any]) -> Any:
    times = opening["times"]

    def one(task: dict[str, Any]) -> dict[str, Any]:
        if "kill" in task:
            os.kill(os.getpid(), task["kill"])
        if "errno" in task:
            raise OSError(task["errno"], "told")
        time.sleep(task.get("sleep", 0.005))
        return {"made": times * task.get("number", 0), "pid": os.getpid()}

    return one


if __name__ == "__main__":
    answer_from_now_on(_opened)
