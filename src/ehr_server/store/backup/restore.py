"""Reading a backup into a database: all of it, or none.

One transaction empties the tables, fills them without their indexes, builds those, and compares
what came with the manifest. Numbers of transactions go on above those of the record, whatever
PostgreSQL counts here: `setting.tx_offset` (`store.connect`).
"""

from __future__ import annotations

import hashlib
import logging
from typing import IO, TYPE_CHECKING, Any

import psycopg
from psycopg import sql

from ehr_server.store import export
from ehr_server.store.backup.archive import BackupError, Counted, Head, Manifest, Reader
from ehr_server.store.backup.backup import COLUMNS, Told, connected, counted
from ehr_server.store.connect import APPLICATION
from ehr_server.store.migrate import migrate, newest, revision

if TYPE_CHECKING:
    from collections.abc import Iterator

    Connection = psycopg.Connection[Any]

log = logging.getLogger(__name__)

_IN_USE = """
select count(*) from pg_stat_activity
where datname = current_database() and application_name = %s and pid <> pg_backend_pid()
"""
# Of a partitioned table the index as a whole, not those of its parts.
_INDEXES = """
select i.indrelid::regclass::text, i.indexrelid::regclass::text, con.conname::text,
    coalesce(pg_get_constraintdef(con.oid), pg_get_indexdef(i.indexrelid))
from pg_index i join pg_class c on c.oid = i.indrelid
left join pg_constraint con on con.conindid = i.indexrelid and con.contype in ('p', 'u')
where c.relnamespace = current_schema()::regnamespace and c.relname <> 'migration'
  and c.relkind in ('r', 'p')
  and not exists (select from pg_inherits where inhrelid = i.indexrelid)
"""
# Without the parts of tables and the sequences of columns, which go with theirs.
_OURS = """
select c.relname::text, c.relkind::text from pg_class c
where c.relkind in ('r', 'p', 'S') and c.relnamespace = current_schema()::regnamespace
  and not c.relispartition
  and not exists (
    select from pg_depend where objid = c.oid and deptype = 'i' and refobjid <> c.oid)
"""
# The next number drawn is above every one in the record.
_OFFSET = """
update setting set value = greatest(0, %s - pg_current_xact_id()::text::bigint)::text
where name = 'tx_offset'
"""
# Whoever worked on a job is gone, and the files of exports are not part of a backup.
_JOBS = """
delete from job_part where job in (select id from job where kind = %(export)s);
update job set state = 'failed', lease = null
where kind = %(export)s and state in ('queued', 'running', 'done');
update job set state = 'queued', lease = null where state = 'running'
"""


def restore(url: str, file: IO[bytes], told: Told, *, replace: bool = False) -> Manifest:
    """Put the record of a backup into the database; `told` hears how many more bytes were read.

    Raises `BackupError` when the file is damaged, when the database holds a record that is not to
    be replaced, or is in use. The database is left as it was, but for one that is to be replaced
    and has another schema than the backup: its tables are made anew first, and are empty then.
    """
    reader = Reader(file)
    if reader.head.revision > newest():
        raise BackupError(
            f"The backup has the schema {reader.head.revision}, this version knows {newest()}; "
            "restore it with the version that made it, or a newer one"
        )
    with connected(url) as connection:
        _refuse_use(connection)
        if not replace and _holds_record(connection):
            raise BackupError("The database holds a record; --replace gives it up for the backup")
        _bring_to(url, connection, reader.head.revision)
        with connection.transaction():
            _fill(connection, reader, told)
        for table in reader.head.columns:
            connection.execute(sql.SQL("analyze {}").format(sql.Identifier(table)))
    migrate(url)
    return reader.manifest


def _refuse_use(connection: Connection) -> None:
    (count,) = connection.execute(_IN_USE, (APPLICATION,)).fetchone() or (0,)
    if count:
        raise BackupError("A server uses the database; stop it first")


def _holds_record(connection: Connection) -> bool:
    if revision(connection) is None:
        return False
    found = connection.execute(
        "select exists (select from version) or exists (select from rid)"
        " or exists (select from package)"
    ).fetchone()
    return found == (True,)


def _bring_to(url: str, connection: Connection, wanted: str) -> None:
    """The schema of the backup: made anew where there is another, which holds nothing that is to
    be kept."""
    there = revision(connection)
    if there == wanted:
        return
    if there is not None:
        for name, kind in connection.execute(_OURS).fetchall():
            what = "sequence" if kind == "S" else "table"
            connection.execute(
                sql.SQL(f"drop {what} if exists {{}} cascade").format(sql.Identifier(name))
            )
    migrate(url, wanted)


def _fill(connection: Connection, reader: Reader, told: Told) -> None:
    head = reader.head
    there = dict(connection.execute(COLUMNS).fetchall())
    if there.keys() != head.columns.keys():
        odd = ", ".join(sorted(there.keys() ^ head.columns.keys()))
        raise BackupError(f"The tables of the database and the backup differ: {odd}")
    names = sql.SQL(", ").join(map(sql.Identifier, there))
    connection.execute(sql.SQL("truncate {}").format(names))
    indexes = connection.execute(_INDEXES).fetchall()
    for table, index, constraint, _ in indexes:
        drop = f'alter table {table} drop constraint "{constraint}"'
        connection.execute((drop if constraint else f"drop index {index}").encode())
    read: dict[str, Counted] = {}
    for table, blocks in reader.tables():
        read[table] = _copy(connection, table, head.columns[table], counted(blocks, told))
    _compare(read, reader.manifest)
    for table, _, constraint, definition in indexes:
        add = f'alter table {table} add constraint "{constraint}" {definition}'
        # The definition of the index of a partitioned table is of that alone.
        made = add if constraint else definition.replace(" ON ONLY ", " ON ", 1)
        connection.execute(made.encode())
    _go_on(connection, head, reader.manifest)


def _copy(
    connection: Connection, table: str, columns: list[str], blocks: Iterator[bytes]
) -> Counted:
    # Frozen: the rows are seen by all at once, and no vacuum needs to come by for them.
    statement = sql.SQL("copy {} ({}) from stdin (format binary, freeze)").format(
        sql.Identifier(table), sql.SQL(", ").join(map(sql.Identifier, columns))
    )
    digest = hashlib.sha256()
    size = 0
    with connection.cursor() as cursor:
        with cursor.copy(statement) as copy:
            for block in blocks:
                copy.write(block)
                digest.update(block)
                size += len(block)
        return Counted(cursor.rowcount, size, digest.hexdigest())


def _compare(read: dict[str, Counted], manifest: Manifest) -> None:
    wrong = [name for name, counted in manifest.tables.items() if read.get(name) != counted]
    if wrong or read.keys() != manifest.tables.keys():
        raise BackupError(f"The file is damaged: {', '.join(wrong)} is not what was backed up")


def _go_on(connection: Connection, head: Head, manifest: Manifest) -> None:
    """From here on numbers are given above those of the record, and jobs are taken up anew."""
    for name, value in manifest.sequences.items():
        connection.execute("select setval(%s::regclass, %s)", (f'"{name}"', value))
    connection.execute(_OFFSET, (head.tx_end,))
    for statement in _JOBS.split(";"):
        connection.execute(statement.encode(), {"export": export.KIND})
    log.info("restore: transactions go on above %d", head.tx_end)
