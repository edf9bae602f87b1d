"""A quick way into the database: the server's own rows, without HTTP, validation and locks."""

from __future__ import annotations

import gc
import os
import time
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING

import psycopg

from ehr_server.access.caller import LOOPBACK
from ehr_server.changes.change import Change, InForce, Means, means
from ehr_server.changes.rows import Stamp, rows
from ehr_server.settings import Settings
from ehr_server.store.connect import Store
from ehr_server.store.words import learn
from ehr_server.store.write import Batch, write
from ehr_server.validation.rulebook import Rulebook
from growth.record import START, TOGETHER, Part, Record, places, records
from growth.truth import shared
from harness.processes import usage

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from growth.record import Resource

BASE = "http://here/fhir"

_TIMEOUT_MS = 600_000


@dataclass(frozen=True, slots=True)
class Loaded:
    """How many resources, and what they took: by the clock, and of processor time."""

    resources: int
    wall_s: float
    python_s: float
    postgresql_s: float


def load(url: str, whole: Part, processes: int = 1) -> Loaded:
    """Put the residents of the part into the database at `url`.

    The facilities and the staff come with the first resident. Vacuumed and analyzed at the end.
    """
    start, before = time.perf_counter(), usage(os.getpid())
    parts = [replace(whole, share=share, shares=processes) for share in range(processes)]
    count = sum(shared(partial(_load, url), parts))
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("vacuum (analyze)")
    wall_s, used = time.perf_counter() - start, usage(os.getpid()) - before
    return Loaded(count, wall_s, used.server_s, used.postgresql_s)


def _load(url: str, part: Part) -> int:
    count = 0
    store = Store(url, pool_size=1, statement_timeout_ms=_TIMEOUT_MS)
    gc.disable()  # there are no cycles, and many objects to look for them in
    try:
        way = means(store, Settings(), InForce(Rulebook()), LOOPBACK, BASE)
        if part.share == 0 and part.first == 0:
            count += _store(way, [(START, places())])
        for block in _blocks(records(part)):
            count += _store(way, [(record.at, record.resources) for record in block])
    finally:
        gc.enable()
        store.close()
    return count


def _blocks(found: Iterator[Record]) -> Iterator[list[Record]]:
    while block := list(islice(found, TOGETHER)):
        yield block


def _store(way: Means, several: Iterable[tuple[datetime, list[Resource]]]) -> int:
    """One transaction; the resources of a record share the instant at which they were stored."""
    whole = Batch()
    sender = way.store.sender_number("")
    with way.store.transaction() as opened:
        # What a crash would lose is made again from the beginning.
        opened.connection.execute("set local synchronous_commit = off")
        for at, resources in several:
            changes = [Change("create", one["resourceType"], one["id"], one) for one in resources]
            batch, _ = rows(way, changes, Stamp(opened.tx, at, sender))
            for table, added in batch.rows.items():
                whole.rows[table] += added
            whole.words |= batch.words
        learn(way.store, opened.connection, whole.words)
        write(opened.connection, whole)
    return len(whole.rows["version"])
