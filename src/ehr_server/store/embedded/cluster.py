"""The cluster: made once by initdb, its configuration written anew at each start."""

import getpass
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from ehr_server.store.embedded.owner import EmbeddedError, make_folder
from ehr_server.store.embedded.place import Place
from ehr_server.store.embedded.programs import MAJOR

_MIB = 1024 * 1024
_ROLE = "ehr"  # the role and the database of the server; superuser is `postgres`
_FIRST_STATEMENTS = f"""\
create role {_ROLE} login
grant pg_monitor, pg_checkpoint to {_ROLE}
create database {_ROLE} owner {_ROLE}
"""


def make_cluster(place: Place) -> None:
    """Make the cluster unless it is there. A start that was cut short leaves nothing in its way."""
    _check_major(place)
    for left in place.folder.glob("making-*"):
        shutil.rmtree(left) if left.is_dir() else left.unlink()
    if place.cluster.exists():
        return
    making = make_folder(Path(tempfile.mkdtemp(prefix="making-", dir=place.folder)), place.owner)
    _run(
        place,
        *("initdb", "--pgdata", str(making), "--username=postgres", "--auth=peer"),
        *("--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"),
        *("--data-checksums", "--no-instructions"),
    )
    _run(place, "postgres", "--single", "-D", str(making), "postgres", statements=_FIRST_STATEMENTS)
    making.rename(place.cluster)
    folder = os.open(place.folder, os.O_RDONLY)
    os.fsync(folder)
    os.close(folder)


def write_configuration(place: Place) -> None:
    """Write the files that PostgreSQL is configured by."""
    users = {place.owner.name, getpass.getuser()}
    files = {
        "postgresql.conf": _postgresql_conf(place),
        "pg_hba.conf": f"local all,replication all peer map={_ROLE}\n",
        "pg_ident.conf": "".join(
            f'{_ROLE} "{user}" {role}\n' for user in sorted(users) for role in (_ROLE, "postgres")
        ),
    }
    for name, text in files.items():
        place.write(name, text)


def _check_major(place: Place) -> None:
    others = [f.name for f in place.folder.iterdir() if f.name.isdigit() and f.name != str(MAJOR)]
    if others and not place.cluster.exists():
        raise EmbeddedError(
            f"The data in {place.folder} were made by PostgreSQL {others[0]}, this version brings "
            f"{MAJOR}. Save them by pg_dump while the version that made them runs, then start this "
            "one on an empty --data-dir and load them by pg_restore."
        )


def _run(place: Place, program: str, *arguments: str, statements: str = "") -> None:
    owner = place.owner
    done = subprocess.run(
        [place.programs / program, *arguments],
        input=statements,
        text=True,
        capture_output=True,
        check=False,
        cwd="/",
        env={"LC_ALL": "C", "TZ": "UTC", "PATH": "/usr/bin:/bin"},
        user=owner.uid if owner.is_other else None,
        group=owner.gid if owner.is_other else None,
        extra_groups=[] if owner.is_other else None,
    )
    if done.returncode or (statements and "ERROR" in done.stderr):
        raise EmbeddedError(f"{program} failed: {done.stderr.strip() or done.stdout.strip()}")


def _postgresql_conf(place: Place) -> str:
    memory = _memory()
    wal = _bounded(shutil.disk_usage(place.folder).free // 20, 256 * _MIB, 4096 * _MIB)
    values = {
        "data_directory": f"'{_escaped(place.cluster)}'",
        "hba_file": f"'{_escaped(place.folder / 'pg_hba.conf')}'",
        "ident_file": f"'{_escaped(place.folder / 'pg_ident.conf')}'",
        "listen_addresses": "''",
        "unix_socket_directories": f"'{_escaped(place.socket)}'",
        "unix_socket_permissions": "0700",
        "cluster_name": f"'{place.name}'",
        "max_connections": "200",
        "max_locks_per_transaction": "256",
        "shared_buffers": f"{_bounded(memory // 8, 64 * _MIB, 4096 * _MIB) // _MIB}MB",
        "effective_cache_size": f"{memory // 2 // _MIB}MB",
        "work_mem": f"{_bounded(memory // 512, 4 * _MIB, 32 * _MIB) // _MIB}MB",
        "maintenance_work_mem": f"{_bounded(memory // 32, 64 * _MIB, 512 * _MIB) // _MIB}MB",
        "max_wal_size": f"{wal // _MIB}MB",
        "min_wal_size": "256MB",
        "wal_compression": "pglz",
        "checkpoint_timeout": "15min",
        "jit": "off",
        "client_connection_check_interval": "10s",
        "max_logical_replication_workers": "0",
        "max_parallel_workers_per_gather": "0",
        "random_page_cost": "1.1",
        "autovacuum_naptime": "15s",
        "autovacuum_vacuum_scale_factor": "0.02",
        "autovacuum_vacuum_insert_scale_factor": "0.05",
        "autovacuum_analyze_scale_factor": "0.02",
        "autovacuum_vacuum_cost_limit": "2000",
        "timezone": "'UTC'",
        "log_timezone": "'UTC'",
        # Errors, their details and statements quote the data of persons: the log has none.
        "log_min_messages": "log",
        "log_error_verbosity": "terse",
        "log_min_error_statement": "panic",
        "log_parameter_max_length": "0",
        "log_checkpoints": "off",
        "log_line_prefix": "'%m %p '",
    }
    lines = (f"{name} = {value}\n" for name, value in values.items())
    return (
        "# Written anew at each start. Your own settings go into own.conf beside this file.\n"
        + "".join(lines)
        + "include = 'own.conf'\n"
    )


def _memory() -> int:
    """Bytes of memory this machine or container has."""
    limits = [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")]
    for name in ("memory.max", "memory/memory.limit_in_bytes"):
        path = Path("/sys/fs/cgroup") / name
        if path.is_file() and (text := path.read_text().strip()).isdigit():
            limits.append(int(text))
    return min(limits)


def _bounded(value: int, least: int, most: int) -> int:
    return max(least, min(value, most))


def _escaped(path: Path) -> str:
    return str(path).replace("'", "''")
