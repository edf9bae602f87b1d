"""A process that doubles, sleeps or fails, for tests of `ehr_server.processes`."""

import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ehr_server.errors import Unavailable, Unprocessable
from ehr_server.processes import answer_from_now_on


def _opened(opening: dict[str, Any]) -> Any:
    times = opening["times"]

    def one(task: dict[str, Any], data: Sequence[bytes]) -> dict[str, Any]:
        if "kill" in task and not ("unless" in task and Path(task["unless"]).exists()):
            Path(task.get("unless", os.devnull)).touch()
            os.kill(os.getpid(), task["kill"])
        if "refuse" in task:
            raise {"Unavailable": Unavailable, "Unprocessable": Unprocessable}[task["refuse"]](
                "not now", vi="chưa được"
            )
        if "errno" in task:
            raise OSError(task["errno"], "told")
        time.sleep(task.get("sleep", 0.005))
        made = times * task.get("number", 0)
        return {"made": made, "pid": os.getpid(), "sizes": [len(one) for one in data]}

    return one


if __name__ == "__main__":
    answer_from_now_on(_opened)
