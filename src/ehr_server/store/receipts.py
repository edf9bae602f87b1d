"""Receipts: what was stored under a key of its sender, told by the transaction that stored it.

A row of `receipt` is written with the versions it tells of, so that there is never one without the
other. It holds no content: for each entry the status, id and version, and who needs the content
reads it from `version`. A batch, whose entries are transactions of their own, leaves a row for each
of them, and at its end one for the whole in their place.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import psycopg

from ehr_server.definitions import definitions
from ehr_server.fhir import json
from ehr_server.hashing import hash64
from ehr_server.store.connect import EVERYTHING
from ehr_server.store.read import contents_of, places

if TYPE_CHECKING:
    from ehr_server.store.connect import Connection, Store

WHOLE = -1
SINGLE, TRANSACTION, BATCH = 0, 1, 2  # kinds of pushes
_COLUMNS = "r.key, s.name, r.entry, r.tx, r.at, r.kind, r.digest, r.types, r.enc, r.done"
_FROM = f"select {_COLUMNS} from receipt r join sender s on s.id = r.sender"


@dataclass(frozen=True, slots=True)
class Fact:
    """What became of one entry: `ver` 0 where there was nothing to delete."""

    status: int
    type: str
    id: str
    ver: int
    at: datetime


@dataclass(frozen=True, slots=True)
class Receipt:
    """What was stored under a key: a fact for each entry, None for one of a batch that is not.

    `entry` is WHOLE, or the number of an entry of a batch that did not come to its end.
    """

    key: str
    sender: str
    entry: int
    tx: int
    at: datetime
    kind: int
    digest: bytes
    facts: Sequence[Fact | None]


@dataclass(frozen=True, slots=True)
class Days:
    """Receipts written from `since` on and before `until`, of one sender or all (None)."""

    since: datetime
    until: datetime
    sender: str | None


def lock(key: str) -> int:
    """The lock that who stores something under the key holds until the commit."""
    return hash64("receipt", key)


def row(store: Store, sender: int, receipt: Receipt) -> tuple[Any, ...]:
    """The row to write with what it tells of (`store.write`)."""
    numbers = definitions().type_number
    types = [numbers[fact.type] if fact is not None else 0 for fact in receipt.facts]
    enc, done = store.contents.pack(json.write([_told(receipt, one) for one in receipt.facts]))
    about = (receipt.tx, receipt.at, receipt.kind, receipt.digest)
    return (receipt.key, sender, receipt.entry, *about, types, enc, done)


def find(
    store: Store, connection: Connection, key: str, sender: str | None = None
) -> list[Receipt]:
    """All there is under a key: of one sender, or of any (None)."""
    where = "r.key = %s and (%s::text is null or s.name = %s) order by s.name, r.entry"
    rows = connection.execute(f"{_FROM} where {where}", (key, sender, sender)).fetchall()
    return [_receipt(store, row) for row in rows]


def find_entry(
    store: Store, connection: Connection, receipt: tuple[str, str, int], digest: bytes
) -> list[Receipt]:
    """What there is for (key, sender, entry): its own, that of the whole, or one of another
    content."""
    key, sender, entry = receipt
    rows = connection.execute(
        f"{_FROM} where r.key = %s and s.name = %s"
        " and (r.entry = %s or r.entry = %s or r.digest <> %s) limit 3",
        (key, sender, entry, WHOLE, digest),
    ).fetchall()
    return [_receipt(store, row) for row in rows]


def of_days(
    store: Store, connection: Connection, days: Days, count: int, after: tuple[datetime, int] | None
) -> list[Receipt]:
    """The receipts of a time in the order they were written, from one of them (at, tx) on."""
    since, tx = after or (days.since, -(2**63))
    rows = connection.execute(
        f"select {_COLUMNS} from sender s cross join lateral (select * from receipt"
        "  where sender = s.id and at >= %s and at < %s and (at, tx) > (%s, %s)"
        "  order by at, tx limit %s) r"
        " where %s::text is null or s.name = %s order by r.at, r.tx limit %s",
        (since, days.until, since, tx, count, days.sender, days.sender, count),
    ).fetchall()
    return [_receipt(store, row) for row in rows]


def totals(connection: Connection, days: Days) -> tuple[int, dict[str, int]]:
    """How many pushes of a time came to their end, and how many entries are stored, by type."""
    rows = connection.execute(
        "select u.type, count(*) from sender s join receipt r on r.sender = s.id"
        " and r.at >= %s and r.at < %s cross join"
        f" unnest(case r.entry when {WHOLE} then r.types || -1::smallint else r.types end) u (type)"
        " where %s::text is null or s.name = %s group by u.type",
        (days.since, days.until, days.sender, days.sender),
    ).fetchall()
    counts = {int(number): int(count) for number, count in rows}
    names = definitions().type_name
    by_type = {names[number]: count for number, count in counts.items() if number > 0}
    return counts.get(-1, 0), dict(sorted(by_type.items()))


def contents(
    store: Store, connection: Connection, facts: Sequence[Fact]
) -> dict[tuple[str, str], bytes]:
    """The contents by (type, id), as far as they are there: not those of deletions, nor of what
    was purged."""
    versions = {(fact.type, fact.id): fact.ver for fact in facts if fact.status != 204}
    numbers = definitions().type_number
    lie = places(connection, versions)
    asked = [
        (place.comp, place.key, versions[identity], numbers[identity[0]])
        for identity, place in lie.items()
    ]
    found = contents_of(store, connection, asked)
    return {identity: found[place.key] for identity, place in lie.items() if place.key in found}


def settle(connection: Connection, whole: tuple[Any, ...], entries: Sequence[int]) -> None:
    """One row in place of those of the entries of a batch, and of the one there was."""
    connection.execute(
        "delete from receipt where key = %s and sender = %s and entry = any(%s)",
        (*whole[:2], [WHOLE, *entries]),
    )
    connection.execute(
        "insert into receipt (key, sender, entry, tx, at, kind, digest, types, enc, done)"
        " values (%s, %s, %s, %s, %s, %s, %s, %s::smallint[], %s, %s)",
        whole,
    )


def wait(connection: Connection, key: str, wait_ms: int) -> bool:
    """Wait until nothing is being stored under the key; False if that takes too long."""
    connection.execute("begin")
    try:
        connection.execute("select set_config('lock_timeout', %s, true)", (str(wait_ms),))
        # What a transaction of very many resources locks instead.
        connection.execute("select pg_advisory_xact_lock_shared(%s)", (EVERYTHING,))
        connection.execute("select pg_advisory_xact_lock_shared(%s)", (lock(key),))
    except psycopg.errors.LockNotAvailable:
        return False
    finally:
        connection.execute("rollback")
    return True


def forget(connection: Connection, before: datetime, most: int) -> int:
    """Remove receipts that are older, `most` of each sender at most; how many there were."""
    return connection.execute(
        "delete from receipt r using (select o.* from sender s cross join lateral"
        " (select key, sender, entry from receipt where sender = s.id and at < %s"
        "  order by at limit %s) o) old"
        " where r.key = old.key and r.sender = old.sender and r.entry = old.entry",
        (before, most),
    ).rowcount


def _told(receipt: Receipt, fact: Fact | None) -> list[Any] | None:
    """Status, id and version; the instant, in milliseconds, where it is not that of the receipt."""
    if fact is None:
        return None
    told: list[Any] = [fact.status, fact.id, fact.ver]
    return told if fact.at == receipt.at else [*told, round(fact.at.timestamp() * 1000)]


def _receipt(store: Store, row: Sequence[Any]) -> Receipt:
    names, at = definitions().type_name, row[4]
    facts: list[Fact | None] = []
    for number, told in zip(row[7], json.read_own(store.contents.unpack(*row[8:10])), strict=True):
        if told is None:
            facts.append(None)
            continue
        status, id_, ver = told[:3]
        when = datetime.fromtimestamp(told[3] / 1000, UTC) if len(told) > 3 else at
        facts.append(Fact(status, names[number], id_, ver, when))
    key, sender, entry, tx, _, kind, digest = row[:7]
    return Receipt(key, sender, entry, tx, at, kind, digest, facts)
