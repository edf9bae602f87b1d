"""What the access log costs: the same work by a server that keeps one and by one that does not.

Both servers run side by side and are asked in turns, so that whatever else the machine does is
shared by both.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness import client, inputs
from harness.client import Load
from harness.figures import HEADINGS, Figures, table
from harness.measured import measured
from harness.server import serving

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.inputs import Source, Stored
    from harness.server import Server

_ROUNDS = 2
_CONNECTIONS = 8

_QUESTIONS: tuple[tuple[str, Callable[[Stored, str], list[bytes]]], ...] = (
    ("read by id", inputs.reads),
    ("Patient?identifier=", inputs.identifier_searches),
    ("Observation?patient=&code=&_sort=-date&_count=10", inputs.newest_searches),
    ("create one Observation", inputs.creates),
)


@dataclass(frozen=True, slots=True)
class _Side:
    """A server with the log or without, and what is known of what it stores."""

    name: str
    server: Server
    stored: Stored


def section(is_quick: bool) -> str:
    """The figures as a section of the report: each row off, then on, and what on takes more."""
    source, seconds = inputs.campaign(60 if is_quick else 200), 1.0 if is_quick else 2.0
    with serving("--audit=off") as off, serving("--audit=on") as on:
        sides = [_Side("off", off, inputs.Stored()), _Side("on", on, inputs.Stored())]
        rows = _ingested(sides, source)
        for what, requests in _QUESTIONS:
            rows += _asked(sides, what, requests, seconds)
    shown = [[*row.row(), _more(rows, at)] for at, row in enumerate(rows)]
    return f"### The access log\n\n{table([*HEADINGS, 'processor time'], shown)}"


def _ingested(sides: list[_Side], source: Source) -> list[Figures]:
    sizes, rows = source.sizes(), []
    for side in sides:
        _load(side, source, range(len(sizes) // 4))
    for side in sides:
        chosen = range(len(sizes) // 4, len(sizes))
        each = (round(sum(sizes[one] for one in chosen) / len(chosen)), "resources")
        asked = inputs.transactions([source.bundles[one] for one in chosen], side.server.name)
        load = Load(side.server.address, asked, 4)
        rows.append(measured(side.server, f"transaction, {side.name}", load, each))
    return rows


def _load(side: _Side, source: Source, chosen: range) -> None:
    bundles = [source.bundles[number] for number in chosen]
    sent = inputs.transactions(bundles, side.server.name)
    outcome = client.good(Load(side.server.address, sent, 2, keep=True))
    for number, body in outcome.bodies.items():
        side.stored.learn(bundles[number], body)


def _asked(
    sides: list[_Side], what: str, requests: Callable[[Stored, str], list[bytes]], seconds: float
) -> list[Figures]:
    """The better of several rounds of each side, in turns."""
    found: dict[str, list[Figures]] = {side.name: [] for side in sides}
    for _ in range(_ROUNDS):
        for side in sides:
            asked = requests(side.stored, side.server.name)
            load = Load(side.server.address, asked, _CONNECTIONS, seconds)
            found[side.name].append(
                measured(side.server, f"{what}, {side.name}", load, (1, "requests"))
            )
    return [min(several, key=_cost) for several in found.values()]


def _cost(row: Figures) -> float:
    return row.server_us + row.postgresql_us


def _more(rows: list[Figures], at: int) -> str:
    return "" if at % 2 == 0 else f"{_cost(rows[at]) / _cost(rows[at - 1]) - 1:+.1%}"
