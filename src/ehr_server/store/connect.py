"""The door to the database: a pool of connections, and what every process keeps of it."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock, local
from typing import Any

import psycopg
from psycopg_pool import ConnectionPool, PoolTimeout, TooManyRequests

from ehr_server.errors import Unavailable
from ehr_server.store.contents import Contents

_COLLISIONS = (
    psycopg.errors.DeadlockDetected,
    psycopg.errors.SerializationFailure,
    psycopg.errors.UniqueViolation,
)

Connection = psycopg.Connection[tuple[Any, ...]]

_KEYS = 1024  # the increment of the sequence record_key: keys are handed out in blocks
_RETRY_AFTER = {"Retry-After": "1"}


class Collision(Exception):
    """Two transactions wanted the same rows and this one lost: run it again."""


class Store:
    """One process's hold on the database. Open it once, close it at the end."""

    def __init__(
        self, url: str, *, pool_size: int = 8, statement_timeout_ms: int = 30_000
    ) -> None:
        self.url = url
        self._pool = ConnectionPool(
            url,
            kwargs={
                "autocommit": True,
                "options": f"-c statement_timeout={statement_timeout_ms} -c timezone=UTC",
                "application_name": "ehr-server",
            },
            min_size=min(2, pool_size),
            max_size=pool_size,
            timeout=10,
            open=True,
        )
        self._lock = Lock()
        self._pinned = local()
        self._keys: Iterator[int] = iter(())
        self._senders: dict[str, int] = {}
        with self.connection() as connection:
            self.contents = Contents(
                dict(connection.execute("select id, dict from zdict").fetchall())
            )
            offset = connection.execute("select value from setting where name = 'tx_offset'")
            self._tx_offset = int(_one(offset)[0])

    def close(self) -> None:
        self._pool.close()

    @contextmanager
    def connection(self) -> Iterator[Connection]:
        """A connection of the pool, in autocommit; inside `transaction` that of the transaction.

        Raises `Unavailable` (503) when none is free in time, the database is away or a statement
        takes too long, and `Collision` when another transaction was first.
        """
        pinned: Connection | None = getattr(self._pinned, "connection", None)
        if pinned is not None:
            yield pinned
            return
        try:
            with self._pool.connection() as connection:
                yield connection
        except _COLLISIONS as error:
            raise Collision from error
        except psycopg.errors.QueryCanceled as error:
            raise Unavailable(
                "The query took too long and was stopped; narrow it with further criteria.",
                vi="Truy vấn quá lâu nên đã bị dừng; xin thu hẹp bằng thêm điều kiện.",
                headers=_RETRY_AFTER,
            ) from error
        except (PoolTimeout, TooManyRequests, psycopg.OperationalError) as error:
            raise Unavailable(
                "The database is not available at the moment; try again.",
                vi="Cơ sở dữ liệu tạm thời không sẵn sàng; xin thử lại.",
                headers=_RETRY_AFTER,
            ) from error

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """A transaction that commits at the end; what this thread reads meanwhile is read in it."""
        with self.connection() as connection, connection.transaction():
            self._pinned.connection = connection
            try:
                yield connection
            finally:
                self._pinned.connection = None

    def transaction_number(self, connection: Connection) -> int:
        """`tx` of the transaction now open: grows with time, and survives dump and restore."""
        row = _one(connection.execute("select pg_current_xact_id()::text::bigint"))
        return int(row[0]) + self._tx_offset

    def horizon(self, connection: Connection) -> int:
        """Rows with `tx` below this number are complete: no transaction in flight adds another.

        The one seam where type and system history, `_since` and export stop.
        """
        snapshot = "select pg_snapshot_xmin(pg_current_snapshot())::text::bigint"
        return int(_one(connection.execute(snapshot))[0]) + self._tx_offset

    def new_keys(self, count: int) -> list[int]:
        """Keys for new resources, growing with time, unique in the database."""
        with self._lock:
            keys = [key for _, key in zip(range(count), self._keys, strict=False)]
            while len(keys) < count:
                with self.connection() as connection:
                    first = int(_one(connection.execute("select nextval('record_key')"))[0])
                self._keys = iter(range(first, first + _KEYS))
                keys += [key for _, key in zip(range(count - len(keys)), self._keys, strict=False)]
            return keys

    def sender_number(self, name: str) -> int:
        """The number that stands for a sender in `version.sender`."""
        number = self._senders.get(name)
        if number is None:
            with self.connection() as connection:
                connection.execute(
                    "insert into sender (name) values (%s) on conflict do nothing", (name,)
                )
                found = connection.execute("select id from sender where name = %s", (name,))
                number = self._senders[name] = int(_one(found)[0])
        return number


def _one(cursor: psycopg.Cursor[tuple[Any, ...]]) -> tuple[Any, ...]:
    row = cursor.fetchone()
    if row is None:
        raise LookupError("a row was expected")
    return row
