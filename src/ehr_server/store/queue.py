"""Jobs in the background: who works on what, and which parts are done.

A worker claims a job by `for update skip locked` and holds it by a lease that it renews. A worker
that is killed stops renewing, and another goes on where the last finished part ended. Each claim
counts `attempts` up; that number tells the holder from one that lost the job without knowing, so
every write of a holder names it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from ehr_server import clock
from ehr_server.fhir import json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ehr_server.store.connect import Connection

QUEUED, RUNNING, DONE, FAILED, CANCELLED = "queued", "running", "done", "failed", "cancelled"
STATES = (QUEUED, RUNNING, DONE, FAILED, CANCELLED)

_COLUMNS = "id, kind, state, request::text, progress::text, attempts, made"
_PARTS_MAX = 2**31 - 1
_HELD = "id = %s and attempts = %s and state = 'running'"


@dataclass(frozen=True, slots=True)
class Job:
    """A job as it was read. `request` and `progress` are what its kind makes of them."""

    id: str
    kind: str
    state: str
    request: dict[str, Any]
    progress: dict[str, Any]
    attempts: int
    made: datetime

    @property
    def ended(self) -> datetime:
        """When it was DONE or had FAILED; when it was made, where that is not known."""
        at = self.progress.get("ended")
        return datetime.fromisoformat(at) if at else self.made


@dataclass(frozen=True, slots=True)
class Part:
    """A finished part: what it was to do, and what came of it."""

    number: int
    request: dict[str, Any]
    done: dict[str, Any]


def put(connection: Connection, job: Job) -> None:
    """A new job, for any worker to claim once the transaction commits."""
    connection.execute(
        "insert into job (id, kind, state, request, progress, attempts, made)"
        " values (%s, %s, %s, %s::jsonb, %s::jsonb, 0, %s)",
        (job.id, job.kind, job.state, _text(job.request), _text(job.progress), job.made),
    )


def find(connection: Connection, id_: str) -> Job | None:
    """The job with the id, whatever its state."""
    row = connection.execute(f"select {_COLUMNS} from job where id = %s", (id_,)).fetchone()
    return None if row is None else _job(row)


@dataclass(frozen=True, slots=True)
class Sought:
    """Which jobs are meant: of a kind, in a state, None for all; those of a caller and what the
    server does by itself, or with `of_all` everybody's."""

    kind: str | None = None
    state: str | None = None
    caller: str | None = None
    of_all: bool = False


def listed(connection: Connection, sought: Sought, count: int) -> list[Job]:
    """So many jobs at most, the newest first."""
    rows = connection.execute(
        f"select {_COLUMNS} from job where coalesce(kind = %s, true) and coalesce(state = %s, true)"
        " and (%s or coalesce(request -> 'caller' = %s::jsonb, true))"
        " order by made desc, id limit %s",
        (sought.kind, sought.state, sought.of_all, json.write(sought.caller).decode(), count),
    ).fetchall()
    return [_job(row) for row in rows]


def claim(connection: Connection, kinds: Sequence[str], lease_s: int) -> Job | None:
    """The oldest job that waits, or whose worker gave no sign for the lease; now it is ours."""
    row = connection.execute(
        "update job set state = 'running', attempts = attempts + 1,"
        " lease = now() + make_interval(secs => %s)"
        " where id = (select id from job where kind = any(%s)"
        "  and (state = 'queued' and (lease is null or lease < now())"
        "   or state = 'running' and lease < now())"
        "  order by made for update skip locked limit 1)"
        f" returning {_COLUMNS}",
        (lease_s, list(kinds)),
    ).fetchone()
    return None if row is None else _job(row)


def claim_one(connection: Connection, id_: str, lease_s: int) -> Job | None:
    """This job, if it waits or its worker gave no sign for the lease; now it is ours."""
    row = connection.execute(
        "update job set state = 'running', attempts = attempts + 1,"
        " lease = now() + make_interval(secs => %s)"
        " where id = %s and (state = 'queued' or state = 'running' and lease < now())"
        f" returning {_COLUMNS}",
        (lease_s, id_),
    ).fetchone()
    return None if row is None else _job(row)


def unfinished(connection: Connection, kind: str, request: dict[str, Any]) -> str | None:
    """The id of the newest job that was asked the same and has not come to its end."""
    row = connection.execute(
        "select id from job where kind = %s and request = %s::jsonb"
        " and state in ('queued', 'running') order by made desc limit 1",
        (kind, _text(request)),
    ).fetchone()
    return None if row is None else str(row[0])


def lease_of(connection: Connection, id_: str) -> datetime | None:
    """Until when a job is held; later each time that its worker gives a sign of life."""
    row = connection.execute("select lease from job where id = %s", (id_,)).fetchone()
    return None if row is None else row[0]


