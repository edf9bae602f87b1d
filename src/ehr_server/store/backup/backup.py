"""Writing a backup: every table as of one moment, while others read and write.

All is read in one transaction (repeatable read), which nobody waits for; only a change of the
schema waits for it.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any

import psycopg
from psycopg import sql
from psycopg.pq import ExecStatus

from ehr_server import __version__, clock
from ehr_server.store.backup.archive import (
    BLOCK_BYTES,
    BackupError,
    Head,
    Manifest,
    Writer,
    writing,
)
from ehr_server.store.migrate import revision

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from psycopg.pq.abc import PGconn

Told = Callable[[int], None]

# The tables that hold rows themselves; what the migrations keep of themselves is in the head.
COLUMNS = """
select c.relname::text, array_agg(a.attname::text order by a.attnum)
from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
where c.relkind = 'r' and c.relnamespace = current_schema()::regnamespace
  and c.relname <> 'migration'
group by c.relname order by c.relname
"""
_SETTINGS = (
    "set statement_timeout = 0; set idle_in_transaction_session_timeout = 0;"
    " set lock_timeout = 0; set synchronize_seqscans = off"
)
_FACTS = """
select pg_snapshot_xmax(pg_current_snapshot())::text::bigint
    + (select value::bigint from setting where name = 'tx_offset'),
    current_setting('server_version')
"""
# After the snapshot: above every number that a row in it has.
_SEQUENCES = """
select sequencename::text, last_value from pg_sequences
where schemaname = current_schema() and last_value is not null
"""


def backup(url: str, file: IO[bytes], told: Told) -> Manifest:
    """Write the record to a file that is open; `told` hears how many more bytes were read.

    Raises `BackupError` when there is no record to be read.
    """
    with connected(url) as connection:
        connection.execute("begin isolation level repeatable read, read only")
        head = _head(connection)
        with writing(file, head) as writer:
            for table in head.columns:
                _write(connection, writer, table, head.columns[table], told)
            found = connection.execute(_SEQUENCES).fetchall()
            writer.manifest.sequences.update(dict(found))
        connection.execute("rollback")
    return writer.manifest


@contextmanager
def new_file(path: Path) -> Iterator[IO[bytes]]:
    """A file for nobody but this user, which has its name once it is whole and on the disk.

    Raises `BackupError` if there is one of that name: a backup is never written over another.
    """
    if path.exists():
        raise BackupError(f"{path} is there already; give another name")
    part = path.with_name(path.name + ".part")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(file.fileno(), 0o600)
            yield file
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


@contextmanager
def connected(url: str) -> Iterator[psycopg.Connection[Any]]:
    """A connection without limits of time, in autocommit. Raises `BackupError` when it breaks."""
    try:
        with psycopg.connect(url, autocommit=True, application_name="ehr-backup") as connection:
            connection.execute(_SETTINGS)
            yield connection
    except psycopg.OperationalError as error:
        reason = " ".join(str(error).split())
        raise BackupError(f"The database cannot be reached, or was lost: {reason}") from error


def counted(blocks: Iterator[bytes], told: Told) -> Iterator[bytes]:
    """The same blocks; `told` hears of the size of each once it is dealt with."""
    for block in blocks:
        yield block
        told(len(block))


def _head(connection: psycopg.Connection[Any]) -> Head:
    schema = revision(connection)
    if schema is None:
        raise BackupError("The database holds no record")
    tx_end, postgresql = connection.execute(_FACTS).fetchone() or (0, "")
    return Head(
        revision=schema,
        tx_end=tx_end,
        made=clock.instant(clock.now()),
        program=__version__,
        postgresql=postgresql,
        columns=dict(connection.execute(COLUMNS).fetchall()),
    )


def _write(
    connection: psycopg.Connection[Any],
    writer: Writer,
    table: str,
    columns: list[str],
    told: Told,
) -> None:
    statement = sql.SQL("copy {} ({}) to stdout (format binary)").format(
        sql.Identifier(table), sql.SQL(", ").join(map(sql.Identifier, columns))
    )
    rows: list[int] = []
    blocks = _blocks(connection.pgconn, statement.as_bytes(connection), rows)
    writer.add(table, counted(_ahead(blocks), told), rows)


def _ahead(blocks: Iterator[bytes]) -> Iterator[bytes]:
    """The same blocks; the next one is read while one is hashed and compressed."""
    with ThreadPoolExecutor(1) as reader:
        coming = reader.submit(next, blocks, None)
        while (block := coming.result()) is not None:
            coming = reader.submit(next, blocks, None)
            yield block


def _blocks(link: PGconn, statement: bytes, rows: list[int]) -> Iterator[bytes]:
    """What the statement copies, a row at a time, gathered into blocks; then the number of rows.

    By libpq itself: a `psycopg.Copy` costs 1.4 µs a row more, which is half of all that it takes.
    """
    started = link.exec_(statement)
    if started.status != ExecStatus.COPY_OUT:
        raise psycopg.errors.error_from_result(started)
    gathered: list[bytes | memoryview] = []
    size = 0
    while True:
        count, row = link.get_copy_data(0)
        if count < 0:
            break
        gathered.append(row)
        size += count
        if size >= BLOCK_BYTES:
            yield b"".join(gathered)
            gathered.clear()
            size = 0
    yield b"".join(gathered)
    while (ended := link.get_result()) is not None:
        if ended.status != ExecStatus.COMMAND_OK:
            raise psycopg.errors.error_from_result(ended)
        rows.append(ended.command_tuples or 0)
