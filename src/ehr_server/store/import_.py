"""What an import asks of the database as a whole: what dangles at its end, what a source calls
a resource."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ehr_server.definitions import definitions
from ehr_server.fhir import json

if TYPE_CHECKING:
    from ehr_server.store.connect import Connection

KIND = "import"  # of jobs that any worker does
HERE = "import-here"  # of those that one command does

Identity = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Dangling:
    """A reference to nothing: what it names, the first place that has it (file in the list, line,
    FHIRPath location) in one part, and how many references of that part lead there."""

    type: str
    id: str
    file: int
    line: int
    place: str
    count: int


def dangling(connection: Connection, job: str) -> Iterator[Dangling]:
    """What the parts of a job had found nothing for, and that is not there at the end either.

    One statement for each page of parts; what the parts note is (type, id, file, line, place,
    count).
    """
    names = definitions().type_name
    first = -1
    while True:
        rows = connection.execute(
            "select p.number, e.value ->> 0, e.value ->> 1, e.value ->> 2, e.value ->> 3,"
            " e.value ->> 4, e.value ->> 5"
            " from (select number, done from job_part where job = %s and number > %s"
            "  order by number limit 50) p cross join lateral"
            " jsonb_array_elements(p.done -> 'open') e left join rid"
            " on rid.type = (e.value ->> 0)::smallint and rid.id = e.value ->> 1 and rid.live"
            " where rid.id is null order by p.number, (e.value ->> 2)::int, (e.value ->> 3)::int",
            (job, first),
        ).fetchall()
        for _, number, id_, file, line, place, count in rows:
            yield Dangling(names[int(number)], id_, int(file), int(line), place, int(count))
        after = connection.execute(
            "select max(number) from (select number from job_part where job = %s and number > %s"
            " order by number limit 50) p",
            (job, first),
        ).fetchone()
        if after is None or after[0] is None:
            return
        first = after[0]


def waiting(connection: Connection, job: str, identities: Iterable[Identity]) -> set[Identity]:
    """Those of the resources that stand on lines which wait for all others of the job."""
    wanted = [f"{type_name}/{id_}" for type_name, id_ in identities]
    rows = connection.execute(
        "select distinct e.value ->> 0 from job_part p cross join lateral"
        " jsonb_array_elements(p.done -> 'names') e where p.job = %s and e.value ->> 0 = any(%s)",
        (job, wanted),
    ).fetchall()
    return {(name.partition("/")[0], name.partition("/")[2]) for (name,) in rows}


def aliases(
    connection: Connection, source: str, identities: Sequence[Identity]
) -> dict[Identity, str]:
    """The ids here of what a source calls by other ids."""
    if not identities:
        return {}
    numbers, names = definitions().type_number, definitions().type_name
    known = [(numbers[one], id_) for one, id_ in identities if one in numbers]
    rows = connection.execute(
        "select a.type, a.given, a.id from alias a join"
        " unnest(%s::smallint[], %s::text[]) as asked (type, given)"
        " on a.type = asked.type and a.given = asked.given where a.source = %s",
        ([number for number, _ in known], [id_ for _, id_ in known], source),
    ).fetchall()
    return {(names[number], given): id_ for number, given, id_ in rows}


def learn(connection: Connection, source: str, met: Mapping[Identity, str]) -> None:
    """A source calls these resources by other ids. Part of the transaction that is open."""
    numbers = definitions().type_number
    rows = sorted((numbers[type_name], given, id_) for (type_name, given), id_ in met.items())
    if rows:
        connection.execute(
            "insert into alias (source, type, given, id) select %s, * from"
            " unnest(%s::smallint[], %s::text[], %s::text[])"
            " on conflict (source, type, given) do update set id = excluded.id"
            " where alias.id <> excluded.id",
            (source, *map(list, zip(*rows, strict=True))),
        )


def analyze(connection: Connection) -> None:
    """Let the planner know what is there now; tables that grew from nothing in a minute are taken
    for empty otherwise."""
    for table in ("resource", "rid", "ident", "member", "string", "date", "quantity", "version"):
        connection.execute(f"analyze {table}")


def counts_by_file(connection: Connection, job: str) -> dict[int, tuple[int, ...]]:
    """By file (its place in the list): resources stored, left as they were, lines refused,
    references removed."""
    rows = connection.execute(
        "select (c.value ->> 0)::int, sum((c.value ->> 1)::bigint)::bigint,"
        " sum((c.value ->> 2)::bigint)::bigint, sum((c.value ->> 3)::bigint)::bigint,"
        " sum((c.value ->> 4)::bigint)::bigint"
        " from job_part p cross join lateral jsonb_array_elements(p.done -> 'counts') c"
        " where p.job = %s group by 1",
        (job,),
    ).fetchall()
    return {row[0]: tuple(row[1:]) for row in rows}


def sources(connection: Connection, job: str) -> list[dict[str, Any]]:
    """The files that a job has imported, once it has begun."""
    row = connection.execute(
        "select (done -> 'sources')::text from job_part where job = %s and number = 0", (job,)
    ).fetchone()
    return [] if row is None else list(json.read_own(row[0]))
