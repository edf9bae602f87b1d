"""The search for duplicates: Patients that changed are looked for among all others.

What is probably or certainly of one person becomes a Task on the review list (`identity.review`),
one for each two records, whatever becomes of it: a pair that a human rejected never comes back. A
job looks at so many Patients and leaves the rest to the next, so that other work comes between.
Nothing is looked for until the index is of the present format: rows of an older one lack what
Patients are found by.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ehr_server import clock
from ehr_server.access.caller import LOOPBACK
from ehr_server.access.find import at_most, identifiers_of
from ehr_server.access.match import Look, Record, alike, someone, today
from ehr_server.changes.apply import apply
from ehr_server.changes.change import Change, InForce, Means, means
from ehr_server.errors import Conflict, Overtaken, PreconditionFailed, Unavailable, Unprocessable
from ehr_server.fhir import json
from ehr_server.hashing import hash64
from ehr_server.identity import review
from ehr_server.identity.merging import is_active
from ehr_server.redact import id_without_number
from ehr_server.search.parse import parse
from ehr_server.search.rows import FORMAT
from ehr_server.store import duplicates as kept
from ehr_server.store import queue
from ehr_server.store.queue import Job, Part
from ehr_server.store.search_parameters import index_format
from ehr_server.validation.rulebook import Rulebook

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from ehr_server.jobs.work import Work
    from ehr_server.settings import Settings
    from ehr_server.store.connect import Connection, Store

log = logging.getLogger(__name__)

KIND = kept.KIND
PERSONS_MAX = 2_000  # of a job: half a minute
_TOGETHER = 50  # persons looked for by the same statements
_TASKS_MAX = 5  # of one person, the likeliest

_LOCK = hash64(KIND)


@dataclass(frozen=True, slots=True)
class _Pair:
    """Two records, the younger first, and how much speaks for one person."""

    patient: str
    other: str
    score: float

    @property
    def criteria(self) -> str:
        return f"identifier={review.PAIR}|{review.pair(self.patient, self.other)}"


def keep_up(store: Store, settings: Settings) -> None:
    """A job, if there are Patients that nobody looked at, and none is under way; not before the
    index is complete."""
    if settings.duplicates == "off":
        return
    with store.connection() as connection:
        if not _is_wanted(store, connection):
            return
    with store.transaction([_LOCK]) as opened:
        if _is_wanted(store, opened.connection):
            _put(opened.connection)


def run(work: Work) -> None:
    """Do the job, from wherever it stands. Raises `Interrupted`."""
    if work.settings.duplicates == "off":
        return
    parts = work.finished_parts()
    with work.store.connection() as connection:
        if not _has_all_rows(connection):
            return
        below = work.store.horizon(connection)
        after = _place(parts[-1]) if parts else kept.until(connection)
    with_these = means(
        work.store, work.settings, InForce(Rulebook()), LOOPBACK.anew(), work.settings.public_url
    )
    persons, tasks = (sum(part.done[name] for part in parts) for name in ("persons", "tasks"))
    number = len(parts)
    while persons < PERSONS_MAX and after[0] < below:
        work.go_on()
        start = after
        with work.store.connection() as connection:
            contents, after = kept.changed(work.store, connection, start, below, _TOGETHER)
        if not contents:
            continue
        if _was_begun(work):
            made = _look_at_each(with_these, contents, start)
        else:
            made = _look_at(with_these, contents)
        persons, tasks = persons + len(contents), tasks + made
        done = {"until": list(after), "persons": len(contents), "tasks": made}
        work.finish_part(Part(number, {}, done), {"persons": persons, "tasks": tasks})
        with work.store.connection() as connection:  # it stays so, whatever becomes of the job
            kept.set_until(connection, after)
        number += 1
    _end(work.store, after)


def _end(store: Store, after: kept.Until) -> None:
    """The next look begins where this one ended: at once, if there is more."""
    with store.connection() as connection:
        kept.set_until(connection, after)
        if kept.is_behind(connection, after, store.horizon(connection)):
            _put(connection)


def _is_wanted(store: Store, connection: Connection) -> bool:
    if kept.is_under_way(connection) or not _has_all_rows(connection):
        return False
    return kept.is_behind(connection, kept.until(connection), store.horizon(connection))


def _has_all_rows(connection: Connection) -> bool:
    return index_format(connection) >= FORMAT


def _was_begun(work: Work) -> bool:
    """Whether the part was begun before and did not come to its end."""
    return bool(work.job.attempts - work.job.progress.get("attempts", 0) > 1)


def _put(connection: Connection) -> None:
    queue.put(connection, Job(clock.new_id(), KIND, queue.QUEUED, {}, {}, 0, clock.now()))


def _place(part: Part) -> kept.Until:
    tx, key = part.done["until"]
    return tx, key


def _look_at(with_these: Means, contents: Sequence[bytes]) -> int:
    """Look for the Patients among all others; how many Tasks that made."""
    look = Look(with_these.store, LOOPBACK.anew(), with_these.rules, today(with_these.rules))
    several = [
        someone(patient, look.today)
        for patient in map(json.read_stored, contents)
        if is_active(patient)
    ]
    pairs: dict[str, _Pair] = {}
    with look.store.connection() as connection:
        for sought, found in zip(several, alike(look, connection, several), strict=True):
            id_ = sought.patient["id"]
            own = next((record for record, _ in found if record.id == id_), None)
            suspected = [
                _pair(own, record, likeness.score)
                for record, likeness in found
                if own and record.id != id_ and record.is_active and likeness.is_likely
            ]
            pairs.update({pair.criteria: pair for pair in suspected[:_TASKS_MAX]})
        known = _known(look, connection, pairs)
    return sum(_make(with_these, pair) for pair in pairs.values() if pair.criteria not in known)


def _look_at_each(with_these: Means, contents: Sequence[bytes], after: kept.Until) -> int:
    """As `_look_at`, one by one: whom the look fails for is passed over, and stops no other."""
    made = 0
    for at, content in enumerate(contents):
        try:
            made += _look_at(with_these, [content])
        except (Overtaken, Unavailable):
            raise
        except Exception as error:  # what it says may be of the content, and is not told
            log.error(
                "duplicates: Patient %d after place %s is passed over: %s",
                at + 1,
                after,
                type(error).__name__,
            )
    return made


def _pair(one: Record, other: Record, score: float) -> _Pair:
    first, second = sorted((one, other), key=lambda record: record.key)
    return _Pair(second.id, first.id, score)


def _known(look: Look, connection: Connection, pairs: Iterable[str]) -> set[str]:
    """The criteria of those pairs that there is a Task of, whatever became of it."""
    values = [criteria.partition("=")[2] for criteria in pairs]
    if not values:
        return set()
    query = parse("Task", [("identifier", ",".join(values))], look.rules)
    found = at_most(look.store, connection, query, LOOPBACK.anew(), 2 * len(values))
    return set(_criteria_of(match.content for match in found))


def _criteria_of(contents: Iterable[bytes]) -> Iterator[str]:
    for content in contents:
        for one in identifiers_of(content):
            yield f"identifier={one.get('system')}|{one.get('value')}"


def _make(with_these: Means, pair: _Pair) -> bool:
    """One Task in a transaction of its own, unless there is one; a record that was deleted or
    merged meanwhile needs none."""
    task = review.task(
        "suspected-duplicate", pair.patient, pair.other, clock.instant(clock.now()), pair.score
    )
    change = Change("create", "Task", resource=task, where="Task", if_none_exist=pair.criteria)
    try:
        (done,) = apply(with_these, [change])
    except Overtaken:
        raise  # the part is done again
    except (Conflict, PreconditionFailed, Unprocessable) as error:
        log.info(
            "duplicates: no Task of %s and %s: %s",
            id_without_number(pair.patient),
            id_without_number(pair.other),
            error.status,
        )
        return False
    return done.status == 201
