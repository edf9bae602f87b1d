"""A small file system in memory, and ballast that fills it. Only root can mount one, and not in
every container: elsewhere the test is left out."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def small_disk(folder: Path, size: str = "400m") -> Iterator[Path]:
    """A file system of so many bytes, in the folder."""
    place = folder / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size},mode=755", "none", str(place)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("only root can mount a small file system, and not in every container")
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


def fill(disk: Path, leave_bytes: int) -> Path:
    """Ballast that leaves so many bytes free, or as little as can be."""
    ballast = disk / "ballast"
    with ballast.open("ab") as file:
        while (free := shutil.disk_usage(disk).free) > leave_bytes:
            try:
                file.write(b"\0" * min(1 << 20, free - leave_bytes))
                file.flush()
            except OSError:
                break
    return ballast
