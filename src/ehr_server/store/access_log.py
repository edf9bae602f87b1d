"""The rows of the access log: who looked at whose record, or changed it.

A row says of one person what one request told or wrote; `store.tables` explains its columns. Rows
of writes are part of the change's transaction (`store.write`); those of reads are gathered by
`store.journal` and written here, many by one statement. What many rows say alike, such as the
caller, is a word in a directory, and a row has its number.

The id of a row tells when it was: milliseconds since 1970, then a number of the writer and a
counter. So the rows of one person lie in the order of time, and no row needs a further column.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from threading import Lock
from typing import TYPE_CHECKING, NamedTuple

from ehr_server import clock

if TYPE_CHECKING:
    from ehr_server.store.connect import Connection, Store

_WRITER_BITS, _COUNTER_BITS = 11, 10
_SHIFT = _WRITER_BITS + _COUNTER_BITS
_WORDS_MAX = 50_000  # remembered
_ADD_WORD = "insert into access_word (word) values (%s) on conflict do nothing"
_APART = "\x1f"  # stands in none of the texts

_FEW = 8  # rows that are written by a list of values, for half of what arrays cost then
_INTO = "insert into access_log (comp, id, tx, who, deed, status, count, request, what)"
_TX = "pg_current_xact_id()::text::bigint"
_VALUES = (
    f"(%s::bigint, %s::bigint, {_TX} + %s::bigint, %s::integer, %s::integer, %s::smallint,"
    " %s::integer, %s::text, %s::text)"
)
_OF_FEW = [f"{_INTO} values {', '.join([_VALUES] * count)}" for count in range(_FEW + 1)]
_OF_MANY = (
    f"{_INTO} select comp, id, {_TX} + %s, who, deed, status, count,"
    " coalesce(request, ''), coalesce(what, '') from unnest(%s::bigint[], %s::bigint[],"
    " %s::integer[], %s::integer[], %s::smallint[], %s::integer[],"
    " string_to_array(%s, E'\\x1f'), string_to_array(%s, E'\\x1f'))"
    " as u (comp, id, who, deed, status, count, request, what)"
)


class Row(NamedTuple):
    """A row but for its `tx`: see `store.tables`."""

    comp: int
    id: int
    who: int
    deed: int
    status: int
    number: int  # of resources
    request: str
    what: str


class Ids:
    """Ids of rows, unique in the database while no writer is older than 2,047 others."""

    def __init__(self, writer: int) -> None:
        self._writer = writer % (1 << _WRITER_BITS)
        self._last = 0, 0
        self._lock = Lock()

    def next(self) -> int:
        """The id of the rows of one request, later than all before."""
        now = clock.epoch_ms()
        with self._lock:
            ms, counter = self._last
            if now > ms:
                ms, counter = now, 0
            else:
                counter += 1
                ms, counter = ms + (counter >> _COUNTER_BITS), counter % (1 << _COUNTER_BITS)
            self._last = ms, counter
        return ms << _SHIFT | self._writer << _COUNTER_BITS | counter


def moment(id_: int) -> datetime:
    """When the rows with the id were made."""
    return datetime.fromtimestamp((id_ >> _SHIFT) / 1000, UTC)


def first_id(at: datetime) -> int:
    """What no id from the instant on is below."""
    return round(at.timestamp() * 1000) << _SHIFT


def nobody(id_: int) -> int:
    """The comp of a row that tells of no person: even, and spread, for it is what the table is
    distributed by. A bigint has room for it beyond 2039 where its sign is a bit like the others."""
    doubled = id_ << 1
    return doubled - (1 << 64) if doubled >> 63 else doubled


class Words:
    """The directory of words as one process knows it."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._known: dict[str, int] = {}

    def number(self, word: str) -> int:
        """The number of a word; not to be asked for in a transaction, whose end nobody knows."""
        found = self._known.get(word)
        if found is None:
            with self._store.connection() as connection:
                # Looked for first: an insert draws a number also where the word is there.
                found = _number_of(connection, word)
                if found is None:
                    connection.execute(_ADD_WORD, (word,))
                    found = _number_of(connection, word) or 0
            if len(self._known) >= _WORDS_MAX:
                self._known.clear()
            self._known[word] = found
        return found


def _number_of(connection: Connection, word: str) -> int | None:
    row = connection.execute("select id from access_word where word = %s", (word,)).fetchone()
    return None if row is None else int(row[0])


def insert(connection: Connection, rows: Sequence[Row], tx_offset: int) -> None:
    """Write the rows by one statement. Text goes as it is: `clean` it before."""
    if len(rows) <= _FEW:
        values = [value for row in rows for value in (*row[:2], tx_offset, *row[2:])]
        connection.execute(_OF_FEW[len(rows)], values)
        return
    columns = list(zip(*rows, strict=True))
    numbers = [f"{{{','.join(map(str, column))}}}" for column in columns[:6]]
    texts = [_APART.join(column) for column in columns[6:]]
    connection.execute(_OF_MANY, (tx_offset, *numbers, *texts))


def clean(text: str) -> str:
    """The text without what no row may hold: controls, and what no UTF-8 can say."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(c if c.isprintable() else "…" for c in text)


def rows_of(id_: int, about: tuple[int, int, int, str, str], persons: dict[int, int]) -> list[Row]:
    """A row for each of the persons; `about`: who, deed, status, request, what."""
    who, deed, status, request, what = about
    return [
        Row(comp, id_, who, deed, status, count, request, what) for comp, count in persons.items()
    ]
