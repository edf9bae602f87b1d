"""The door to the database: a pool of connections, and what every process keeps of it."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from threading import Lock, local
from typing import Any

import psycopg
from psycopg.adapt import Dumper, PyFormat
from psycopg_pool import ConnectionPool

from ehr_server import clock
from ehr_server.errors import Refusal
from ehr_server.hashing import Tokens
from ehr_server.setting import SettingError
from ehr_server.store import keyring, trouble
from ehr_server.store.access_log import Ids
from ehr_server.store.contents import Contents

_COLLISIONS = (
    psycopg.errors.DeadlockDetected,
    psycopg.errors.SerializationFailure,
    psycopg.errors.UniqueViolation,
)

Connection = psycopg.Connection[tuple[Any, ...]]

APPLICATION = "ehr-server"  # what connections of a server are told by
_KEYS = 1024  # the increment of the sequence record_key: keys are handed out in blocks
_SECRET_BYTES = 32
_GENERATION = "select value::integer from setting where name = 'search_generation'"
_SENDER = "select id from sender where name = %s"
_SENDERS_MAX = 10_000  # remembered
# The transaction's own number, if it has one, is not among those that a snapshot lists.
_RUNNING = (
    "select pg_current_xact_id_if_assigned()::text::bigint, pg_snapshot_xmax(s)::text::bigint,"
    " array(select x::text::bigint from pg_snapshot_xip(s) x) from pg_current_snapshot() s"
)
_ELSEWHERE = (
    "select backend_xid::text::bigint from pg_stat_get_activity(null)"
    " where backend_xid is not null and (datid <> (select oid from pg_database"
    "  where datname = current_database()) or backend_type = 'autovacuum worker')"
)
_XID_MASK = 2**32 - 1  # an activity shows a number without its epoch
_THERE_S = 3
_LOCKS_MAX = 512  # a transaction that needs more takes one lock on everything
EVERYTHING = 0  # that one
_WAIT_S = 5  # for a connection: longer than a restart of PostgreSQL
_AWAY_S = 0.25  # while PostgreSQL is known to be away
_RECONNECT_S = 2  # after which it is
_IDLE_IN_TRANSACTION_MS = 60_000  # a process that stands still lets go of its locks
# A machine that vanished is noticed within a minute; a socket in a file system is not affected.
_LINK = {
    "connect_timeout": 5,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 60_000,
}


class Collision(Exception):
    """Two transactions wanted the same rows and this one lost: run it again."""


class Store:
    """One process's hold on the database. Open it once, close it at the end.

    Without `waits_for_disk` a commit may be lost with the machine, until one of another store that
    does wait comes after it: both are in one log. Only for what can be done again.
    """

    def __init__(
        self,
        url: str,
        *,
        pool_size: int = 8,
        statement_timeout_ms: int = 30_000,
        room: trouble.Room | None = None,
        waits_for_disk: bool = True,
        encryption_key: str | None = None,
    ) -> None:
        self.url = url
        self.encryption_key = encryption_key  # for a further store of the same database
        self.keyring: keyring.Keyring | None = None
        self._room = room
        self._is_away = False
        self._pool = ConnectionPool(
            url,
            kwargs={
                "autocommit": True,
                "options": f"-c statement_timeout={statement_timeout_ms} -c timezone=UTC"
                f" -c idle_in_transaction_session_timeout={_IDLE_IN_TRANSACTION_MS}"
                f"{'' if waits_for_disk else ' -c synchronous_commit=off'}",
                "application_name": APPLICATION,
                **_LINK,
            },
            min_size=min(2, pool_size),
            max_size=pool_size,
            reconnect_timeout=_RECONNECT_S,
            check=self._check,
            configure=self._configure,
            reconnect_failed=lambda _: self._seen_away(True),
            open=True,
        )
        self._lock = Lock()
        self._pinned = local()
        self._keys: Iterator[int] = iter(())
        self._senders: dict[str, int] = {}
        self._secrets: dict[str, bytes] = {}
        self._log_ids: Ids | None = None
        self.kinds_known: set[int] = set()  # of findings, those whose commit was seen
        self.words_known: set[tuple[int, str]] = set()  # so too of `store.words`
        with self.connection() as connection:
            self.keyring = self._opened(keyring.read(connection))
            dictionaries = connection.execute("select id, dict from zdict").fetchall()
            self.contents = Contents(dict(dictionaries), self.keyring)
            offset = connection.execute("select value from setting where name = 'tx_offset'")
            self.tx_offset = int(_one(offset)[0])

    def close(self) -> None:
        """Give out no more connections; those in use end when they are returned."""
        with suppress(psycopg.Error, Refusal):  # the count of what was sealed is not worth more
            self._renew_keys()
        self._pool.close()

    def is_there(self) -> bool:
        """Whether the database takes connections: asked by one of its own, since a pool that is
        busy is no sign of an absent database."""
        try:
            psycopg.connect(self.url, connect_timeout=_THERE_S).close()
        except psycopg.OperationalError:
            return False
        return True

    def pooled(self) -> dict[str, int]:
        """The connections of this process: how many are open and idle, how many wait for one."""
        now = self._pool.get_stats()
        names = (("open", "pool_size"), ("idle", "pool_available"), ("wanted", "requests_waiting"))
        return {name: now.get(key, 0) for name, key in names}

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
            with self._pool.connection(_AWAY_S if self._is_away else _WAIT_S) as connection:
                try:
                    yield connection
                except psycopg.errors.ReadOnlySqlTransaction:
                    connection.close()  # the next one may be to the server that took over
                    raise
        except _COLLISIONS as error:
            raise Collision from error
        except psycopg.Error as error:
            refusal = trouble.told(error)
            if refusal is None:
                raise
            raise refusal from error

    def _check(self, connection: Connection) -> None:
        """Before a connection is given out. One that is lost tells of all others, as a rule."""
        try:
            trouble.check_alive(connection)
        except psycopg.Error:
            self._pool.drain()
            raise

    def _configure(self, connection: Connection) -> None:
        self._seen_away(False)
        connection.adapters.register_dumper(Tokens, _dumper(self))

    def _seen_away(self, is_away: bool) -> None:
        self._is_away = is_away

    def tokens(self, hashes: Sequence[int]) -> list[int]:
        """The tokens of a row as its index is to hold them."""
        return [*hashes] if self.keyring is None else self.keyring.written(hashes)

    def _opened(self, rows: list[keyring.DataKey]) -> keyring.Keyring | None:
        try:
            trusted = keyring.check(rows, self.encryption_key)
            return keyring.Keyring(trusted, rows, self._data_keys) if trusted else None
        except SettingError:
            self._pool.close()
            raise

    def _data_keys(self) -> list[keyring.DataKey]:
        # By a connection apart: whoever needs them holds one of the pool, and all might.
        with psycopg.connect(self.url) as connection:
            return keyring.read(connection)

    def _renew_keys(self) -> None:
        if self.keyring is not None:
            with self.connection() as connection:
                self.keyring.renew(connection)

    @contextmanager
    def transaction(
        self, locks: Sequence[int] = (), *, is_small: bool = False
    ) -> Iterator["Transaction"]:
        """A transaction that commits at the end.

        The advisory `locks` are taken first, so whatever is read afterwards is seen as those left
        it who held them before. What this thread reads meanwhile is read in the transaction. A
        small one stays in pipeline mode, where COPY is not possible: two round trips in place of
        five, which halves what a single create costs.

        Raises `Unavailable` when the disk is full, `Uncertain` when the connection is lost while
        it commits.
        """
        if getattr(self._pinned, "connection", None) is not None:
            raise RuntimeError("a transaction inside another would commit the outer one")
        if self._room is not None:
            self._room.check()
        if self.keyring is not None and self.keyring.is_due():
            self._renew_keys()
        with self.connection() as connection:
            is_committing = False
            try:
                with piped(connection) if is_small else nullcontext():
                    opened = self._begin(connection, locks)
                    self._pinned.connection = connection
                    yield opened
                    is_committing = True
                    connection.execute("commit")
            except BaseException as error:
                if is_committing and trouble.is_lost(connection, error):
                    raise trouble.uncertain() from error
                with suppress(psycopg.Error):  # a lost connection has nothing to roll back
                    connection.rollback()
                raise
            finally:
                self._pinned.connection = None

    def _begin(self, connection: Connection, locks: Sequence[int]) -> "Transaction":
        with piped(connection):
            connection.execute("begin")
            # Before the number is drawn, so that who waits for a lock has the later one, and the
            # versions of a resource have theirs in order.
            _lock(connection, sorted(set(locks)))
            number = connection.execute("select pg_current_xact_id()::text::bigint")
            # After the number is drawn: `store.search_parameters` relies on it.
            generation = connection.execute(_GENERATION)
        return Transaction(connection, number, generation, self.tx_offset)

    def horizon(self, connection: Connection) -> int:
        """Rows with `tx` below this number are complete: no transaction in flight adds another.

        The one seam where type and system history, `_since` and export stop. PostgreSQL numbers
        the transactions of all its databases together; those of others, and autovacuum's, write
        nothing here and are not waited for. What cannot be told whose it is, is.
        """
        own, end, running = _one(connection.execute(_RUNNING))
        if running:
            # After the snapshot: a number that is seen elsewhere now was there then.
            others = {int(row[0]) for row in connection.execute(_ELSEWHERE)}
            running = [number for number in running if number & _XID_MASK not in others]
        return int(min(number for number in (own, end, *running) if number)) + self.tx_offset

    def drawn(self, connection: Connection) -> int:
        """A number drawn now: once the horizon has come to it, all has ended that had one before.

        No snapshot tells as much: its xmax is one past what has ended, not past what has begun.
        """
        number = connection.execute("select pg_current_xact_id()::text::bigint")
        return int(_one(number)[0]) + self.tx_offset

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

    def secret(self, name: str) -> bytes:
        """32 random bytes that all processes share, made when first asked for."""
        found = self._secrets.get(name)
        if found is None:
            with self.connection() as connection:
                connection.execute(
                    "insert into setting (name, value) values (%s, %s) on conflict do nothing",
                    (name, clock.random_bytes(_SECRET_BYTES).hex()),
                )
                row = connection.execute("select value from setting where name = %s", (name,))
                found = self._secrets[name] = bytes.fromhex(_one(row)[0])
        return found

    def log_id(self) -> int:
        """The id of new rows of the access log (`store.access_log`)."""
        if self._log_ids is None:
            with self.connection() as connection:
                row = connection.execute("select nextval('access_writer')")
                self._log_ids = Ids(int(_one(row)[0]))
        return self._log_ids.next()

    def sender_number(self, name: str) -> int:
        """The number that stands for a sender in `version.sender`."""
        number = self._senders.get(name)
        if number is not None:
            return number
        with self.connection() as connection:
            row = connection.execute(_SENDER, (name,)).fetchone()
            if row is None:
                # Not remembered: the transaction that this is part of may be refused yet.
                insert = "insert into sender (name) values (%s) on conflict do nothing"
                connection.execute(insert, (name,))
                return int(_one(connection.execute(_SENDER, (name,)))[0])
        if len(self._senders) > _SENDERS_MAX:
            self._senders.clear()
        self._senders[name] = int(row[0])
        return self._senders[name]


class Transaction:
    """An open transaction."""

    def __init__(
        self,
        connection: Connection,
        number: psycopg.Cursor[tuple[Any, ...]],
        generation: psycopg.Cursor[tuple[Any, ...]],
        offset: int,
    ) -> None:
        self.connection = connection
        self._number = number
        self._generation = generation
        self._offset = offset
        self._tx: int | None = None

    @property
    def tx(self) -> int:
        """The number its rows carry: grows with time, survives dump and restore.

        No cached_property: until Python 3.12 one lock of the class is held while the number is
        waited for, and whoever has the advisory lock that is waited for would wait for that.
        """
        if self._tx is None:
            self._tx = int(_one(self._number)[0]) + self._offset
        return self._tx

    @property
    def generation(self) -> int:
        """The generation of what can be searched by, once this transaction had its number: what it
        writes must be found by all of that (`store.search_parameters`). To be read once."""
        row = self._generation.fetchone()
        return 0 if row is None else int(row[0])


def asked(connection: Connection, hashes: Sequence[int]) -> list[tuple[int, int]]:
    """Each of the hashes with what the search index may hold it as; for statements that a plain
    `Tokens` does not serve. The connection must be a store's."""
    dumper: Any = connection.adapters.get_dumper(Tokens, PyFormat.AUTO)
    found: list[tuple[int, int]] = dumper.asked(hashes)
    return found