def renew(connection: Connection, job: Job, lease_s: int) -> bool:
    """A sign of life; False if the job was cancelled or taken over."""
    return _changed(
        connection,
        f"update job set lease = now() + make_interval(secs => %s) where {_HELD}",
        (lease_s, job.id, job.attempts),
    )


def give_back(connection: Connection, job: Job, wait_s: int) -> bool:
    """Let another worker go on with it, not before `wait_s`."""
    return _changed(
        connection,
        f"update job set state = 'queued', lease = now() + make_interval(secs => %s) where {_HELD}",
        (wait_s, job.id, job.attempts),
    )


def note(connection: Connection, job: Job, progress: dict[str, Any]) -> bool:
    """How far the job is; False if it is no longer ours."""
    return _changed(
        connection,
        f"update job set progress = %s::jsonb where {_HELD}",
        (_text(progress), job.id, job.attempts),
    )


def plan_part(connection: Connection, job: Job, number: int, request: dict[str, Any]) -> bool:
    """A part that is to be done, as it was cut; False if the job is no longer ours."""
    return _changed(
        connection,
        "insert into job_part (job, number, request)"
        f" select id, %s, %s::jsonb from job where {_HELD}",
        (number, _text(request), job.id, job.attempts),
    )


def planned(connection: Connection, id_: str) -> list[tuple[int, dict[str, Any]]]:
    """The numbers and requests of all parts of a job, finished or not, in order."""
    rows = connection.execute(
        "select number, request::text from job_part where job = %s order by number", (id_,)
    ).fetchall()
    return [(number, json.read_own(request)) for number, request in rows]


def add_part(connection: Connection, job: Job, part: Part, progress: dict[str, Any]) -> bool:
    """A part is finished and never done again; False if the job is no longer ours."""
    with connection.transaction():
        is_held = note(connection, job, progress)
        if is_held:
            connection.execute(
                "insert into job_part (job, number, request, done)"
                " values (%s, %s, %s::jsonb, %s::jsonb)"
                " on conflict (job, number) do update set done = excluded.done",
                (job.id, part.number, _text(part.request), _text(part.done)),
            )
    return is_held


def parts(connection: Connection, id_: str, numbers: range | None = None) -> list[Part]:
    """The finished parts of a job, in order: all, or those of the numbers. A large job has ten
    thousand."""
    wanted = numbers or range(_PARTS_MAX)
    rows = connection.execute(
        "select number, request::text, done::text from job_part"
        " where job = %s and done is not null and number >= %s and number < %s order by number",
        (id_, wanted.start, wanted.stop),
    ).fetchall()
    return [Part(row[0], json.read_own(row[1]), json.read_own(row[2])) for row in rows]


def finish(connection: Connection, job: Job, state: str, progress: dict[str, Any]) -> bool:
    """The job ends now, DONE or FAILED; False if it is no longer ours."""
    progress = {**progress, "ended": clock.instant(clock.now())}
    return _changed(
        connection,
        f"update job set state = %s, progress = %s::jsonb, lease = null where {_HELD}",
        (state, _text(progress), job.id, job.attempts),
    )


def cancel(connection: Connection, id_: str) -> None:
    """The job ends here, whoever holds it; its parts are forgotten."""
    with connection.transaction():
        connection.execute("update job set state = 'cancelled', lease = null where id = %s", (id_,))
        _empty(connection, id_)


def ended_before(connection: Connection, kind: str, moment: datetime) -> list[str]:
    """The ids of jobs that came to their end before the moment; of those that were cancelled, or
    do not tell, that were made before it."""
    rows = connection.execute(
        "select id from job where kind = %s and state not in ('queued', 'running')"
        " and coalesce((progress ->> 'ended')::timestamptz, made) < %s",
        (kind, moment),
    ).fetchall()
    return [row[0] for row in rows]


def forget(connection: Connection, id_: str) -> None:
    """No trace of the job is left."""
    with connection.transaction():
        _empty(connection, id_)
        connection.execute("delete from job where id = %s", (id_,))


def _empty(connection: Connection, id_: str) -> None:
    connection.execute("delete from job_part where job = %s", (id_,))
    connection.execute("delete from job_content where job = %s", (id_,))


def counts(connection: Connection) -> list[tuple[str, str, int]]:
    """How many jobs there are of each kind and state."""
    return connection.execute("select kind, state, count(*) from job group by 1, 2").fetchall()


def _changed(connection: Connection, statement: str, values: Sequence[Any]) -> bool:
    return connection.execute(statement, values).rowcount == 1


def _job(row: Sequence[Any]) -> Job:
    id_, kind, state, request, progress, attempts, made = row
    return Job(id_, kind, state, json.read_own(request), json.read_own(progress), attempts, made)


def _text(value: dict[str, Any]) -> str:
    return json.write(value).decode()
