"""Whole lives of records that are merged, parted, updated and written about, in any order.

Whoever asks by one id of a person is told of all; and once every merge is taken back, in whatever
order, each record is as if it had never been merged. https://hl7.org/fhir/R5/patient-operation-merge.html
"""

import random
from typing import Any

import httpx
import pytest

from api.merges import MRN, content, found, merged, new_number, observed, person, unmerged

PEOPLE, STEPS = 6, 40


class _Life:
    """The records and, beside the server, what they should be."""

    def __init__(self, client: httpx.Client, seed: int) -> None:
        self.client, self.chosen = client, random.Random(seed)
        shared = {"system": MRN, "value": f"shared-{seed}"}
        self.ids = [self._person(shared) for _ in range(PEOPLE)]
        self.contents = {id_: content(client, id_) for id_ in self.ids}
        self.into: dict[str, str] = {}
        self.seen: dict[str, set[str]] = {id_: set() for id_ in self.ids}

    def _person(self, shared: dict[str, str]) -> str:
        own = {"system": "http://fhir.hl7.org.vn/core/sid/cccd", "value": new_number()}
        numbers = [own, shared] if self.chosen.random() < 0.4 else [own]
        return person(self.client, "", identifier=numbers)

    def root(self, id_: str) -> str:
        while id_ in self.into:
            id_ = self.into[id_]
        return id_

    def step(self) -> None:
        """Something happens to one of the records."""
        one, other = self.chosen.sample(self.ids, 2)
        deed = self.chosen.choice((self.joined, self.joined, self.parted, self.updated, self.told))
        deed(one, other)

    def joined(self, one: str, other: str) -> None:
        source, target = self.root(one), self.root(other)
        if source != target:
            merged(self.client, source, target)
            self.into[source] = target

    def parted(self, one: str, _: str) -> None:
        if one in self.into:
            unmerged(self.client, one)
            del self.into[one]

    def updated(self, one: str, _: str) -> None:
        phone = {"system": "phone", "value": f"09{self.chosen.randrange(10**8):08}"}
        for patient in (self.contents[one], now := content(self.client, one)):
            patient["telecom"] = [*patient.get("telecom", ()), phone]
        answer = self.client.put(f"/Patient/{one}", json=now)
        assert answer.status_code == 200, answer.text

    def told(self, one: str, _: str) -> None:
        self.seen[one].add(observed(self.client, one))

    def check(self) -> None:
        """What is asked by each id, and by each one's own number."""
        for id_ in self.ids:
            same = [one for one in self.ids if self.root(one) == self.root(id_)]
            expected = set().union(*(self.seen[one] for one in same))
            assert found(self.client, f"Observation?patient={id_}") == expected
            assert found(self.client, f"Patient/{id_}/Observation") == expected
            number = self.contents[id_]["identifier"][0]["value"]
            assert self.root(*found(self.client, f"Patient?identifier={number}")) == self.root(id_)
            by_number = f"Observation?patient.identifier={number}"
            assert found(self.client, by_number) == expected


@pytest.mark.parametrize("seed", range(3))
def test_all_is_as_before_once_every_merge_is_taken_back(client: httpx.Client, seed: int) -> None:
    life = _Life(client, seed)
    for at in range(STEPS):
        life.step()
        if at % 5 == 4:
            life.check()
    order = list(life.into)
    life.chosen.shuffle(order)
    for one in order:
        life.parted(one, "")
        life.check()
    left: dict[str, Any] = {id_: content(client, id_) for id_ in life.ids}
    assert left == life.contents