def _dumper(store: Store) -> type[Dumper]:
    """How connections of the store send `Tokens`: as an array of all that the index may hold."""

    class TokensDumper(Dumper):
        oid = psycopg.adapters.types["int8"].array_oid

        @staticmethod
        def asked(hashes: Sequence[int]) -> list[tuple[int, int]]:
            if store.keyring is None:
                return list(zip(hashes, hashes, strict=True))
            return store.keyring.asked(hashes)

        def dump(self, obj: Tokens) -> bytes:
            told = obj if store.keyring is None else [one for _, one in self.asked(obj)]
            return b"{%b}" % ",".join(map(str, told)).encode()

    return TokensDumper


@contextmanager
def snapshot(connection: Connection) -> Iterator[None]:
    """Everything read in the block is of one moment; part of a transaction that is open already."""
    if is_in_transaction(connection):
        yield
        return
    connection.execute("begin isolation level repeatable read, read only")
    try:
        yield
    finally:
        connection.execute("rollback")


@contextmanager
def by_index(connection: Connection) -> Iterator[None]:
    """No table is read from end to end in the block, where the statement can do otherwise; part of
    a transaction. For what is known to be rare, which the planner takes for common: of hundreds of
    identifiers asked for together it expects some of each."""
    connection.execute("set local enable_seqscan = off")
    yield
    connection.execute("set local enable_seqscan = on")


def is_in_transaction(connection: Connection) -> bool:
    """Whether what runs now is part of a transaction that others began."""
    return connection.info.transaction_status != psycopg.pq.TransactionStatus.IDLE


def piped(connection: Connection) -> AbstractContextManager[object]:
    """Pipeline mode for the block; a block inside another is part of it, without a round trip."""
    is_piped = connection.pgconn.pipeline_status != psycopg.pq.PipelineStatus.OFF
    return nullcontext() if is_piped else connection.pipeline()


def _lock(connection: Connection, locks: Sequence[int]) -> None:
    """Sorted, or two transactions could wait for each other. Held until the transaction ends."""
    if not locks:
        return
    if len(locks) > _LOCKS_MAX:
        connection.execute("select pg_advisory_xact_lock(%s)", (EVERYTHING,))
        return
    connection.execute(
        "select pg_advisory_xact_lock_shared(%s), count(pg_advisory_xact_lock(h))"
        " from (select h from unnest(%s::bigint[]) h order by h) sorted",
        (EVERYTHING, list(locks)),
    )


def _one(cursor: psycopg.Cursor[tuple[Any, ...]]) -> tuple[Any, ...]:
    row = cursor.fetchone()
    if row is None:
        raise LookupError("a row was expected")
    return row
