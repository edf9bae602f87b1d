"""ehr-server doctor: all is well on a healthy installation, and each fault is found."""

import os
import subprocess
import sys
from pathlib import Path

import psycopg

from ehr_server.fhir import json
from ehr_server.store.embedded import embedded
from ehr_server.store.migrate import migrate


def _doctor(*options: str, **variables: str) -> tuple[int, dict[str, str]]:
    """The exit code, and the level of each thing that was said."""
    command = [sys.executable, "-m", "ehr_server", "doctor", "--json", "--port=0", *options]
    done = subprocess.run(
        command, capture_output=True, text=True, env=os.environ | variables, check=False
    )
    said = json.read_own(done.stdout)
    assert all(one["mend"] for one in said if one["level"] != "ok"), "each fault has a mend"
    return done.returncode, {one["what"]: one["level"] for one in said}


def _faults(said: dict[str, str]) -> str:
    return "; ".join(what for what, level in said.items() if level != "ok")


def test_a_healthy_installation_is_all_ok_stopped_and_running(folder: Path) -> None:
    data = folder / "data"
    with embedded(data) as url:
        migrate(url)
        status, said = _doctor(f"--data-dir={data}")
        assert (status, _faults(said)) == (0, "")
        assert "the embedded PostgreSQL runs" in said
    status, said = _doctor(f"--data-dir={data}")
    assert (status, _faults(said)) == (0, "")
    assert "the embedded PostgreSQL starts" in said


def test_a_database_that_is_away(folder: Path) -> None:
    status, said = _doctor("--database-url=postgresql://secret:word@127.0.0.1:1/x",
                           f"--data-dir={folder}")  # fmt: skip
    assert status == 1
    assert "cannot be reached" in _faults(said)
    assert "word" not in str(said)


def test_a_schema_behind_and_ahead(database: str, folder: Path) -> None:
    for revision, told in (("0001", "this program needs"), ("9999", "newer than")):
        with psycopg.connect(database) as connection:
            connection.execute("update migration set version_num = %s", (revision,))
        status, said = _doctor(f"--database-url={database}", f"--data-dir={folder}")
        assert status == 1
        assert told in _faults(said)


def test_jobs_settings_and_the_data_folder(database: str, folder: Path) -> None:
    with psycopg.connect(database) as connection:
        connection.execute(
            "insert into job (id, kind, state, request, progress, attempts, made)"
            " values ('x', 'export', 'failed', '{}', '{}', 6, now())"
        )
    file = folder / "file"
    file.touch()
    status, said = _doctor(f"--database-url={database}", f"--data-dir={file}", EHR_PORRT="1")
    assert status == 1
    for told in ("EHR_PORRT", "is no folder", "1 background jobs have failed"):
        assert told in _faults(said)
