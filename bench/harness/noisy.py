"""What one client's flood does to another: with limits, without, and with nobody else there.

Two clients, told apart by the address that a trusted proxy says. The quiet one asks some times a
second, each when it is due; the noisy one over sixteen connections, as fast as it is answered.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from harness import client, inputs
from harness.client import Load, Outcome
from harness.figures import percentile, table
from harness.server import Server, serving

if TYPE_CHECKING:
    from collections.abc import Sequence

_CONNECTIONS = 16
_A_SECOND = 40
_QUIET_CONNECTIONS = 8
_LIMITS = ("--rate-per-client=200", "--concurrent-per-client=32")  # as where callers are asked for
_RESIDENTS = 60
HEADINGS = ("the noisy client", "its answers/s", "of these 429", "p50 ms", "p95 ms", "p99 ms")


@dataclass(frozen=True, slots=True)
class Row:
    """How the quiet client fared while the noisy one did `what`."""

    what: str
    answers_per_s: float
    turned_away: float
    p50_ms: float
    p95_ms: float
    p99_ms: float

    def cells(self) -> tuple[str, ...]:
        times = (self.p50_ms, self.p95_ms, self.p99_ms)
        away = f"{self.turned_away:.0%}" if self.answers_per_s else ""
        return self.what, f"{self.answers_per_s:,.0f}", away, *(f"{time:.1f}" for time in times)


def measure(seconds: float) -> list[Row]:
    """The rows, by turns on two servers with the same data."""
    with serving("--trusted-proxies=127.0.0.1", *_LIMITS) as limited:
        asked = _loaded(limited)
        rows = [_row("is not there", limited, asked, (0, seconds))]
        rows.append(_row("floods, and is limited", limited, asked, (_CONNECTIONS, seconds)))
        rows.append(_row("is not there, again", limited, asked, (0, seconds)))
    with serving("--trusted-proxies=127.0.0.1") as open_:
        asked = _loaded(open_)
        rows.append(_row("floods, without limits", open_, asked, (_CONNECTIONS, seconds)))
    return rows


def section(rows: Sequence[Row]) -> str:
    """The rows as a section of the report, and what the goal says of them."""
    quiet, noisy, again = rows[:3]
    alone = max(quiet.p99_ms, again.p99_ms)
    goal = "met" if noisy.p99_ms <= 2 * alone else "not met"
    text = table(HEADINGS, [row.cells() for row in rows])
    told = f"{noisy.p99_ms:.1f} ms beside a flood, {alone:.1f} alone"
    return f"### One client beside a noisy one\n\n{text}\n\np99 at most doubles: {goal} ({told})."


def figures(rows: Sequence[Row]) -> list[dict[str, Any]]:
    return [asdict(row) for row in rows]


def _loaded(server: Server) -> list[bytes]:
    source, stored = inputs.campaign(_RESIDENTS), inputs.Stored()
    sent = inputs.transactions(source.bundles, server.name)
    # From this machine itself, which no proxy speaks for; few at a time, so that none is refused.
    outcome = client.good(Load(server.address, sent, 1, keep=True))
    for number, bundle in enumerate(source.bundles):
        stored.learn(bundle, outcome.bodies[number])
    server.rows("analyze")
    return inputs.newest_searches(stored, server.name)


def _row(what: str, server: Server, asked: Sequence[bytes], noise: tuple[int, float]) -> Row:
    connections, seconds = noise
    count = int(_A_SECOND * seconds)
    quiet = _from("203.0.113.1", asked)
    sent = [quiet[number % len(quiet)] for number in range(count)]
    due = [number / _A_SECOND for number in range(count)]
    loads = [Load(server.address, sent, _QUIET_CONNECTIONS, due=due)]
    if connections:
        loads.append(Load(server.address, _from("203.0.113.2", asked), connections, seconds))
    outcome, *others = client.at_once(loads)
    client.accepted(outcome)
    return _figures(what, outcome, others[0] if others else Outcome(wall_s=1))


def _from(address: str, requests: Sequence[bytes]) -> list[bytes]:
    """The requests as a proxy hands them on that was called from the address."""
    named = b"\r\nX-Forwarded-For: %s\r\n" % address.encode()
    return [one.replace(b"\r\n", named, 1) for one in requests]


def _figures(what: str, quiet: Outcome, noisy: Outcome) -> Row:
    answers = sum(noisy.statuses.values())
    times = (percentile(quiet.latencies, share) * 1000 for share in (0.5, 0.95, 0.99))
    away = noisy.statuses.get(429, 0) / answers if answers else 0.0
    return Row(what, answers / noisy.wall_s, away, *times)
