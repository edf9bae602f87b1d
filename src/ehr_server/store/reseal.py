"""Sealing what is stored already, while it is served: all that is in clear, or by a former key.

What is done is not done again, so that a walk that was stopped goes on where it was. A row that is
moved to another compartment meanwhile may be missed: hence whoever needs all walks until there was
nothing left to do.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from psycopg import sql

from ehr_server.layout import LEAVES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ehr_server.store.connect import Connection, Store

Told = Callable[[int], None]

_LOOKED_AT = 2_000  # rows to a look
_TOGETHER_BYTES = 8 << 20  # to a transaction


@dataclass(frozen=True, slots=True)
class Sealed:
    """A table with contents: the columns of its key, with their types, and that of the content."""

    name: str
    key: tuple[tuple[str, str], ...]
    content: str
    only: str = "true"  # the rows that hold any

    @property
    def columns(self) -> list[str]:
        """Those of the key."""
        return [name for name, _ in self.key]


_COMP_KEY = (("comp", "int8"), ("key", "int8"))
TABLES = (
    *(
        Sealed(f"version_{leaf}", (*_COMP_KEY, ("ver", "int4"), ("type", "int2")), "content")
        for leaf in LEAVES
    ),
    Sealed("blob", (*_COMP_KEY, ("part", "int4")), "bytes"),
    Sealed("receipt", (("key", "text"), ("sender", "int4"), ("entry", "int4")), "done"),
    Sealed(
        "job_content",
        (("job", "text"), ("side", "int2"), ("number", "int4")),
        "content",
        "side <> 2",
    ),
)


def reseal(store: Store, told: Told) -> int:
    """Seal all by the key that is current; `told` hears how many more rows were. How many."""
    total = 0
    while True:
        count = sum(_reseal(store, table, told) for table in TABLES)
        total += count
        if not count:
            return total


def left(connection: Connection, enc: int) -> int:
    """How many rows hold contents that are not sealed so."""
    count = "select count(*) from {table} where {only} and enc <> %s"
    found = (connection.execute(_query(one, count), (enc,)).fetchone() for one in TABLES)
    return sum(int(row[0]) for row in found if row is not None)


def _reseal(store: Store, table: Sealed, told: Told) -> int:
    total = 0
    for places in _looks(store, table):
        for some in _in_lumps(places):
            total += _together(store, table, some)
            told(len(some))
    return total


def _looks(store: Store, table: Sealed) -> Iterator[list[tuple[Any, ...]]]:
    """The keys of rows that are to be sealed, with their sizes, in the order of the key."""
    after: tuple[Any, ...] | None = None
    first = (
        "select {key}, enc, octet_length({content}) from {table} where {only}"
        " order by {key} limit %s"
    )
    more = first.replace(" order by", " and ({key}) > ({places}) order by")
    while True:
        asked = _query(table, first if after is None else more)
        with store.connection() as connection:
            rows = connection.execute(asked, (*(after or ()), _LOOKED_AT)).fetchall()
        if not rows:
            return
        after = rows[-1][:-2]
        # Asked anew each time: another process may have made a key.
        enc = store.contents.enc
        yield [(*row[:-2], row[-1]) for row in rows if row[-2] != enc]


def _in_lumps(rows: Sequence[tuple[Any, ...]]) -> Iterator[list[tuple[Any, ...]]]:
    lump: list[tuple[Any, ...]] = []
    size = 0
    for *key, length in rows:
        lump.append(tuple(key))
        size += length
        if size >= _TOGETHER_BYTES:
            yield lump
            lump, size = [], 0
    if lump:
        yield lump


def _together(store: Store, table: Sealed, keys: Sequence[tuple[Any, ...]]) -> int:
    """Seal some rows in a transaction; how many there still were."""
    columns = [list(column) for column in zip(*keys, strict=True)]
    with store.transaction() as opened, opened.connection.cursor(binary=True) as cursor:
        rows = cursor.execute(
            _query(
                table,
                "select {t_key}, t.enc, t.{content} from {table} t join unnest({arrays}) k({key})"
                " on ({t_key}) = ({k_key}) for update of t",
            ),
            columns,
        ).fetchall()
        anew = [
            (*key, *store.contents.sealed_anew(enc, bytes(stored)))
            for *key, enc, stored in rows
            if enc != store.contents.enc
        ]
        if anew:
            cursor.execute(
                _query(
                    table,
                    "update {table} t set enc = k.enc, {content} = k.{content}"
                    " from unnest({arrays}, %s::int2[], %s::bytea[]) k({key}, enc, {content})"
                    " where ({t_key}) = ({k_key})",
                ),
                [list(column) for column in zip(*anew, strict=True)],
            )
    return len(anew)


def _query(table: Sealed, text: str) -> sql.Composed:
    def names(prefix: str = "") -> sql.Composed:
        return sql.SQL(", ").join(sql.SQL(prefix) + sql.Identifier(one) for one in table.columns)

    return sql.SQL(text).format(
        table=sql.Identifier(table.name),
        content=sql.Identifier(table.content),
        only=sql.SQL(table.only),
        key=names(),
        t_key=names("t."),
        k_key=names("k."),
        places=sql.SQL(", ").join(sql.SQL(f"%s::{kind}") for _, kind in table.key),
        arrays=sql.SQL(", ").join(sql.SQL(f"%s::{kind}[]") for _, kind in table.key),
    )
