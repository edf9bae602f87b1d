"""What `ehr-server jobs` does: the work in the background, how far it is and when it ends."""

import argparse
import time

from ehr_server import clock
from ehr_server.commands import opened
from ehr_server.settings import Settings
from ehr_server.store import queue
from ehr_server.store.progress import progress_of

_TO_COME = (queue.QUEUED, queue.RUNNING)
_WATCH_S = 2
_SHOWN = ("percent", "resources", "persons", "tasks", "trouble")


def jobs(settings: Settings, options: argparse.Namespace) -> int:
    """Print the work in the background, the newest first; again and again while it is watched."""
    sought = queue.Sought(options.kind, options.state, of_all=True)
    with opened(settings) as store:
        while True:
            with store.connection() as connection:
                found = queue.listed(connection, sought, options.count)
            print("id\tkind\tstate\tmade\tprogress")
            for job in found:
                made = clock.instant(job.made)
                print(job.id, job.kind, job.state, made, _how_far(job), sep="\t", flush=True)
            if not options.watch or all(job.state not in _TO_COME for job in found):
                return 0
            time.sleep(_WATCH_S)


def _how_far(job: queue.Job) -> str:
    progress = progress_of(job.progress)
    if progress is not None and job.state in _TO_COME:
        return progress.told(clock.now())
    return " ".join(f"{name} {value}" for name, value in job.progress.items() if name in _SHOWN)
