"""Building the search index anew in the background, part by part, while the record is served.

For search parameters that are new, which can be searched by once every resource of their types has
been gone through; and for rows of an older format, which are found as before meanwhile. Whoever
writes does it by all that is in use, so one walk is enough once those have ended who began before
the parameters were there (`store.search_parameters`).
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ehr_server.access.caller import LOOPBACK
from ehr_server.changes.change import InForce, means
from ehr_server.changes.reindex import LOOKED_AT, reindex
from ehr_server.definitions import definitions
from ehr_server.packages.searchable import take_in
from ehr_server.packages.shelf import on_shipped
from ehr_server.search.rows import FORMAT
from ehr_server.store import search_parameters as kept
from ehr_server.store.packages import stored
from ehr_server.store.queue import Part
from ehr_server.store.walk import START, At, Stretch, has_resources, sizes, stretches
from ehr_server.validation.rulebook import Rulebook

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ehr_server.changes.change import Means
    from ehr_server.jobs.work import Work
    from ehr_server.store.connect import Connection, Store

log = logging.getLogger(__name__)

PART_ROWS = 5_000  # about what a killed worker does again, at most
PART_LOOKS = 100_000 // LOOKED_AT  # where little is to be done
_WAIT_S = 0.05


@dataclass(frozen=True, slots=True)
class Begun:
    """What a walk is for: the resources of `types`, or those alone with rows of a format `below`;
    afterwards the parameters of these numbers are ready. Settled before the first look at a row,
    and kept, since what is new later needs a walk of its own."""

    types: tuple[str, ...]
    numbers: tuple[int, ...]
    below: int | None = None

    def as_json(self) -> dict[str, Any]:
        return {"types": list(self.types), "numbers": list(self.numbers), "below": self.below}


def run(work: Work) -> None:
    """Do the job, from wherever it stands. Raises `Interrupted`."""
    parts = work.finished_parts()
    if not parts:
        begun = _begin(work)
        parts = [Part(0, {}, begun.as_json())]
        work.finish_part(parts[0], {"percent": 0})
    given = parts[0].done
    begun = Begun(tuple(given["types"]), tuple(given["numbers"]), given["below"])
    _walk(work, begun, parts[1:])
    _end(work.store, begun)
    log.info("reindex: the index of %s is complete", _shown(begun))


def reindex_now(
    with_these: Means,
    types: Sequence[str],
    told: Callable[[int], None] = lambda count: None,  # noqa: ARG005
) -> int:
    """Index all resources of the types again, here and now; `told` hears how many more are done."""
    store = with_these.store
    begun = _settled(store, types)
    with store.connection() as connection:
        drawn = store.drawn(connection)
    while not _is_past(store, drawn):
        time.sleep(_WAIT_S)
    total = 0
    for stretch in stretches(begun.types):
        after: At | None = START
        while after is not None:
            count, after = reindex(with_these, stretch, after)
            total += count
            told(count)
    _end(store, begun)
    return total


def keep_up(store: Store) -> None:
    """What a server sees to as it starts: that search parameters of the catalog are in use, and
    that there is a job for whatever part of the index is not complete or not of the present format.
    """
    with store.transaction() as opened:
        connection = opened.connection
        kept.lock(connection)
        take_in(connection, on_shipped(stored(store).layers))
        _renew_old_rows(connection)
        types = kept.without_job(connection)
        if types:
            kept.built_by(connection, types, kept.put_job(connection, types))


def _renew_old_rows(connection: Connection) -> None:
    if kept.index_format(connection) >= FORMAT:
        return
    if not has_resources(connection):
        kept.set_index_format(connection, FORMAT)
    elif not kept.is_under_way(connection, FORMAT):
        kept.put_job(connection, definitions().resource_types, below=FORMAT)
        log.info("reindex: the index is brought to format %d in the background", FORMAT)


def _begin(work: Work) -> Begun:
    """Settle what the walk is for, then wait for those who may not write by it."""
    request = work.job.request
    if request["below"] is not None:
        return Begun(tuple(request["types"]), (), request["below"])
    begun = _settled(work.store, request["types"], work.job.id)
    if not begun.numbers:
        return begun
    with work.store.connection() as connection:
        drawn = work.store.drawn(connection)
    log.info("reindex: the index of %s is being built", _shown(begun))
    while not _is_past(work.store, drawn):
        work.wait(_WAIT_S)
    return begun


def _settled(store: Store, types: Sequence[str], job: str | None = None) -> Begun:
    """All whose index is not complete, whichever job was meant to build it; a job that finds
    nothing left to build walks through nothing."""
    with store.connection() as connection:
        waiting = [one for one in kept.building(connection) if one.definition.base in types]
        numbers = tuple(one.definition.number for one in waiting)
        if job is None:
            return Begun(tuple(types), numbers)
        kept.built_by(connection, sorted({one.definition.base for one in waiting}), job)
    return Begun(tuple(sorted({one.definition.base for one in waiting})), numbers)


def _is_past(store: Store, drawn: int) -> bool:
    with store.connection() as connection:
        return store.horizon(connection) >= drawn


def _walk(work: Work, begun: Begun, done: Sequence[Part]) -> None:
    with_these = means(
        work.store, work.settings, InForce(Rulebook()), LOOPBACK.anew(), work.settings.public_url
    )
    several = stretches(begun.types, begun.below)
    last = {part.request["leaf"]: part.done for part in done}
    number = len(done) + 1
    resources = sum(part.done["count"] for part in done)
    with work.store.connection() as connection:
        lengths = sizes(connection, several)
    for at, stretch in enumerate(several):
        before = last.get(stretch.leaf, {"until": START, "is_last": False})
        (comp, key), is_last = before["until"], before["is_last"]
        after: At = (comp, key)
        while not is_last:
            count, after, is_last = _part(work, with_these, stretch, after)
            resources += count
            share = 1.0 if is_last else _share(after)
            percent = int(100 * (sum(lengths[:at]) + lengths[at] * share) / sum(lengths))
            work.finish_part(
                Part(
                    number,
                    {"leaf": stretch.leaf},
                    {"until": list(after), "is_last": is_last, "count": count},
                ),
                {"percent": percent, "resources": resources},
            )
            number += 1
            log.info("reindex: %d percent, %d resources", percent, resources)


def _part(work: Work, with_these: Means, stretch: Stretch, after: At) -> tuple[int, At, bool]:
    """How many resources, where they end, and whether they are the last of the stretch."""
    total = 0
    for _ in range(PART_LOOKS):
        work.go_on()
        count, until = reindex(with_these, stretch, after)
        total += count
        if until is None:
            return total, after, True
        after = until
        if total >= PART_ROWS:
            break
    return total, after, False


def _share(at: At) -> float:
    """How much of a leaf lies before the place: compartments are hashes, spread evenly."""
    return (at[0] + 2**63) / 2**64


def _end(store: Store, begun: Begun) -> None:
    is_everything = set(begun.types) == set(definitions().resource_types)
    with store.transaction() as opened:
        kept.make_ready(opened.connection, begun.numbers)
        if is_everything:
            kept.set_index_format(opened.connection, begun.below or FORMAT)


def _shown(begun: Begun) -> str:
    if begun.numbers:
        return f"{len(begun.numbers)} search parameters of {', '.join(begun.types[:5])}"
    return f"{len(begun.types)} types"
