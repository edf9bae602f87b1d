"""An import when the disk is full: it stops and says so, and goes on when there is room."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from api.importing import record, written
from api.patients import resident
from full_disk import fill, small_disk
from servers import serving

_ROOM_MB = 64


@pytest.fixture
def disk(folder: Path) -> Iterator[Path]:
    """A file system of 400 MB."""
    with small_disk(folder) as place:
        yield place


def test_the_command_stops_and_goes_on(disk: Path, tmp_path: Path) -> None:
    options = ("--data-dir", str(disk / "data"), "--disk-free-mb-min", str(_ROOM_MB))
    file = written(tmp_path / "a.ndjson", *record(range(400)))

    def run(path: Path) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "ehr_server", "import", *options, str(path)]
        return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)

    assert run(written(tmp_path / "b.ndjson", resident(id="first"))).returncode == 0
    ballast = fill(disk, (_ROOM_MB - 8) << 20)
    stopped = run(file)
    assert stopped.returncode == 1
    assert "The disk of the database is full" in stopped.stderr
    assert "Traceback" not in stopped.stderr
    ballast.unlink()
    done = run(file)
    assert done.stdout == "1600 resources stored, 0 left as they were, 0 lines refused\n"
    with (
        serving(None, *options) as server,
        httpx.Client(base_url=server.fhir, timeout=30) as client,
    ):
        assert client.get("/Observation?_summary=count").json()["total"] == 1_200
