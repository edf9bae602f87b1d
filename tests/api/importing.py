"""Files to import, the command that imports them, and what a database holds afterwards."""

import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import psycopg

from api.patients import resident, weight
from ehr_server.fhir import json

Run = subprocess.CompletedProcess[str]


def imported(database: str, *arguments: str | Path) -> Run:
    """`ehr-server import`, in this database."""
    return finished(started(database, *arguments))


def started(database: str, *arguments: str | Path) -> subprocess.Popen[str]:
    """The same, while it runs."""
    command = [sys.executable, "-m", "ehr_server", "import", "--database-url", database]
    return subprocess.Popen(
        [*command, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finished(process: subprocess.Popen[str]) -> Run:
    out, err = process.communicate(timeout=120)
    assert "Traceback" not in err, err
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def written(path: Path, *lines: dict[str, Any] | bytes) -> Path:
    """A file of these lines."""
    path.write_bytes(
        b"".join((one if isinstance(one, bytes) else json.write(one)) + b"\n" for one in lines)
    )
    return path


def record(people: Iterable[int], weights: int = 3) -> list[dict[str, Any]]:
    """Patients, each with so many weights, which come first."""
    lines: list[dict[str, Any]] = []
    for number in people:
        lines += [
            weight(f"Patient/p{number}", f"{50 + at}.5") | {"id": f"w{number}-{at}"}
            for at in range(weights)
        ]
        lines.append(resident(f"001174{number:06}", id=f"p{number}"))
    return lines


def held(database: str) -> list[tuple[Any, ...]]:
    """Every version that there is, without what differs from run to run."""
    with psycopg.connect(database) as connection:
        return connection.execute(
            "select r.type, r.id, r.live, v.ver, v.deed from version v"
            " join rid r on r.type = v.type and r.comp = v.comp and r.key = v.key"
            " order by 1, 2, 4"
        ).fetchall()


def counts(database: str) -> tuple[int, int]:
    """Versions, and how many index rows."""
    with psycopg.connect(database) as connection:
        row = connection.execute(
            "select (select count(*) from version), (select count(*) from resource)"
        ).fetchone()
    assert row is not None
    return row
