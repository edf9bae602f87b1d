"""Search parameters of one's own at rest: their numbers, and whether their index is complete.

Each change counts the setting `search_generation` up and sends a NOTIFY, both in its transaction.
So that no row is written without a parameter while its index is being built,

- a transaction that writes rows reads the generation after it has drawn its own number, and indexes
  by what is in use at that generation or a later one (`store.connect.Transaction`);
- who builds the index waits, before the first look at the rows, until every transaction has ended
  whose number was drawn before that moment (`Store.drawn`, `Store.horizon`).

A transaction that has not seen the parameter read the generation before the parameter was
committed, and drew its number earlier still: it is one of those that are waited for, and its rows
are then found. All others write the parameter's values themselves.

The row of the setting is also the lock under which numbers are given. Rows of parameters that are
no longer in use stay, since a number is never given again: rows of the index may still have it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ehr_server import clock
from ehr_server.definitions import SearchParameter
from ehr_server.errors import Unprocessable
from ehr_server.fhir import json
from ehr_server.issue import Issue
from ehr_server.store import queue
from ehr_server.store.packages import CHANNEL

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ehr_server.store.connect import Connection

KIND = "reindex"  # of the jobs
BUILDING, READY, RETIRED = "building", "ready", "retired"
LIBRARY = "library"  # the source of all that loaded packages bring
NUMBER_MAX = 32_767

_FIRST = 10_000
_GENERATION = "select value::integer from setting where name = 'search_generation'"
_COLUMNS = "number, base, code, definition::text, state, source, job"


@dataclass(frozen=True, slots=True)
class Kept:
    """A parameter in use: `source` is the resource that defines it (`SearchParameter/<id>`) or
    `LIBRARY`, `job` what builds its index or built it."""

    definition: SearchParameter
    state: str
    source: str
    job: str | None


@dataclass(frozen=True, slots=True)
class Wanted:
    """A parameter that a source defines. `has_index`: it has values of its own to be built."""

    definition: SearchParameter
    has_index: bool


def generation(connection: Connection) -> int:
    """The number that grows with each change of what can be searched by."""
    row = connection.execute(_GENERATION).fetchone()
    return 0 if row is None else int(row[0])


def in_use(connection: Connection) -> tuple[int, list[Kept]]:
    """The generation, and what is in use; of one moment, or the rows newer than the generation."""
    number = generation(connection)
    rows = connection.execute(
        f"select {_COLUMNS} from search_parameter where state <> 'retired' order by number"
    ).fetchall()
    return number, [_kept(row) for row in rows]


def lock(connection: Connection) -> None:
    """Nobody else changes what is in use until this transaction ends."""
    connection.execute(f"{_GENERATION} for update")


def change(
    connection: Connection, wanted: Mapping[str, Sequence[Wanted]], of_type_max: int
) -> list[Kept]:
    """From now on the sources define what is wanted of them, and no more than that. The new ones;
    a job is put to build the index of those that have one.

    Part of the transaction that is open. Raises `Unprocessable` where a code is taken, where a type
    has too many or no number is left.
    """
    lock(connection)
    _, kept = in_use(connection)
    others = [one for one in kept if one.source not in wanted]
    own = {_identity(one.source, one.definition): one for one in kept if one.source in wanted}
    asked = {
        _identity(source, one.definition): one
        for source, several in wanted.items()
        for one in several
    }
    _refuse_clash(asked, others, of_type_max)
    retired = [own[key].definition.number for key in own.keys() - asked.keys()]
    new = [key for key in asked if key not in own]
    if not retired and not new:
        return []
    _set(connection, retired, RETIRED)
    types = {definition.base for source, definition in new if asked[source, definition].has_index}
    job = put_job(connection, sorted(types)) if types else None
    number = _next_number(connection, len(new))
    made = []
    for at, (source, definition) in enumerate(new):
        has_index = asked[source, definition].has_index
        state, builds = (BUILDING, job) if has_index else (READY, None)
        made.append(Kept(replace(definition, number=number + at), state, source, builds))
    _insert(connection, made)
    _cancel_jobs(connection)
    count_up(connection)
    return made


def put_job(connection: Connection, types: Sequence[str], *, below: int | None = None) -> str:
    """A new job that indexes all resources of the types again, or those alone whose rows are of a
    format below; its id."""
    id_ = clock.new_id()
    request = {"types": list(types), "below": below}
    queue.put(connection, queue.Job(id_, KIND, queue.QUEUED, request, {}, 0, clock.now()))
    return id_


def building(connection: Connection) -> list[Kept]:
    """Those whose index is not complete yet."""
    return [one for one in in_use(connection)[1] if one.state == BUILDING]


def built_by(connection: Connection, types: Sequence[str], job: str) -> None:
    """This job builds all that is not complete of the types, whichever was meant to."""
    connection.execute(
        "update search_parameter set job = %s where state = 'building' and base = any(%s)",
        (job, list(types)),
    )


def without_job(connection: Connection) -> list[str]:
    """Types with parameters whose index nobody builds: their job has failed or was cancelled."""
    rows = connection.execute(
        "select distinct p.base from search_parameter p left join job j on j.id = p.job"
        " where p.state = 'building' and coalesce(j.state, '') not in ('queued', 'running')"
    ).fetchall()
    return sorted(row[0] for row in rows)


def is_under_way(connection: Connection, format_: int) -> bool:
    """Whether there is a job that brings older rows to the format."""
    row = connection.execute(
        "select exists (select from job where kind = %s and state in ('queued', 'running')"
        " and (request->>'below')::integer >= %s)",
        (KIND, format_),
    ).fetchone()
    return row is not None and bool(row[0])


def make_ready(connection: Connection, numbers: Sequence[int]) -> None:
    """Their index is complete: they can be searched by. Part of the transaction that is open."""
    lock(connection)
    if _set(connection, numbers, READY, "building"):
        count_up(connection)


def percent(connection: Connection, base: str, code: str) -> int:
    """How far the index of a parameter is, by its job's own account."""
    row = connection.execute(
        "select (j.progress->>'percent')::integer"
        " from search_parameter p join job j on j.id = p.job"
        " where p.base = %s and p.code = %s and p.state = 'building'",
        (base, code),
    ).fetchone()
    return 0 if row is None or row[0] is None else int(row[0])


