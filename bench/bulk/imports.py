"""Files come in: by `ehr-server import`; and the rows that it made, by COPY alone."""

from __future__ import annotations

import os
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
from psycopg.conninfo import make_conninfo

from bulk.command import ran
from bulk.figures import Moved
from bulk.record import url_of, write_files
from ehr_server.store.migrate import migrate
from growth.database import administering
from harness.processes import usage

if TYPE_CHECKING:
    from harness.server import Server

_ROWS = "bulk_rows"  # a database beside the server's
_BLOCK = 1 << 20
_TABLES = """
select relname::text from pg_class
where relkind = 'r' and relnamespace = 'public'::regnamespace order by pg_table_size(oid) desc
"""


def imported(server: Server, resources: int) -> Moved:
    """So many resources from NDJSON into the server's database, which is empty."""
    with tempfile.TemporaryDirectory(prefix="ehr-bench-") as folder:
        count, size = write_files(resources, Path(folder))
        made = ran(server, "import", folder)
    (found,) = server.rows("select count(*) from resource")[0]
    if found != count:
        raise RuntimeError(f"{count} resources were to be imported, {found} are there")
    return Moved(
        "ehr-server import", count, size, made.wall_s, made.own_s, made.postgresql_s, made.memory
    )


def rows_copied(server: Server, counted: tuple[int, int]) -> Moved:
    """All rows of the server's database by binary COPY into the same tables, empty and with their
    indexes, over as many connections as there are processors, the largest tables first."""
    url, admin = url_of(server), administering(url_of(server))
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute(f"drop database if exists {_ROWS}".encode())
        connection.execute(f"create database {_ROWS} owner ehr".encode())
    new = make_conninfo(url, dbname=_ROWS)
    try:
        migrate(new)
        with tempfile.TemporaryDirectory(prefix="ehr-bench-") as folder:
            files = [path for path in _tables(url, Path(folder)) if not _has_rows(new, path.name)]
            saved = [path for path in files if _has_rows(url, path.name)]
            for path in saved:
                _save(url, path)
            return _filled(server, new, saved, counted)
    finally:
        with psycopg.connect(admin, autocommit=True) as connection:
            connection.execute(f"drop database {_ROWS} with (force)".encode())


def _tables(url: str, folder: Path) -> list[Path]:
    """A file of the folder for each table, the largest first."""
    with psycopg.connect(url) as connection:
        return [folder / str(name) for (name,) in connection.execute(_TABLES.encode())]


def _has_rows(url: str, table: str) -> bool:
    with psycopg.connect(url) as connection:
        found = connection.execute(f"select from {table} limit 1".encode())
        return found.fetchone() is not None


def _filled(server: Server, url: str, files: list[Path], counted: tuple[int, int]) -> Moved:
    waiting, lock = iter(files), threading.Lock()

    def fill() -> None:
        with psycopg.connect(url, autocommit=True) as connection:
            while True:
                with lock:
                    path = next(waiting, None)
                if path is None:
                    return
                statement = f"copy {path.name} from stdin (format binary)".encode()
                with (
                    connection.cursor() as cursor,
                    cursor.copy(statement) as copy,
                    path.open("rb") as file,
                ):
                    while block := file.read(_BLOCK):
                        copy.write(block)

    before, cpu, start = usage(server.pid), time.process_time(), time.perf_counter()
    with ThreadPoolExecutor() as threads:
        for ended in [threads.submit(fill) for _ in os.sched_getaffinity(0)]:
            ended.result()
    wall_s, used = time.perf_counter() - start, usage(server.pid) - before
    own_s = time.process_time() - cpu
    return Moved("COPY of its rows", *counted, wall_s, own_s, used.postgresql_s)


def _save(url: str, path: Path) -> None:
    """The rows of the table that the file is named after."""
    statement = f"copy {path.name} to stdout (format binary)".encode()
    with (
        psycopg.connect(url) as connection,
        connection.cursor() as cursor,
        cursor.copy(statement) as copy,
        path.open("wb", _BLOCK) as file,
    ):
        for block in copy:
            file.write(block)
