"""The record as of one moment, in bulk: every resource's newest version below a number.

https://hl7.org/fhir/uv/bulkdata/. What is asked for is cut into pieces, which are read apart from
each other, by several processes: a piece gives the same rows whenever it is read, since versions
are never changed. Of the whole record a piece is a stretch of one leaf in the order of (tx, key),
which is nearly that of the disk; of some persons it is their compartments.

What may be left out by a search (`_typeFilter`, and one day by access) is told by the narrow row of
a version, if that is of the very same version: a condition on it is part of the statement. A
resource that changed since has another row, or none: such a version comes out as not `is_decided`,
and whoever reads it decides by its content.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from ehr_server.definitions import definitions
from ehr_server.layout import LEAVES, leaf
from ehr_server.store import marks

if TYPE_CHECKING:
    from collections.abc import Collection, Generator, Iterator, Mapping, Sequence
    from datetime import datetime

    from ehr_server.store.connect import Connection, Store

KIND = "export"  # of the jobs that do it

PIECE_ROWS = 100_000
PIECE_BYTES = 32 << 20  # as stored, which is a quarter of what is written, or less
PIECE_PERSONS = 1_000

Place = tuple[int, int]  # tx and key of a version
BEGINNING: Place = (marks.BEGINNING, marks.BEGINNING)

_CHUNK_ROWS = 500  # that are fetched at once, of so many bytes at most as far as is known
_CHUNK_BYTES = 8 << 20
_PAGE_BYTES = 8192
_ROW = ("comp", "type", "deed", "enc", "content", "key")

# Left to itself the planner hashes a whole table and sorts it, for every piece anew; and where it
# believes that nothing was ever changed, it looks through what was, for every row.
_SETTINGS = (
    "set local statement_timeout = 0; set local enable_hashjoin = off;"
    " set local enable_mergejoin = off; set local enable_material = off;"
    " set local enable_bitmapscan = off; set local max_parallel_workers_per_gather = 0"
)
_BY_INDEX = "set local enable_bitmapscan = on"  # arrays have no other way
_AS_EVER = (
    "set local enable_hashjoin = on; set local enable_mergejoin = on;"
    " set local enable_material = on; set local enable_bitmapscan = on"
)
# That the newest version is meant. Most resources never change: who may be newer than another is
# looked for in an index of those alone that are no first versions (migration 0012), which takes a
# third of the time of a look into the primary key.
_NEWEST = (
    " and not exists (select from {table} n where n.ver > 1 and n.key = v.key and n.ver > v.ver"
    " and n.comp = v.comp and n.type = v.type and n.tx < %s)"
)


Provenance = Literal["", "latest", "all"]


@dataclass(frozen=True, slots=True)
class Filters:
    """Searches such as `Observation?code=x`, one of which a resource of their types must meet; for
    a caller, as `access.caller.as_asker` keeps them, by whom all else is narrowed too. How their
    values are read: in which time zone, at which address of this server."""

    queries: tuple[str, ...] = ()
    caller: dict[str, Any] | None = None
    zone: str = "UTC"
    base: str = ""


@dataclass(frozen=True, slots=True)
class Veil:
    """A policy of de-identification: its name, the folder of the site's own policies ("" for none),
    the year by which ages are counted, for which reasons what is restricted is told."""

    policy: str
    folder: str
    year: int
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Ask:
    """What to export: rows with `since` <= tx < `below`, all or only those of patients.

    `since` None is everything that is live; with a number, deletions are rows too. `types` holds
    names. What was changed at the instant `until` or later is left out. `cohort` is the job with
    which a list of persons is kept (`store.cohort`), "" where there is none. `is_by_person`: what
    belongs to a person stands together. `elements` are those wanted, "" for all. `provenance` of
    what is exported comes along: `all`, or of each resource the `latest`; "" as it comes.
    `veil`: without what tells who somebody is.
    """

    below: int
    types: tuple[str, ...]
    since: int | None = None
    of_patients: bool = False
    until: str | None = None
    cohort: str = ""
    is_by_person: bool = False
    filters: Filters = Filters()
    elements: str = ""
    provenance: Provenance = ""
    veil: Veil | None = None

    def leaves(self) -> tuple[str, ...]:
        """The leaves to read, in a fixed order, that of the Patients first."""
        wanted = {leaf(type_name) for type_name in self.types}
        named = [name for name in LEAVES if name in wanted]
        return tuple(sorted(named, key=lambda name: name != leaf("Patient")))

    @property
    def is_associated(self) -> bool:
        """Whether Provenance comes along that no compartment holds: where it is asked for, and with
        patients as a rule."""
        return bool(self.provenance) or (self.of_patients and "Provenance" in self.types)

    def start(self) -> Place:
        """The place before the first row."""
        return BEGINNING if self.since is None else (self.since, marks.BEGINNING)

    def as_json(self) -> dict[str, Any]:
        """As a job keeps it; `ask_of` reads it."""
        return asdict(self)


def ask_of(value: dict[str, Any]) -> Ask:
    """The ask that `as_json` wrote."""
    filters, veil = value["filters"], value.get("veil")
    return Ask(
        **{
            **value,
            "types": tuple(value["types"]),
            "filters": Filters(**{**filters, "queries": tuple(filters["queries"])}),
            "veil": None if veil is None else Veil(**{**veil, "reasons": tuple(veil["reasons"])}),
        }
    )


@dataclass(frozen=True, slots=True)
class Stretch:
    """The rows of a leaf after a place, up to and with another; to the end without one.
    `is_associated`: not these themselves, but the Provenance among them that comes along.
    `is_sparse`: so few of the leaf are chosen that they are found by the index, all in one."""

    leaf: str
    after: Place
    until: Place | None = None
    is_associated: bool = False
    is_sparse: bool = False

    def as_json(self) -> dict[str, Any]:
        """As a part of a job keeps it; `piece_of` reads it."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some of the persons whose list is kept with the job, by its number in the list."""

    number: int

    def as_json(self) -> dict[str, Any]:
        """As a part of a job keeps it; `piece_of` reads it."""
        return {"chunk": self.number}


