"""One load, sent and measured: the row of the table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness import client
from harness.figures import Figures, figures
from harness.processes import usage

if TYPE_CHECKING:
    from harness.client import Load
    from harness.server import Server


def measured(server: Server, what: str, load: Load, each: tuple[int, str]) -> Figures:
    """`each` tells how many of what a request does: `(400, "resources")`. Raises `Refused`."""
    before = usage(server.pid)
    outcome = client.good(load)
    count, unit = each
    counted = (len(outcome.latencies) * count, unit)
    return figures(what, load.connections, counted, outcome, usage(server.pid) - before)
