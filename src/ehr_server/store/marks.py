"""Instants tied to transaction numbers, so that "since then" misses nothing.

`meta.lastUpdated` is the time a write began; writes end in another order. A mark `(at, tx)` says:
when it was `at`, everything below `tx` was complete. What changed since an instant is therefore
what has a number from the newest mark not after it onwards: perhaps a little more, never less.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from ehr_server.store.connect import Connection, Store

BEGINNING = -(2**63)  # below every transaction number


def leave(store: Store, connection: Connection, at: datetime) -> None:
    """A mark at `at`, which must not be later than now."""
    connection.execute(
        "insert into mark (at, tx) values (%s, %s) on conflict do nothing",
        (at, store.horizon(connection)),
    )


def leave_if_written(store: Store, connection: Connection, at: datetime) -> None:
    """As `leave`, if there is a version that the last mark did not see."""
    horizon = store.horizon(connection)
    connection.execute(
        "insert into mark (at, tx) select %s, %s where exists"
        " (select from version where tx < %s and tx >="
        "  coalesce((select tx from mark order by at desc, tx desc limit 1), %s))"
        " on conflict do nothing",
        (at, horizon, horizon, BEGINNING),
    )


def since(connection: Connection, instant: datetime) -> int:
    """The number from which on everything is that changed after the instant."""
    row = connection.execute(
        "select tx from mark where at <= %s order by at desc, tx limit 1", (instant,)
    ).fetchone()
    return BEGINNING if row is None else int(row[0])
