"""`ehr-server backup` beside `pg_basebackup`, in one run, on the same data.

Both read the database that the server serves, and write files on the same disk, brought to it
(fsync). pg_basebackup copies the files of all databases of the cluster, of which the record is
nearly all, into a tar file without compression, with its manifest; `backup` copies the rows, hashes
and compresses them. The rate of either is the size of the record's database in bytes
(pg_database_size, indexes included) by the seconds it took; the quicker of three runs, in turns.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

from ehr_server.store.backup.backup import backup, new_file
from ehr_server.store.embedded import running
from ehr_server.store.embedded.owner import Owner
from ehr_server.store.embedded.programs import find_programs

if TYPE_CHECKING:
    from harness.server import Server

_RUNS = 3


@dataclass(frozen=True, slots=True)
class Rates:
    """Bytes of the database a second, and the sizes of what was written."""

    database_bytes: int
    backup_s: float
    backup_bytes: int
    pg_basebackup_s: float
    pg_basebackup_bytes: int

    def facts(self) -> dict[str, float]:
        """As a report lists them."""
        size = self.database_bytes / 1e6
        return {
            "database, MB": size,
            "backup, MB/s": size / self.backup_s,
            "pg_basebackup, MB/s": size / self.pg_basebackup_s,
            "backup, % of pg_basebackup's rate": 100 * self.pg_basebackup_s / self.backup_s,
            "backup's file, MB": self.backup_bytes / 1e6,
            "pg_basebackup's files, MB": self.pg_basebackup_bytes / 1e6,
        }


def rates(server: Server) -> Rates:
    """Measured on what the server holds now."""
    url = running(server.data_dir)
    if url is None:
        raise RuntimeError("the server's PostgreSQL does not run")
    server.rows("checkpoint")
    (size,) = server.rows("select pg_database_size(current_database())")[0]
    ours, theirs = [], []
    with tempfile.TemporaryDirectory(prefix="ehr-bench-") as folder:
        for number in range(_RUNS):
            ours.append(_backup(url, Path(folder) / f"{number}"))
            theirs.append(_pg_basebackup(url, Path(folder) / f"cluster-{number}"))
    return Rates(int(str(size)), *min(ours), *min(theirs))


def _backup(url: str, path: Path) -> tuple[float, int]:
    start = time.perf_counter()
    with new_file(path) as file:
        backup(url, file, lambda _: None)
    return time.perf_counter() - start, path.stat().st_size


def _pg_basebackup(url: str, folder: Path) -> tuple[float, int]:
    (host,) = parse_qs(urlsplit(url).query)["host"]
    user = pwd.getpwuid(os.geteuid())
    program = find_programs(Owner(user.pw_uid, user.pw_gid, user.pw_name)) / "pg_basebackup"
    asked = ("--format=tar", "--checkpoint=fast", "--wal-method=stream", f"--pgdata={folder}")
    start = time.perf_counter()
    subprocess.run([program, f"--host={host}", "--username=postgres", *asked], check=True)
    took = time.perf_counter() - start
    size = sum(path.stat().st_size for path in folder.iterdir())
    shutil.rmtree(folder)
    return took, size
