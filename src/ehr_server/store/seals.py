"""Seals over the access log: whoever alters, removes or adds a row later is found out.

A seal is over all rows of a span of transaction numbers, and over the seal before it. Spans join
without a gap, and a span is sealed once the horizon (`Store.horizon`) has passed it: then no
transaction that is under way can add a row to it, whichever process it is of, and one that was
killed has added its rows or none. So what is sealed does not hang on who wrote it, and any process
seals what others have written. A seal holds

- `marks`: of each row, in the order of tx, id, comp, the comp and id and 8 bytes of its hash, by
  which `verify` tells which row it is that was altered, removed or added;
- `digest`: SHA-256 of the whole hashes of the rows; a hash is over all that a row says, with its
  words in place of their numbers;
- `mac`: HMAC-SHA-256, under a secret of the database, of all that and the mac of the seal before.

Who can write to the whole database can read that secret too, and seal anew what they have altered.
They cannot give the old mac of the newest seal, its head, to whoever has kept that elsewhere.
"""

from __future__ import annotations

import hmac
import logging
import threading
from dataclasses import dataclass
from hashlib import sha256
from struct import iter_unpack
from typing import TYPE_CHECKING, Any, Literal

from ehr_server import clock
from ehr_server.errors import Refusal
from ehr_server.hashing import hash64
from ehr_server.store.access_log import moment
from ehr_server.store.connect import Collision

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from ehr_server.store.connect import Connection, Store

KEY = "access_seal_key"  # the name of the store's secret
BEGINNING = -(2**63)
ROWS_MAX = 20_000  # of a seal, about: rows of one transaction are never parted

log = logging.getLogger(__name__)

_EVERY_S = 2
_LOCK = hash64("access_seal")
_COLUMNS = "number, at, tx_from, tx_to, count, digest, marks, mac"
_ANY = """
select exists (select from access_log where tx >= coalesce(
    (select tx_to from access_seal order by number desc limit 1), %s))
"""
_END = f"""
select max(tx), count(*) from (
    select tx from access_log where tx >= %s and tx < %s order by tx limit {ROWS_MAX}) next_rows
"""
# One text for a row; the lengths tell where each part ends, and a word that is gone has none.
_SUM = """
select count(*)::integer,
    coalesce(sha256(string_agg(h, '' order by tx, id, comp)), sha256('')),
    coalesce(string_agg(int8send(comp) || int8send(id) || substr(h, 1, 8), ''
        order by tx, id, comp), '')
from (
    select a.comp, a.id, a.tx, sha256(convert_to(concat_ws('|', a.comp, a.id, a.tx, a.status,
        a.count, length(a.request), coalesce(length(d.word), -1), length(a.what), a.request,
        d.word, a.what, w.word), 'UTF8')) as h
    from access_log a left join access_word w on w.id = a.who
        left join access_word d on d.id = a.deed
    where a.tx >= %s and a.tx < %s) hashed
"""

Kind = Literal["altered", "removed", "added", "seal", "head"]


@dataclass(frozen=True, slots=True)
class Seal:
    """As `store.tables` has it."""

    number: int
    at: datetime
    tx_from: int
    tx_to: int
    count: int
    digest: bytes
    marks: bytes
    mac: bytes


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong: a row (its comp, its id and when that says it was) or a seal (its number)."""

    kind: Kind
    seal: int
    comp: int = 0
    id: int = 0

    @property
    def told(self) -> str:
        """In words, for a person."""
        if self.kind == "seal":
            return f"seal {self.seal} was altered, or one before it was removed"
        if self.kind == "head":
            return "the head is not that of any seal: the log was sealed anew, or its end removed"
        when = clock.instant(moment(self.id))
        return f"row {self.comp} {self.id} of {when} was {self.kind} (seal {self.seal})"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was looked at: how many seals and sealed rows, and the rows that no seal covers yet."""

    faults: tuple[Fault, ...]
    seals: int
    rows: int
    unsealed: int
    oldest_unsealed: datetime | None


def seal(store: Store) -> int:
    """Seal what is complete and has no seal yet; how many rows that were. 0 too where another
    process is at it."""
    key, sealed = store.secret(KEY), 0
    with store.connection() as connection:
        if connection.execute(_ANY, (BEGINNING,)).fetchone() != (True,):
            return 0
    while True:
        with store.transaction() as opened:
            connection = opened.connection
            locked = connection.execute("select pg_try_advisory_xact_lock(%s)", (_LOCK,))
            count = _sealed(store, connection, key) if locked.fetchone() == (True,) else 0
        sealed += count
        if count < ROWS_MAX:
            return sealed


def keep_sealed(store: Store, stop: threading.Event) -> None:
    """Seal every other second until told to stop. What is left then is sealed by another process,
    or by the next that starts."""
    while not stop.wait(_EVERY_S):
        try:
            seal(store)
        except (Refusal, Collision) as error:  # the next time will do
            log.warning("the access log could not be sealed: %s", type(error).__name__)


