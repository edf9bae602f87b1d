"""What one way of moving many resources took."""

from __future__ import annotations

from dataclasses import dataclass

HEADINGS = (
    "what", "resources/s", "MB/s", "s", "server µs", "PostgreSQL µs", "memory MB",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Moved:
    """`resources` in `size` bytes of NDJSON, in so many seconds; processor time in seconds, of our
    processes and of PostgreSQL's; the most memory that ours held together, 0 where they held none.
    """

    what: str
    resources: int
    size: int
    wall_s: float
    server_s: float
    postgresql_s: float
    memory: int = 0

    @property
    def rate(self) -> float:
        return self.resources / self.wall_s

    def row(self) -> tuple[str, ...]:
        """Processor time is µs of a resource."""
        costs = (self.server_s, self.postgresql_s)
        return (
            self.what,
            f"{self.rate:,.0f}",
            f"{self.size / 1e6 / self.wall_s:,.0f}",
            f"{self.wall_s:,.1f}",
            *(f"{cost / self.resources * 1e6:,.1f}" for cost in costs),
            f"{self.memory / 1e6:,.0f}" if self.memory else "",
        )


@dataclass(frozen=True, slots=True)
class Goal:
    """What is wanted: at least so much of it, or with `is_most` no more; and what was found."""

    what: str
    wanted: float
    found: float
    unit: str
    is_most: bool = False

    @property
    def is_met(self) -> bool:
        return self.found <= self.wanted if self.is_most else self.found >= self.wanted

    def row(self) -> tuple[str, ...]:
        return (
            self.what,
            f"{'≤' if self.is_most else '≥'} {self.wanted:,.0f} {self.unit}",
            f"{self.found:,.0f} {self.unit}",
            "met" if self.is_met else "**not met**",
        )
