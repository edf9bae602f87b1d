"""Figures of one measurement, and how they are printed."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.client import Outcome
    from harness.processes import Usage

HEADINGS = (
    "what", "conn.", "rate", "p50 ms", "p95 ms", "p99 ms",
    "server µs", "PostgreSQL µs", "client µs",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Figures:
    """One row: `count` is what the rate and the processor time are divided by.

    Latencies are those of one request, in milliseconds; processor time is µs per `unit`.
    """

    what: str
    connections: int
    unit: str
    count: int
    wall_s: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    server_us: float
    postgresql_us: float
    client_us: float

    @property
    def rate(self) -> float:
        return self.count / self.wall_s

    def row(self) -> tuple[str, ...]:
        times = (self.p50_ms, self.p95_ms, self.p99_ms)
        costs = (self.server_us, self.postgresql_us, self.client_us)
        return (
            self.what,
            str(self.connections),
            f"{self.rate:,.0f} {self.unit}/s",
            *(f"{time:,.1f}" for time in times),
            *(f"{cost:,.0f}" for cost in costs),
        )


def figures(
    what: str, connections: int, counted: tuple[int, str], outcome: Outcome, used: Usage
) -> Figures:
    """The row of an outcome; `counted` is what was done and its unit: `(31568, "resources")`."""
    count, unit = counted
    p50, p95, p99 = (percentile(outcome.latencies, share) * 1000 for share in (0.5, 0.95, 0.99))
    return Figures(
        what, connections, unit, count, outcome.wall_s, p50, p95, p99,
        used.server_s / count * 1e6, used.postgresql_s / count * 1e6, outcome.cpu_s / count * 1e6,
    )  # fmt: skip


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least that share of all is not above."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A markdown table, the first column to the left and the others to the right."""
    lines = [headings, ["---", *("---:" for _ in headings[1:])], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
