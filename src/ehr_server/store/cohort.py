"""The persons of an export: a list that is kept with the job, or all, cut into ranges.

A person is a compartment here, and of who was merged several. The list is in order, cut into chunks
of `export.PIECE_PERSONS`, each 8 bytes a person, so that a million are never in one row.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ehr_server.layout import LEAVES
from ehr_server.store import export
from ehr_server.store.export import Ask, Chunk, Persons, Range

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ehr_server.store.connect import Connection, Store

_SIDE = 2  # of `job_content`
_PLAIN = 0
_LOWEST = -(2**63)

# What lies at home elsewhere and belongs to one of the persons too, with all whom it belongs to.
_SHARED = (
    "select m.home, m.key, array_agg(m.comp) from member m where m.key in"
    " (select key from member where comp = any(%s::bigint[])) and m.key <> all(%s::bigint[])"
    " group by m.home, m.key"
)
# What belongs to more is looked at once, not for every chunk: a Group may have all the list in it.
_MANY = 1_000


def put(connection: Connection, job: str, comps: array[int]) -> None:
    """Keep the list with the job: in order, each once."""
    size = export.PIECE_PERSONS
    # Of an empty list there is one that is empty: what is told of the whole goes with a part.
    chunks = (comps[start : start + size] for start in range(0, max(len(comps), 1), size))
    with connection.cursor() as cursor:
        cursor.executemany(
            "insert into job_content (job, side, number, enc, content) values (%s, %s, %s, %s, %s)",
            [(job, _SIDE, number, _PLAIN, one.tobytes()) for number, one in enumerate(chunks)],
        )


@dataclass(frozen=True, slots=True)
class Cohort:
    """The list of a job: `comps` in order, and how many stand in a chunk, as they were kept.
    `shared` is what belongs to many, by home and key, as far as it was met: with whom it comes."""

    comps: array[int]
    ends: Sequence[int]  # of the chunks
    shared: dict[tuple[int, int], int | None] = field(default_factory=dict)

    def chunk(self, number: int) -> tuple[int, ...]:
        """The persons of a chunk."""
        start = self.ends[number - 1] if number else 0
        return tuple(self.comps[start : self.ends[number]])

    def __contains__(self, comp: int) -> bool:
        at = bisect_left(self.comps, comp)
        return at < len(self.comps) and self.comps[at] == comp


def cohort(connection: Connection, job: str) -> Cohort:
    """The list that is kept with the job."""
    comps, ends = array("q"), []
    rows = connection.execute(
        "select content from job_content where job = %s and side = %s order by number", (job, _SIDE)
    )
    for (content,) in rows:
        comps.frombytes(content)
        ends.append(len(comps))
    return Cohort(comps, ends)


def chunks(connection: Connection, job: str) -> int:
    """How many chunks the list of the job has."""
    row = connection.execute(
        "select count(*) from job_content where job = %s and side = %s", (job, _SIDE)
    ).fetchone()
    return 0 if row is None else int(row[0])


def expected(connection: Connection, ask: Ask) -> int:
    """How many chunks or ranges there are, of all persons as the database believes."""
    if ask.cohort:
        return chunks(connection, ask.cohort)
    row = connection.execute(
        "select greatest(reltuples, 0)::bigint from pg_class where relname = 'version_patient'"
    ).fetchone()
    return 1 + (0 if row is None else int(row[0])) // export.PIECE_PERSONS


def of_chunk(connection: Connection, listed: Cohort, piece: Chunk) -> Persons:
    """The compartments of a chunk, and what belongs to them and lies at home elsewhere.

    What belongs to several of the list comes with one of them alone: with that where it is at home,
    else with the first in the list. Whom a resource belongs to is told as of now.
    """
    comps = listed.chunk(piece.number)
    if not comps:
        return Persons(())
    found = dict(listed.shared)
    known = [key for _, key in found]
    for home, key, members in connection.execute(_SHARED, (list(comps), known)):
        first = None if home in listed else min((m for m in members if m in listed), default=None)
        found[home, key] = first
        if len(members) > _MANY:
            listed.shared[home, key] = first
    beside = [
        (first, home, key)
        for (home, key), first in found.items()
        if first is not None and comps[0] <= first <= comps[-1]
    ]
    return Persons(comps, tuple(beside))


def of_range(connection: Connection, ask: Ask, piece: Range) -> Persons:
    """The compartments of all Patients of a range, gone or not."""
    until = "" if piece.until is None else " and comp <= %s"
    rows = connection.execute(
        f"select distinct comp from version_patient where comp > %s{until} and tx < %s",
        [piece.after, *(() if piece.until is None else (piece.until,)), ask.below],
    )
    return Persons(tuple(sorted(comp for (comp,) in rows)))


def patients(connection: Connection, comps: Sequence[int]) -> dict[int, tuple[int, bytes]]:
    """Encoding and content, in whatever version, of the Patients whose compartments these are."""
    rows = connection.execute(
        "select distinct on (comp) comp, enc, content from version_patient"
        " where comp = any(%s::bigint[]) order by comp, key, ver",
        (list(comps),),
    )
    return {comp: (enc, content) for comp, enc, content in rows}


def owners(connection: Connection, listed: Cohort | None, keys: Sequence[int]) -> dict[int, int]:
    """By their keys, with which compartment of the list resources come that are at home elsewhere:
    of all persons, where there is no list."""
    rows = connection.execute(
        "select key, array_agg(comp) from member where key = any(%s::bigint[]) group by key",
        (list(keys),),
    )
    found = {}
    for key, comps in rows:
        those = [comp for comp in comps if listed is None or comp in listed]
        if those:
            found[key] = min(those)
    return found


def referring(
    connection: Connection, ask: Ask, persons: Persons, mark: int
) -> list[tuple[int, int]]:
    """Where the Provenance lies, by compartment and key, that refers by the parameter of the mark
    to what is in the compartments; as of now."""
    texts, values = [], []
    for leaf_name in LEAVES:
        texts.append(f"select own from resource_{leaf_name} where comp = any(%s::bigint[])")
        values.append(list(persons.comps))
    beside = [list(column) for column in zip(*persons.beside, strict=True)]
    if beside:
        texts.append(
            "select r.own from unnest(%s::bigint[], %s::bigint[]) b (home, key)"
            " join resource r on r.comp = b.home and r.key = b.key"
        )
        values += beside[1:]
    rows = connection.execute(
        f"select distinct p.comp, p.key from ({' union all '.join(texts)}) t"
        " join resource_provenance p on p.refs @> array[t.own # %s] where p.tx < %s"
        " order by p.comp, p.key",
        [*values, mark, ask.below],
    )
    return [(comp, key) for comp, key in rows]


def latest(
    connection: Connection, ask: Ask, owns: Sequence[int], mark: int
) -> list[tuple[int, int]]:
    """Of each resource, by its `own` hash, the key of the Provenance of it that was recorded
    last."""
    rows = connection.execute(
        "select o.own, (array_agg(p.key order by p.d1 desc nulls last, p.key desc))[1]"
        " from unnest(%s::bigint[]) o (own)"
        " join resource_provenance p on p.refs @> array[o.own # %s] where p.tx < %s"
        " group by o.own",
        (list(owns), mark, ask.below),
    )
    return [(own, key) for own, key in rows]


def ranges(store: Store, ask: Ask, after: Range | None = None) -> Iterator[Range]:
    """All persons in ranges, cut while they are read; or what comes `after` one of them."""
    start: int | None = _LOWEST if after is None else after.until
    while start is not None:
        with store.connection() as connection, connection.transaction():
            export.prepare(connection)
            found = connection.execute(
                "select comp from version_patient where comp > %s and ver = 1 and tx < %s"
                " order by comp offset %s limit 1",
                (start, ask.below, export.PIECE_PERSONS - 1),
            ).fetchone()
        until = None if found is None else int(found[0])
        yield Range(start, until)
        start = until
