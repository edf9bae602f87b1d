"""All measurements of one town."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

from harness.processes import usage
from identity.lookups import lookups
from identity.merging import merging
from identity.people import lists
from identity.report import Measured
from identity.town import town

if TYPE_CHECKING:
    from pathlib import Path

    from harness.server import Server


def measure(size: int, keep: Path | None, is_quick: bool = False) -> Measured:
    """Loads a town of so many residents, or takes the kept one, and asks."""
    seconds, bundles = (0.5, 1) if is_quick else (10.0, 8)
    with town(size, keep) as asked:
        with asked.served() as server:
            server.rows("analyze")
            count = int(str(server.rows("select count(*) from resource")[0][0]))
            disk = sum(server.table_bytes().values())
            postgresql = str(server.rows("show server_version")[0][0])
            idle = _idle_us(server, seconds)
            found = lookups(asked, seconds)
        print(f"{size:,} residents: look-ups measured", file=sys.stderr)
        # Thousands of people come at once below: to look for each among all others would take
        # longer than what is measured, and fall into whichever row comes then.
        with asked.served("--duplicates=off"):
            merged = merging(asked, seconds / 5)
            listed = lists(asked, bundles)
            asked.look_over()
        return Measured(
            size, count, disk, postgresql, asked.loaded, idle, found, listed, merged
        )  # fmt: skip


def _idle_us(server: Server, seconds: float) -> float:
    """Processor time of a second in which nobody asks."""
    before = usage(server.pid)
    time.sleep(seconds)
    used = usage(server.pid) - before
    return (used.server_s + used.postgresql_s) / seconds * 1e6