def head(store: Store) -> Seal | None:
    """The newest seal, whose mac is to be kept elsewhere."""
    with store.connection() as connection:
        return _newest(connection)


def verify(store: Store, since: datetime | None = None, kept: str = "") -> Verdict:
    """Look at each seal, and at the rows of those that were made since then; at all by default.
    `kept`: the head, in hexadecimal, of a seal that must still be there."""
    key, faults = store.secret(KEY), list[Fault]()
    before: Seal | None = None
    seals = rows = 0
    is_there = not kept
    with store.connection() as connection:
        for one in _seals(connection):
            if not _follows(one, before, key):
                faults.append(Fault("seal", one.number))
            if since is None or one.at >= since:
                faults += _compared(connection, one)
                rows += one.count
            is_there = is_there or one.mac.hex() == kept.strip().lower()
            before, seals = one, seals + 1
        if not is_there:
            faults.append(Fault("head", before.number if before else 0))
        end = before.tx_to if before else BEGINNING
        left = connection.execute("select count(*), min(id) from access_log where tx >= %s", (end,))
        unsealed, first = left.fetchone() or (0, None)
    oldest = None if first is None else moment(first)
    return Verdict(tuple(faults), seals, rows, unsealed, oldest)


def _sealed(store: Store, connection: Connection, key: bytes) -> int:
    """Make the next seal, if there is anything to seal."""
    newest = _newest(connection)
    begin = newest.tx_to if newest else BEGINNING
    horizon = store.horizon(connection)
    last, count = connection.execute(_END, (begin, horizon)).fetchone() or (None, 0)
    if last is None:
        return 0
    end = last + 1
    rows, digest, marks = _summed(connection, begin, end)
    number = newest.number + 1 if newest else 1
    made = Seal(number, clock.now(), begin, end, rows, digest, marks, b"")
    mac = _mac(made, newest.mac if newest else b"", key)
    connection.execute(
        f"insert into access_seal ({_COLUMNS}) values (%s, %s, %s, %s, %s, %s, %s, %s)",
        (number, made.at, begin, end, rows, digest, marks, mac),
    )
    return int(count)


def _follows(one: Seal, before: Seal | None, key: bytes) -> bool:
    number, begin, mac = (
        (before.number, before.tx_to, before.mac) if before else (0, BEGINNING, b"")
    )
    is_next = one.number == number + 1 and one.tx_from == begin
    return is_next and hmac.compare_digest(one.mac, _mac(one, mac, key))


def _compared(connection: Connection, one: Seal) -> Iterator[Fault]:
    """How the rows differ from those that were sealed."""
    _, digest, marks = _summed(connection, one.tx_from, one.tx_to)
    if digest == one.digest and marks == one.marks:
        return
    then = {(comp, id_): mark for comp, id_, mark in iter_unpack(">qq8s", one.marks)}
    now = {(comp, id_): mark for comp, id_, mark in iter_unpack(">qq8s", marks)}
    by_kind: list[tuple[Kind, set[tuple[int, int]]]] = [
        ("altered", {at for at in then.keys() & now.keys() if then[at] != now[at]}),
        ("removed", then.keys() - now.keys()),
        ("added", now.keys() - then.keys()),
    ]
    for kind, places in by_kind:
        for comp, id_ in sorted(places, key=lambda place: place[1]):
            yield Fault(kind, one.number, comp, id_)


def _summed(connection: Connection, begin: int, end: int) -> tuple[int, bytes, bytes]:
    row = connection.execute(_SUM, (begin, end)).fetchone()
    rows, digest, marks = row or (0, b"", b"")
    return rows, bytes(digest), bytes(marks)


def _mac(one: Seal, before: bytes, key: bytes) -> bytes:
    told = f"{one.number} {clock.instant(one.at)} {one.tx_from} {one.tx_to} {one.count} ".encode()
    content = told + one.digest + sha256(one.marks).digest() + before
    return hmac.new(key, content, "sha256").digest()


def _newest(connection: Connection) -> Seal | None:
    rows = connection.execute(f"select {_COLUMNS} from access_seal order by number desc limit 1")
    row = rows.fetchone()
    return None if row is None else _seal(row)


def _seals(connection: Connection) -> Iterator[Seal]:
    """All in order, some at a time."""
    last = 0
    while True:
        rows = connection.execute(
            f"select {_COLUMNS} from access_seal where number > %s order by number limit 200",
            (last,),
        ).fetchall()
        yield from map(_seal, rows)
        if not rows:
            return
        last = rows[-1][0]


def _seal(row: tuple[Any, ...]) -> Seal:
    number, at, begin, end, count, digest, marks, mac = row
    return Seal(number, at, begin, end, count, bytes(digest), bytes(marks), bytes(mac))
