"""The record as of one moment, in bulk: every resource's newest version below a number.

https://hl7.org/fhir/uv/bulkdata/. What is asked for is cut into pieces, which are read apart from
each other, by several processes: a piece gives the same rows whenever it is read, since versions
are never changed. Of the whole record a piece is a stretch of one leaf in the order of (tx, key),
which is nearly that of the disk; of some persons it is their compartments.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ehr_server.definitions import definitions
from ehr_server.layout import LEAVES, leaf
from ehr_server.store import marks

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence
    from datetime import datetime

    from ehr_server.store.connect import Connection, Store

KIND = "export"  # of the jobs that do it

PIECE_ROWS = 100_000
PIECE_BYTES = 32 << 20  # as stored, which is a quarter of what is written, or less
PIECE_PERSONS = 1_000

Place = tuple[int, int]  # tx and key of a version
BEGINNING: Place = (marks.BEGINNING, marks.BEGINNING)

_CHUNK_ROWS = 500
_PAGE_BYTES = 8192
_ROW = ("comp", "type", "deed", "enc", "content")

# Left to itself the planner hashes a whole table and sorts it, for every piece anew; and where it
# believes that nothing was ever changed, it looks through what was, for every row.
_SETTINGS = (
    "set local statement_timeout = 0; set local enable_hashjoin = off;"
    " set local enable_mergejoin = off; set local enable_material = off;"
    " set local enable_bitmapscan = off; set local max_parallel_workers_per_gather = 0"
)
# That the newest version is meant. Most resources never change: who may be newer than another is
# looked for in an index of those alone that are no first versions (migration 0012), which takes a
# third of the time of a look into the primary key.
_NEWEST = (
    " and not exists (select from {table} n where n.ver > 1 and n.key = v.key and n.ver > v.ver"
    " and n.comp = v.comp and n.type = v.type and n.tx < %s)"
)


@dataclass(frozen=True, slots=True)
class Ask:
    """What to export: rows with `since` <= tx < `below`, all or only those of patients.

    `since` None is everything that is live; with a number, deletions are rows too. `types` holds
    names. What was changed at the instant `until` or later is left out.
    """

    below: int
    types: tuple[str, ...]
    since: int | None = None
    of_patients: bool = False
    until: str | None = None

    def leaves(self) -> tuple[str, ...]:
        """The leaves to read, in a fixed order, that of the Patients first."""
        wanted = {leaf(type_name) for type_name in self.types}
        named = [name for name in LEAVES if name in wanted]
        return tuple(sorted(named, key=lambda name: name != leaf("Patient")))

    def start(self) -> Place:
        """The place before the first row."""
        return BEGINNING if self.since is None else (self.since, marks.BEGINNING)

    def as_json(self) -> dict[str, Any]:
        """As a job keeps it; `ask_of` reads it."""
        return {
            "below": self.below,
            "types": list(self.types),
            "since": self.since,
            "of_patients": self.of_patients,
            "until": self.until,
        }


def ask_of(value: dict[str, Any]) -> Ask:
    """The ask that `as_json` wrote."""
    return Ask(**{**value, "types": tuple(value["types"])})


@dataclass(frozen=True, slots=True)
class Stretch:
    """The rows of a leaf after a place, up to and with another; to the end without one."""

    leaf: str
    after: Place
    until: Place | None = None

    def as_json(self) -> dict[str, Any]:
        """As a part of a job keeps it; `piece_of` reads it."""
        until = None if self.until is None else list(self.until)
        return {"leaf": self.leaf, "after": list(self.after), "until": until}


@dataclass(frozen=True, slots=True)
class Persons:
    """The rows of some compartments, whichever leaf they lie in."""

    comps: tuple[int, ...]

    def as_json(self) -> dict[str, Any]:
        """As a part of a job keeps it; `piece_of` reads it."""
        return {"comps": list(self.comps)}


Piece = Stretch | Persons
Row = tuple[int, int, int, int, bytes]


def piece_of(value: dict[str, Any]) -> Piece:
    """The piece that `as_json` wrote."""
    if "comps" in value:
        return Persons(tuple(value["comps"]))
    until = None if value["until"] is None else (value["until"][0], value["until"][1])
    return Stretch(value["leaf"], (value["after"][0], value["after"][1]), until)


def begin(
    store: Store, connection: Connection, ask: Ask, at: datetime, since: datetime | None
) -> Ask:
    """The ask, of what changed since an instant; part of the transaction that `ask.below` numbers.

    All that was acknowledged before `at`, which is now, has a lower number. A transaction in
    flight may have one too, so reading must wait until the horizon has reached `ask.below`. A
    mark stays, for the next export that asks for what changed since this one.
    """
    first = None if since is None else marks.since(connection, since)
    marks.leave(store, connection, at)
    return replace(ask, since=first)


def is_complete(store: Store, ask: Ask) -> bool:
    """Everything acknowledged before the export was asked for is there, once this is true."""
    with store.connection() as connection:
        return store.horizon(connection) >= ask.below


def stretches(store: Store, ask: Ask, after: Stretch | None = None) -> Iterator[Stretch]:
    """The whole record in pieces, cut while they are read; or what comes `after` one of them.

    To cut is to walk the index of (tx, key): 0.1 µs a row.
    """
    leaves = ask.leaves()
    if after is not None:
        leaves = leaves[leaves.index(after.leaf) :]
    for leaf_name in leaves:
        start: Place | None = ask.start()
        if after is not None and after.leaf == leaf_name:
            start = after.until
        while start is not None:
            with store.connection() as connection, connection.transaction():
                until = _cut(connection, ask, leaf_name, start)
            yield Stretch(leaf_name, start, until)
            start = until


def expected(store: Store, ask: Ask) -> tuple[int, int]:
    """How many stretches there will be, and rows to look at, by what the database believes of its
    tables; of an export of what changed since another, how many at most."""
    with store.connection() as connection:
        sizes = [_size(connection, leaf_name) for leaf_name in ask.leaves()]
    pieces = sum(1 + rows // _at_once(rows, size) for rows, size in sizes)
    return pieces, sum(rows for rows, _ in sizes)


def rows(connection: Connection, ask: Ask, piece: Piece) -> Generator[Row, None, None]:
    """`(comp, type number, deed, encoding, stored content)` of the piece, a stretch in the order of
    (tx, key). Part of a transaction; close it, read to its end or not."""
    prepare(connection)
    with connection.cursor(binary=True) as cursor:
        text, values = statement(ask, piece, [f"v.{name}" for name in _ROW])
        yield from cursor.stream(text, values, size=_CHUNK_ROWS)


def rows_by_person(
    connection: Connection, ask: Ask, persons: Persons
) -> Generator[Row, None, None]:
    """As `rows`, person by person, the Patient first."""
    prepare(connection)
    patient = definitions().type_number["Patient"]
    text, values = statement(ask, persons, [f"v.{name}" for name in (*_ROW, "key")])
    with connection.cursor(binary=True) as cursor:
        yield from cursor.stream(
            f"select {', '.join(_ROW)} from ({text}) every order by comp, type <> %s, type, key",
            [*values, patient],
            size=_CHUNK_ROWS,
        )


def prepare(connection: Connection) -> None:
    """Let the transaction that is open read long, and by the indexes that are meant."""
    connection.execute(_SETTINGS)


def statement(ask: Ask, piece: Piece, columns: Sequence[str]) -> tuple[str, list[Any]]:
    """The select of the columns of a piece, and its values."""
    if isinstance(piece, Stretch):
        text, values = _select(ask, piece.leaf, columns)
        text += " and (v.tx, v.key) > (%s::bigint, %s::bigint)"
        values += piece.after
        if piece.until is not None:
            text += " and (v.tx, v.key) <= (%s::bigint, %s::bigint)"
            values += piece.until
        return f"{text} order by v.tx, v.key", values
    texts, values = [], []
    for leaf_name in ask.leaves():
        text, more = _select(ask, leaf_name, columns)
        texts.append(f"{text} and v.comp = any(%s::bigint[])")
        values += [*more, list(piece.comps)]
    return " union all ".join(texts), values


def _select(ask: Ask, leaf_name: str, columns: Sequence[str]) -> tuple[str, list[Any]]:
    numbers = definitions().type_number
    wanted = [numbers[name] for name in ask.types if leaf(name) == leaf_name]
    table = f"version_{leaf_name}"
    text = (
        f"select {', '.join(columns)} from {table} v"
        " where v.tx < %s::bigint and v.type = any(%s::smallint[])"
    )
    values: list[Any] = [ask.below, wanted]
    if ask.since is None:
        text += " and v.deed <> 3"
    else:
        text += " and v.tx >= %s::bigint"
        values.append(ask.since)
    if ask.until is not None:
        text += " and v.at < %s::timestamptz"
        values.append(ask.until)
    if ask.of_patients:
        text += " and v.comp & 1 = 1"
    return text + _NEWEST.format(table=table), [*values, ask.below]


def _cut(connection: Connection, ask: Ask, leaf_name: str, after: Place) -> Place | None:
    """Where the next piece ends; None where it is the last of the leaf."""
    rows = _at_once(*_size(connection, leaf_name))
    prepare(connection)
    found = connection.execute(
        f"select tx, key from version_{leaf_name} where (tx, key) > (%s::bigint, %s::bigint)"
        " and tx < %s::bigint order by tx, key offset %s limit 1",
        (*after, ask.below, rows - 1),
    ).fetchone()
    return None if found is None else (found[0], found[1])


def _size(connection: Connection, leaf_name: str) -> tuple[int, int]:
    """How many rows the database believes to be in a leaf, and the bytes that they take."""
    row = connection.execute(
        "select greatest(reltuples, 0)::float8 / greatest(relpages, 1), pg_relation_size(oid),"
        " pg_table_size(oid) from pg_class where relname = %s",
        (f"version_{leaf_name}",),
    ).fetchone()
    if row is None:
        return 0, 0
    of_a_page, size, size_in_all = row
    return round(of_a_page * size / _PAGE_BYTES), int(size_in_all)


def _at_once(rows: int, size: int) -> int:
    """How many rows of so many in so many bytes make a piece."""
    return min(PIECE_ROWS, max(1, PIECE_BYTES * rows // size if rows and size else PIECE_ROWS))