def count_up(connection: Connection) -> None:
    """Every process hears that something changed, once this transaction commits."""
    connection.execute(
        "update setting set value = (value::integer + 1)::text where name = 'search_generation'"
    )
    connection.execute("select pg_notify(%s, '')", (CHANNEL,))


def index_format(connection: Connection) -> int:
    """The format that every row of the index has at least."""
    row = connection.execute(
        "select value::integer from setting where name = 'index_format'"
    ).fetchone()
    return 0 if row is None else int(row[0])


def set_index_format(connection: Connection, number: int) -> None:
    """No row is of an older format any more."""
    connection.execute(
        "update setting set value = greatest(value::integer, %s)::text where name = 'index_format'",
        (number,),
    )


def _cancel_jobs(connection: Connection) -> None:
    """Those that build nothing that is still in use."""
    rows = connection.execute(
        "select p.job from search_parameter p join job j on j.id = p.job"
        " where j.state in ('queued', 'running') group by p.job having every(p.state = 'retired')"
    ).fetchall()
    for (id_,) in rows:
        queue.cancel(connection, id_)


def _identity(source: str, definition: SearchParameter) -> tuple[str, SearchParameter]:
    """What a parameter is apart from its number: a change of any of it makes another."""
    return source, replace(definition, number=0)


def _refuse_clash(
    asked: Mapping[tuple[str, SearchParameter], Wanted], others: Iterable[Kept], of_type_max: int
) -> None:
    taken = {(one.definition.base, one.definition.code): one.source for one in others}
    count: dict[str, int] = {}
    for base, _ in taken:
        count[base] = count.get(base, 0) + 1
    for source, definition in asked:
        base, code = definition.base, definition.code
        if (other := taken.get((base, code))) is not None:
            raise Unprocessable(issues=[_taken(base, code, other)])
        taken[base, code] = source
        count[base] = count.get(base, 0) + 1
        if count[base] > of_type_max:
            raise Unprocessable(
                f"{base} can be searched by {of_type_max} further parameters at most; retire some "
                "that are not needed.",
                vi=f"{base} có tối đa {of_type_max} tham số tìm kiếm tự định nghĩa; xin bỏ bớt.",
                expression=("SearchParameter.base",),
            )


def _taken(base: str, code: str, by: str) -> Issue:
    source = "a loaded package" if by == LIBRARY else by
    return Issue(
        "error",
        "duplicate",
        f"{base} can be searched by {code} already, as {source} defines it; choose another code.",
        ("SearchParameter.code",),
        f"{base} đã có tham số {code} do {source} định nghĩa; xin chọn mã khác.",
        "search-parameter",
    )


def _next_number(connection: Connection, count: int) -> int:
    row = connection.execute(
        "select coalesce(max(number)::integer + 1, %s) from search_parameter", (_FIRST,)
    ).fetchone()
    number = _FIRST if row is None else int(row[0])
    if number + count - 1 > NUMBER_MAX:
        raise Unprocessable(
            "No number is left for another search parameter: every definition takes one for each "
            "type, for ever.",
            vi="Không còn số cho tham số tìm kiếm mới.",
            expression=("SearchParameter",),
        )
    return number


def _insert(connection: Connection, made: Iterable[Kept]) -> None:
    for one in made:
        definition = one.definition
        connection.execute(
            "insert into search_parameter (number, base, code, definition, state, source, job)"
            " values (%s, %s, %s, %s::jsonb, %s, %s, %s)",
            (
                definition.number,
                definition.base,
                definition.code,
                json.write(_as_json(definition)).decode(),
                one.state,
                one.source,
                one.job,
            ),
        )


def _set(connection: Connection, numbers: Sequence[int], state: str, only: str = "") -> int:
    return connection.execute(
        "update search_parameter set state = %s where number = any(%s) and %s in ('', state)",
        (state, list(numbers), only),
    ).rowcount


def _as_json(definition: SearchParameter) -> dict[str, Any]:
    return {
        "type": definition.type,
        "expression": definition.expression,
        "targets": list(definition.targets),
        "components": [list(one) for one in definition.components],
        "url": definition.url,
    }


def _kept(row: Sequence[Any]) -> Kept:
    number, base, code, text, state, source, job = row
    given = json.read_own(text)
    definition = SearchParameter(
        number,
        base,
        code,
        given["type"],
        given["expression"],
        tuple(given["targets"]),
        tuple((one[0], one[1]) for one in given["components"]),
        given["url"],
    )
    return Kept(definition, state, source, job)