@dataclass(frozen=True, slots=True)
class Range:
    """Some of all persons: those whose compartments come after one, up to and with another."""

    after: int
    until: int | None

    def as_json(self) -> dict[str, Any]:
        """As a part of a job keeps it; `piece_of` reads it."""
        return {"range": [self.after, self.until]}


Piece = Stretch | Chunk | Range


@dataclass(frozen=True, slots=True)
class Persons:
    """Compartments, whichever leaf their rows lie in; and rows at home elsewhere that belong to
    them too: `(comp, home, key)`."""

    comps: tuple[int, ...]
    beside: tuple[tuple[int, int, int], ...] = ()


Row = tuple[int, int, int, int, bytes, int, bool]

# The condition on the narrow row `r` by which a row of a leaf is chosen, with its values.
Chosen: TypeAlias = "Mapping[str, tuple[str, Sequence[Any]]]"
ALL: Chosen = MappingProxyType({})


def piece_of(value: dict[str, Any]) -> Piece:
    """The piece that `as_json` wrote."""
    if "chunk" in value:
        return Chunk(value["chunk"])
    if "range" in value:
        return Range(*value["range"])
    until = None if value["until"] is None else (value["until"][0], value["until"][1])
    after = (value["after"][0], value["after"][1])
    return Stretch(**{**value, "after": after, "until": until})


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


def stretches(
    store: Store, ask: Ask, after: Stretch | None = None, sparse: Collection[str] = ()
) -> Iterator[Stretch]:
    """The whole record in pieces, cut while they are read; or what comes `after` one of them. The
    `sparse` leaves are not cut.

    To cut is to walk the index of (tx, key): 0.1 µs a row.
    """
    walks = [(leaf_name, False) for leaf_name in ask.leaves()]
    if ask.is_associated:
        walks.append((leaf("Provenance"), True))
    if after is not None:
        walks = walks[walks.index((after.leaf, after.is_associated)) :]
    for leaf_name, is_associated in walks:
        start: Place | None = BEGINNING if is_associated and ask.provenance else ask.start()
        if after is not None and (after.leaf, after.is_associated) == (leaf_name, is_associated):
            start = after.until
        with store.connection() as connection:
            _count(connection, leaf_name)
        if start is not None and leaf_name in sparse and not is_associated:
            yield Stretch(leaf_name, start, is_sparse=True)
            continue
        while start is not None:
            with store.connection() as connection, connection.transaction():
                until = _cut(connection, ask, leaf_name, start)
            yield Stretch(leaf_name, start, until, is_associated)
            start = until


