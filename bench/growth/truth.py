"""What each question must find, by looking at every generated resource: no index, no database."""

from __future__ import annotations

import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from growth.person import Person, persons
from growth.questions import QUESTIONS
from growth.reading import Hit
from growth.record import Part, records

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_KEPT = 200  # of an ordered answer: more than the pages that are looked at
_PRUNED_AT = 5_000


@dataclass(slots=True)
class Answers:
    """What one question finds: how many there are, and each with the values it is ordered by.

    Of an ordered answer only the first are kept, with all that are equal to the last of these.
    """

    is_ordered: bool
    total: int = 0
    hits: list[Hit] = field(default_factory=list)

    def add(self, hits: Iterable[Hit]) -> None:
        before = len(self.hits)
        self.hits.extend(hits)
        self.total += len(self.hits) - before
        if self.is_ordered and len(self.hits) > _PRUNED_AT:
            self.prune()

    def prune(self) -> None:
        self.hits.sort()
        if len(self.hits) > _KEPT:
            last = self.hits[_KEPT][0]
            self.hits = [hit for hit in self.hits if hit[0] <= last]

    def __add__(self, other: Answers) -> Answers:
        both = Answers(self.is_ordered, self.total + other.total, [*self.hits, *other.hits])
        if both.is_ordered:
            both.prune()
        return both


@dataclass(slots=True)
class Truth:
    """Of each question, for each person it is asked about: the matches, and what is included."""

    matches: dict[tuple[str, int], Answers] = field(default_factory=dict)
    included: dict[tuple[str, int], Answers] = field(default_factory=dict)

    def __add__(self, other: Truth) -> Truth:
        return Truth(_sum(self.matches, other.matches), _sum(self.included, other.included))


def truth(first: int, last: int, seed: int = 1, processes: int = 1) -> Truth:
    """What is found among the residents from `first` to below `last`."""
    parts = [Part(first, last, seed, share, processes) for share in range(processes)]
    found = shared(partial(_of_part, persons(seed)), parts)
    whole = Truth()
    for one in found:
        whole += one
    return whole


def shared(act: Callable[[Part], Any], parts: list[Part]) -> list[Any]:
    """What the act makes of each part, every part in a process of its own; a single one here."""
    if len(parts) == 1:
        return [act(parts[0])]
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(len(parts), context) as pool:
        return list(pool.map(act, parts))


def _of_part(people: list[Person], part: Part) -> Truth:
    found = _empty(people)
    asked = [
        (question, person, found.matches[key], found.included[key])
        for question in QUESTIONS
        for at, person in enumerate(people if question.is_personal else people[:1])
        for key in [(question.name, at)]
    ]
    for record in records(part):
        for question, person, matches, included in asked:
            matches.add(question.truth(record, person))
            if question.included is not None:
                included.add(question.included(record, person))
    return found


def _empty(people: list[Person]) -> Truth:
    found = Truth()
    for question in QUESTIONS:
        for at in range(len(people) if question.is_personal else 1):
            found.matches[question.name, at] = Answers(question.is_ordered)
            found.included[question.name, at] = Answers(is_ordered=False)
    return found


def _sum(
    left: dict[tuple[str, int], Answers], right: dict[tuple[str, int], Answers]
) -> dict[tuple[str, int], Answers]:
    return {
        key: left[key] + right[key] if key in left and key in right else (left | right)[key]
        for key in left | right
    }
