"""Look-ups on a schedule, alone and while checkups are written on another.

Both loops are open: a request is sent when it is due, and its latency counts from then.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from campaign import Plan
from campaign.checkup import checkup
from ehr_server.fhir import json
from harness import client
from harness.client import Load, Outcome, accepted, request
from harness.figures import percentile
from harness.processes import usage
from identity.town import SEED
from identity.ways import WAYS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from campaign import Resident
    from harness.server import Server
    from identity.town import Town
    from identity.ways import Way

LOOKUPS_PER_S, RESOURCES_PER_S = 150, 400
P50_MS, P99_MS = 2.0, 10.0  # goals, while checkups are written

_READERS, _WRITERS = 16, 8  # connections: so many may wait at the same time
_CHECKED = 200  # persons of whom it is looked whether each way finds them
_WARM = 40  # checkups
_RESOURCES = 50  # of a checkup, at the least on average: how many Bundles are made


@dataclass(frozen=True, slots=True)
class Times:
    """Of latencies, in milliseconds."""

    count: int
    p50_ms: float
    p95_ms: float
    p99_ms: float

    @classmethod
    def of(cls, latencies: Sequence[float]) -> Times:
        p50, p95, p99 = (percentile(latencies, share) * 1e3 for share in (0.5, 0.95, 0.99))
        return cls(len(latencies), p50, p95, p99)


@dataclass(frozen=True, slots=True)
class Found:
    """One way: of `asked` persons so many were `found`, alone and under writes how quickly.

    Processor time in µs of a look-up, from the time without writes.
    """

    way: str
    asked: int
    found: int
    alone: Times
    beside: Times
    server_us: float
    postgresql_us: float


@dataclass(frozen=True, slots=True)
class Lookups:
    """All ways; the pushes that went on beside them, each a checkup, and their resources."""

    ways: list[Found]
    alone: Times
    beside: Times
    pushes: Times
    pushed: int
    wall_s: float

    @property
    def is_met(self) -> bool:
        """Whether the goals are met by all look-ups together, while checkups were written."""
        return self.beside.p50_ms < P50_MS and self.beside.p99_ms < P99_MS


def lookups(town: Town, seconds: float) -> Lookups:
    """Every way for so many seconds alone, then for so many beside the pushes."""
    pushes = _Pushes(town, seconds * len(WAYS))
    client.good(pushes.warm())
    alone: list[Outcome] = []
    beside: list[tuple[Outcome, Outcome]] = []
    found = []
    for way in WAYS:
        checked = _checked(town, way)
        reading = _reading(town, way, seconds)
        before = usage(town.server.pid)
        alone.append(accepted(client.run(reading)))
        used = usage(town.server.pid) - before
        both = [accepted(one) for one in client.at_once([reading, pushes.load(seconds)])]
        beside.append((both[0], both[1]))
        count = len(alone[-1].latencies)
        found.append(
            Found(
                way.name, *checked, Times.of(alone[-1].latencies), Times.of(both[0].latencies),
                used.server_s / count * 1e6, used.postgresql_s / count * 1e6,
            )
        )  # fmt: skip
    return Lookups(
        found,
        Times.of([one for outcome in alone for one in outcome.latencies]),
        Times.of([one for reads, _ in beside for one in reads.latencies]),
        Times.of([one for _, writes in beside for one in writes.latencies]),
        pushes.resources,
        sum(writes.wall_s for _, writes in beside),
    )


def _reading(town: Town, way: Way, seconds: float) -> Load:
    chance = random.Random(SEED)
    count = max(1, round(LOOKUPS_PER_S * seconds))
    people = [chance.choice(town.known) for _ in range(count)]
    asked = [way.request(one, town.server.name) for one in people]
    due = [at / LOOKUPS_PER_S for at in range(count)]
    return Load(town.server.address, asked, _READERS, due=due)


def _checked(town: Town, way: Way) -> tuple[int, int]:
    """How many were asked for, and how many of these answers were right; warms every process."""
    people = town.known[:_CHECKED]
    asked = [way.request(one, town.server.name) for one in people]
    outcome = client.good(Load(town.server.address, asked, 4, keep=True))
    right = (_is_right(outcome.bodies[at], one, way) for at, one in enumerate(people))
    return len(people), sum(right)


def _is_right(body: bytes, resident: Resident, way: Way) -> bool:
    """Exactly the one who is asked for; of nobody's number, nobody."""
    people = [entry["resource"] for entry in json.read_own(body).get("entry", ())]
    if not way.is_known:
        return not people
    return len(people) == 1 and resident.cccd in {one["value"] for one in people[0]["identifier"]}


class _Pushes:
    """Checkups of known people and of strangers by turns, handed out in the order of time."""

    def __init__(self, town: Town, seconds: float) -> None:
        self.resources = 0
        self._server: Server = town.server
        count = _WARM + 2 + round(RESOURCES_PER_S * seconds / _RESOURCES)
        strangers = town.fresh(count // 2 + 1)
        known = random.Random(SEED).choices(town.known, k=count // 2 + 1)
        people = [one for two in zip(strangers, known, strict=True) for one in two]
        self._entries = _endless(people)

    def warm(self) -> Load:
        """A few before it counts: every process has seen every type by then."""
        entries = [next(self._entries) for _ in range(_WARM)]
        return Load(self._server.address, [self._request(one) for one in entries], _WRITERS)

    def load(self, seconds: float) -> Load:
        """The pushes of the next so many seconds, each due when those before it are paid for."""
        sent, due, at = [], [], 0.0
        while at < seconds:
            entries = next(self._entries)
            sent.append(self._request(entries))
            due.append(at)
            at += len(entries) / RESOURCES_PER_S
            self.resources += len(entries)
        return Load(self._server.address, sent, _WRITERS, due=due)

    def _request(self, entries: list[dict[str, Any]]) -> bytes:
        bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
        return request("POST", "/fhir", self._server.name, json.write(bundle))


def _endless(people: list[Resident]) -> Iterator[list[dict[str, Any]]]:
    """Checkups, of everyone once and once more in another year, should time be left."""
    plan = Plan(0)
    for year in range(plan.last_year, plan.last_year - 50, -1):
        for one in people:
            entries = checkup(one, plan.commune, (year, SEED))
            if entries:
                yield entries