def expected(store: Store, ask: Ask) -> tuple[int, int]:
    """How many stretches there will be, and rows to look at, by what the database believes of its
    tables; of an export of what changed since another, how many at most."""
    with store.connection() as connection:
        sizes = [_size(connection, leaf_name) for leaf_name in ask.leaves()]
    pieces = sum(1 + rows // _at_once(rows, size) for rows, size in sizes)
    return pieces, sum(rows for rows, _ in sizes)


def rows(
    connection: Connection, ask: Ask, piece: Stretch | Persons, chosen: Chosen = ALL
) -> Generator[Row, None, None]:
    """`(comp, type number, deed, encoding, stored content, key, is_decided)` of the piece, a
    stretch in the order of (tx, key). Part of a transaction; close it, read to its end or not."""
    prepare(connection)
    if isinstance(piece, Stretch) and piece.is_sparse:
        connection.execute(_BY_INDEX)
    with connection.cursor(binary=True) as cursor:
        text, values = statement(ask, piece, [f"v.{name}" for name in _ROW], chosen)
        yield from cursor.stream(text, values, size=_fetched(connection, ask, piece))


def rows_by_person(
    connection: Connection, ask: Ask, persons: Persons, chosen: Chosen = ALL
) -> Generator[tuple[int, Row], None, None]:
    """As `rows`, person by person, the Patient first: each with the compartment that it is shown
    in."""
    prepare(connection)
    patient = definitions().type_number["Patient"]
    columns = [f"v.{name}" for name in _ROW]
    text, values = statement(ask, persons, columns, chosen, is_shown=True)
    with connection.cursor(binary=True) as cursor:
        found = cursor.stream(
            f"select * from ({text}) every order by shown, type <> %s, type, key",
            [*values, patient],
            size=_fetched(connection, ask, persons),
        )
        for shown, *row in found:
            yield shown, tuple(row)


def prepare(connection: Connection) -> None:
    """Let the transaction that is open read long, and by the indexes that are meant."""
    connection.execute(_SETTINGS)


@contextmanager
def looking_up(connection: Connection) -> Iterator[None]:
    """Let what is looked up between rows be found by all indexes, as ever."""
    connection.execute(_AS_EVER)
    yield
    connection.execute(_SETTINGS)


def statement(
    ask: Ask,
    piece: Stretch | Persons,
    columns: Sequence[str],
    chosen: Chosen = ALL,
    *,
    is_shown: bool = False,
) -> tuple[str, list[Any]]:
    """The select of the columns of a piece and `is_decided`, and its values; in front, of persons,
    the compartment that a row is `shown` in, where that is asked for."""
    if isinstance(piece, Stretch) and piece.is_sparse:
        return _sparse(ask, piece, columns, chosen)
    if isinstance(piece, Stretch):
        text, values = _select(ask, piece.leaf, columns, chosen)
        text += " and (v.tx, v.key) > (%s::bigint, %s::bigint)"
        values += piece.after
        if piece.until is not None:
            text += " and (v.tx, v.key) <= (%s::bigint, %s::bigint)"
            values += piece.until
        return f"{text} order by v.tx, v.key", values
    texts, values = [], []
    here = ["v.comp shown", *columns] if is_shown else columns
    there = ["b.comp shown", *columns] if is_shown else columns
    beside = [list(column) for column in zip(*piece.beside, strict=True)]
    for leaf_name in ask.leaves():
        text, more = _select(ask, leaf_name, here, chosen)
        texts.append(f"{text} and v.comp = any(%s::bigint[])")
        values += [*more, list(piece.comps)]
        if beside:
            text, more = _select(ask, leaf_name, there, chosen, _BESIDE)
            texts.append(text)
            values += [*beside, *more]
    return " union all ".join(texts), values


def _sparse(
    ask: Ask, piece: Stretch, columns: Sequence[str], chosen: Chosen
) -> tuple[str, list[Any]]:
    """What is chosen, by the index; what changed since the moment, which nothing says of what it
    was; what was deleted. All of it after a place: whoever began the leaf may have cut it."""
    leaf_name, after = piece.leaf, " and (v.tx, v.key) > (%s::bigint, %s::bigint)"
    condition, held = chosen[leaf_name]
    source = _BY_ROW.format(condition=condition.replace("{", "{{").replace("}", "}}"))
    narrow, values = _select(ask, leaf_name, columns, ALL, source)
    changed, more = _select(ask, leaf_name, columns, ALL, _CHANGED)
    changed = changed.replace("true is_decided", "false is_decided", 1) + " and v.deed <> 3"
    parts = [narrow + after, changed + after]
    values = [*held, *values, *piece.after, ask.below, *more, *piece.after]
    if ask.since is not None:
        deleted, more = _select(ask, leaf_name, columns, ALL)
        parts.append(f"{deleted} and v.deed = 3{after}")
        values += [*more, *piece.after]
    return " union all ".join(parts), values


_BY_ROW = (
    "(select r.comp, r.key, r.ver from resource_{{leaf}} r where {condition}) c"
    " join {{table}} v on v.comp = c.comp and v.key = c.key and v.ver = c.ver"
)
_CHANGED = (
    "(select distinct n.comp, n.key from {table} n where n.tx >= %s and n.ver > 1) c"
    " join {table} v on v.comp = c.comp and v.key = c.key"
)

# What belongs to a compartment and lies at home elsewhere, each once.
_BESIDE = (
    "unnest(%s::bigint[], %s::bigint[], %s::bigint[]) b (comp, home, key)"
    " join {table} v on v.comp = b.home and v.key = b.key"
)


def _select(
    ask: Ask, leaf_name: str, columns: Sequence[str], chosen: Chosen, source: str = "{table} v"
) -> tuple[str, list[Any]]:
    numbers = definitions().type_number
    wanted = [numbers[name] for name in ask.types if leaf(name) == leaf_name]
    table = f"version_{leaf_name}"
    condition, held = chosen.get(leaf_name, ("", ()))
    narrow, decided = "", "true"
    if condition or source == _BESIDE:  # to whom a resource belongs is told of its newest version
        narrow = (
            f" left join resource_{leaf_name} r on r.comp = v.comp and r.key = v.key"
            " and r.type = v.type and r.ver = v.ver"
        )
        decided = "r.key is not null"
    origin = source.format(table=table, leaf=leaf_name)
    text = (
        f"select {', '.join(columns)}, {decided} is_decided from {origin}"
        f"{narrow} where v.tx < %s::bigint and v.type = any(%s::smallint[])"
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
    if ask.of_patients and not ask.cohort:
        text += " and v.comp & 1 = 1"
    if condition:
        text += f" and (r.key is null or {condition})"
        values += held
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


def _fetched(connection: Connection, ask: Ask, piece: Stretch | Persons) -> int:
    """How many rows to fetch at once: of the leaf whose rows are the largest, few if they are."""
    leaves = [piece.leaf] if isinstance(piece, Stretch) else ask.leaves()
    row = connection.execute(
        "select max(pg_table_size(oid) / greatest(reltuples, 1)) from pg_class"
        " where relname = any(%s) and reltuples >= 0",
        ([f"version_{name}" for name in leaves],),
    ).fetchone()
    largest = (row[0] if row is not None else None) or 1
    return max(1, min(_CHUNK_ROWS, int(_CHUNK_BYTES / largest)))


def _count(connection: Connection, leaf_name: str) -> None:
    """Let the database look at a large leaf of which it knows nothing yet, after a restore or a
    first load: it would look for newer versions in the wrong index."""
    connection.execute(
        f"do $$ begin if exists (select from pg_class where relname = 'version_{leaf_name}'"
        f" and reltuples < 0 and pg_table_size(oid) > {_CHUNK_BYTES}) then"
        f" analyze (skip_locked) version_{leaf_name}; end if; end $$"
    )


def _at_once(rows: int, size: int) -> int:
    """How many rows of so many in so many bytes make a piece."""
    return min(PIECE_ROWS, max(1, PIECE_BYTES * rows // size if rows and size else PIECE_ROWS))
