"""What a site learns of its own people for $match: weights estimated from pairs of its records.

See `identity.training`. Reads a sample, a part at a time, and changes nothing.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ehr_server.access.caller import LOOPBACK
from ehr_server.access.find import at_most
from ehr_server.access.match import Look, Sought, candidates, in_use, someone, today
from ehr_server.fhir import json
from ehr_server.hashing import hash64
from ehr_server.identity import blocks, training
from ehr_server.identity.match import levels_of
from ehr_server.search.query import At, Query
from ehr_server.store.weights import sample

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ehr_server.identity.blocks import Kind
    from ehr_server.identity.training import Learnt, Pattern
    from ehr_server.identity.weights import Row, Weights
    from ehr_server.search.rules import Rules
    from ehr_server.store.connect import Store

SAMPLE = 5_000  # persons
_TURNS = 40  # times that each of them is compared with another one
_TOGETHER = 100


@dataclass(frozen=True, slots=True)
class Trained:
    """The tables before and after, of how many persons, and on how many pairs in blocks."""

    before: Sequence[Row]
    learnt: Learnt
    persons: int
    pairs: int


def train(
    store: Store,
    rules: Rules,
    told: Callable[[int], None] = lambda count: None,  # noqa: ARG005
    most: int = SAMPLE,
) -> Trained:
    """Estimate the weights from a sample of so many; `told` hears how many more are done."""
    look = Look(store, LOOPBACK.anew(), rules, today(rules))
    with store.connection() as connection:
        before = in_use(connection)
        persons, places = sample(connection, most)
    several = _people(look, places)
    in_blocks: dict[Kind, Counter[Pattern]] = {kind: Counter() for kind in blocks.KINDS}
    for start in range(0, len(several), _TOGETHER):
        part = several[start : start + _TOGETHER]
        _count_in_blocks(look, part, before, in_blocks)
        told(len(part))
    at_random = _at_random(several, before)
    found = training.learnt(at_random, in_blocks, persons, before)
    pairs = sum(counter.total() for counter in in_blocks.values())
    return Trained(before.rows(), found, persons, pairs)


def _people(look: Look, places: Sequence[tuple[int, int]]) -> list[Sought]:
    """The sample in an order by chance, always the same: neighbours are kin as they come."""
    found = []
    for start in range(0, len(places), _TOGETHER):
        part = tuple(places[start : start + _TOGETHER])
        query = Query("Patient", (At(part),))
        with look.store.connection() as connection:
            matches = at_most(look.store, connection, query, LOOPBACK.anew(), len(part))
        found += [someone(json.read_stored(one.content), look.today) for one in matches]
    return sorted(found, key=lambda one: hash64("sample", one.patient["id"]))


def _count_in_blocks(
    look: Look,
    part: Sequence[Sought],
    table: Weights,
    in_blocks: dict[Kind, Counter[Pattern]],
) -> None:
    with look.store.connection() as connection:
        several = candidates(look, connection, part)
    for one, records in zip(part, several, strict=True):
        for record in records:
            if record.id != one.patient["id"] and not record.is_replaced:
                levels = training.pattern(levels_of(one.person, record.person, table))
                for kind in blocks.shared(one.person, record.person):
                    in_blocks[kind][levels] += 1


def _at_random(several: Sequence[Sought], table: Weights) -> Counter[Pattern]:
    found: Counter[Pattern] = Counter()
    count = len(several)
    for turn in range(1, min(_TURNS, count - 1) + 1):
        for at, one in enumerate(several):
            other = several[(at + turn) % count]
            found[training.pattern(levels_of(one.person, other.person, table))] += 1
    return found
