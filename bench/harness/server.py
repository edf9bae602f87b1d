"""A real server for the time of a measurement: `ehr-server serve` on an empty data folder."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import psycopg

from ehr_server.store.embedded import running

if TYPE_CHECKING:
    from collections.abc import Iterator

_SIZES = """
select coalesce(parent.relname, own.relname), pg_total_relation_size(own.oid)::bigint
from pg_class own
left join pg_inherits on pg_inherits.inhrelid = own.oid
left join pg_class parent on parent.oid = pg_inherits.inhparent
where own.relkind = 'r' and own.relnamespace = 'public'::regnamespace
"""


@dataclass(frozen=True, slots=True)
class Server:
    """A server that takes requests: its address, the process to measure, its data folder."""

    host: str
    port: int
    pid: int
    data_dir: Path

    @property
    def address(self) -> tuple[str, int]:
        return self.host, self.port

    @property
    def name(self) -> str:
        """Host and port as they stand in a request."""
        return f"{self.host}:{self.port}"

    def rows(self, sql: str) -> list[tuple[object, ...]]:
        """What a statement finds in the server's database."""
        url = running(self.data_dir)
        if url is None:
            raise RuntimeError("the server's PostgreSQL does not run")
        with psycopg.connect(url, autocommit=True) as connection:
            found = connection.execute(sql.encode())
            return found.fetchall() if found.description else []

    def table_bytes(self) -> dict[str, int]:
        """Bytes on disk of each table with its partitions, indexes and TOAST."""
        sizes: dict[str, int] = {}
        for name, size in self.rows(_SIZES):
            sizes[str(name)] = sizes.get(str(name), 0) + int(str(size))
        return sizes


@contextmanager
def serving(*options: str, keep: Path | None = None) -> Iterator[Server]:
    """A server with the embedded PostgreSQL for as long as the block: in the folder to keep, or in
    one for this time."""
    with folder_of(keep) as folder, (folder / "log").open("w+") as log:
        data_dir = folder / "data"
        command = [sys.executable, "-m", "ehr_server", "serve", "--port=0"]
        process = subprocess.Popen(
            [*command, f"--data-dir={data_dir}", *options],
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
        try:
            url = _ready(process)
            if url is None:
                log.seek(0)
                raise RuntimeError(f"the server did not start:\n{log.read()[-4000:]}")
            place = urlsplit(url)
            yield Server(str(place.hostname), int(place.port or 80), process.pid, data_dir)
        finally:
            process.terminate()
            process.wait(60)
            if process.stdout:
                process.stdout.close()


@contextmanager
def folder_of(keep: Path | None) -> Iterator[Path]:
    """The one to keep, or one for this time, where PostgreSQL's own user gets to: it does not run
    as root."""
    if keep is not None:
        keep.mkdir(parents=True, exist_ok=True)
        yield keep
        return
    folder = Path(tempfile.mkdtemp(prefix="ehr-bench-"))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _ready(process: subprocess.Popen[str]) -> str | None:
    for line in process.stdout or ():
        if line.startswith("ready "):
            return line.split()[1]
    return None
