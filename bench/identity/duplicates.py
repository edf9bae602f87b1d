"""How many second records the search in the background finds, and how many persons a second."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING

from ehr_server.fhir import json
from ehr_server.jobs import duplicates
from ehr_server.jobs.work import Work
from ehr_server.settings import Settings
from ehr_server.store import queue
from identity.damages import DAMAGES, Patient

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ehr_server.store.connect import Store

COPIES = 0.02  # of the residents have a second record
_LEASE_S = 600


@dataclass(frozen=True, slots=True)
class Watched:
    """The persons that were looked at in so many seconds; the Tasks made of second records, of
    two records that are no copies of each other, and the second records of which there is none."""

    persons: int
    wall_s: float
    right: int
    wrong: int
    missed: int

    def told(self) -> str:
        made = self.right + self.wrong
        return (
            f"{self.persons:,} persons looked at in {self.wall_s:,.0f} s, "
            f"{self.persons / self.wall_s:,.0f} a second; {made:,} Tasks, {self.right:,} of the "
            f"{self.right + self.missed:,} second records among them and {self.wrong:,} of two "
            "people who are as like"
        )


def copies(patients: Iterable[Patient], seed: int) -> Iterator[Patient]:
    """Second records of some of them, each with one damage, half of them without numbers; the id
    is that of the first with a `d` before it."""
    random = Random(f"{seed}/copies")
    ways = [damage for what, damage in DAMAGES.items() if what != "nickname for the given name"]
    for one in patients:
        if random.random() < COPIES:
            copy = random.choice(ways)(random, one)
            if copy is not None:
                copy["id"] = f"d{one['id']}"
                # A second record with the same number would be refused: it has the card alone.
                copy["identifier"] = [] if random.random() < 0.5 else copy["identifier"][-1:]
                yield {key: value for key, value in copy.items() if value != []}


def watch(store: Store, stored: set[str]) -> Watched:
    """Look at everything, as the worker does; `stored` are the ids of second records."""
    start, persons = time.perf_counter(), 0
    duplicates.keep_up(store, Settings())
    while True:
        with store.connection() as connection:
            job = queue.claim(connection, [duplicates.KIND], _LEASE_S)
        if job is None:
            break
        work = Work(store, Settings(), job, threading.Event())
        duplicates.run(work)
        persons += sum(part.done["persons"] for part in work.finished_parts())
        with store.connection() as connection:
            queue.finish(connection, work.job, queue.DONE, work.job.progress)
    wall_s = time.perf_counter() - start
    pairs = set(_pairs(store))
    right = {second for first, second in pairs if second == f"d{first}"}
    return Watched(
        persons, wall_s, len(right), len(pairs) - len(right), len(stored - right)
    )  # fmt: skip


def _pairs(store: Store) -> Iterator[tuple[str, str]]:
    """The two ids of each Task, that of the second record last if there is one."""
    with store.connection() as connection:
        rows = connection.execute("select enc, content from version_other").fetchall()
    for enc, content in rows:
        resource = json.read_own(store.contents.unpack(enc, content))
        if resource["resourceType"] == "Task":
            both = [resource[key]["reference"].split("/")[1] for key in ("focus", "for")]
            first, second = sorted(both, key=lambda id_: id_.startswith("d"))
            yield first, second
