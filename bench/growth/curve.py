"""Loads, measures, loads more: the curve from the smallest size to the largest."""

from __future__ import annotations

import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg

from growth.database import Databases, databases
from growth.measure import Time, points
from growth.report import Curve
from growth.truth import Truth, truth

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

PROCESSES = 2


def curve(sizes: Sequence[int], keep: Path | None = None, limit: Time | None = None) -> Curve:
    """The curve over so many residents each; `keep` is a folder for the databases."""
    found, known, before = Curve(), Truth(), 0
    with data_folder(keep) as folder, databases(folder) as kept:
        for size in sorted(sizes):
            known += truth(before, size, kept.seed, PROCESSES)
            before = size
            _measure(found, kept, size, known, limit or Time())
    return found


def _measure(found: Curve, kept: Databases, size: int, known: Truth, limit: Time) -> None:
    loaded = kept.grow(size, PROCESSES)
    if loaded is not None:
        found.loads[size] = loaded
        print(f"{size:,} residents loaded in {loaded.wall_s:,.0f} s", file=sys.stderr)
    with psycopg.connect(kept.url(size)) as connection:
        count = connection.execute("select count(*) from resource").fetchone()
        found.resources[size] = int(count[0]) if count else 0
        found.postgresql = str(connection.info.parameter_status("server_version"))
    found.points[size] = points(kept.url(size), known, limit, kept.seed)
    print(f"{size:,} residents measured", file=sys.stderr)


@contextmanager
def data_folder(keep: Path | None) -> Iterator[Path]:
    """The one to keep, or one for this time; PostgreSQL's own user must get there."""
    if keep is not None:
        keep.mkdir(parents=True, exist_ok=True)
        yield keep / "data"
        return
    with tempfile.TemporaryDirectory(prefix="ehr-bench-") as name:
        Path(name).chmod(0o755)
        yield Path(name) / "data"
