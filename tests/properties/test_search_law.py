"""The law of the search: what the database finds is what each resource, read by itself, says.

https://hl7.org/fhir/R4/search.html. Resources and searches are made by seeds; the second reading,
`search.match`, knows no hashes, no index rows and no SQL.
"""

import random
from collections.abc import Iterator
from itertools import islice
from typing import Any

import pytest

from ehr_server.access import find
from ehr_server.errors import Invalid
from ehr_server.fhir import json
from ehr_server.search.match import Others, matches
from ehr_server.validation.rulebook import Rulebook
from law_queries import Asker
from law_resources import TYPES, Resource, made
from searching import Record, record

COUNT = 24  # of each type
PAIRS_MIN = 20_000
SLOW_PAIRS_MIN = 200_000


class Law:
    """A record, and the same resources in memory, as they are stored."""

    def __init__(self, here: Record) -> None:
        self.here = here
        self.found = 0  # searches that found some and not all
        self.of_type: dict[str, dict[str, Resource]] = {name: {} for name in TYPES}
        for name, kept in self.of_type.items():
            for match in here.run(here.query(f"{name}?_count=1000")).matches:
                resource: Resource = json.read(match.content)
                kept[resource["id"]] = resource
        self.others = Others(
            lambda name: self.of_type.get(name, {}).values(),
            lambda name, id_: self.of_type.get(name, {}).get(id_),
        )

    @property
    def resources(self) -> list[Resource]:
        return [one for kept in self.of_type.values() for one in kept.values()]

    def check(self, address: str) -> int:
        """The number of pairs of resource and query that were compared; 0: it is refused."""
        try:
            query = self.here.query(address)
        except Invalid:
            return 0
        found = self.here.ids(address)
        assert len(found) == len(set(found)), address
        kept = self.of_type[query.type]
        truth = {
            id_ for id_, one in kept.items() if matches(query, one, self.here.rules, self.others)
        }
        assert set(found) == truth, (address, set(found) - truth, truth - set(found))
        self.found += 0 < len(found) < len(kept)
        return len(kept)


@pytest.fixture(scope="module")
def law(module_database: str) -> Iterator[Law]:
    with record(module_database, terminology=Rulebook().terminology) as here:
        resources = made(1, COUNT)
        for start in range(0, len(resources), 100):  # several instants
            here.put(*resources[start : start + 100])
        yield Law(here)


@pytest.mark.parametrize("type_name", TYPES)
def test_the_database_finds_what_each_resource_says(law: Law, type_name: str) -> None:
    _check(law, type_name, random.Random(type_name), PAIRS_MIN // len(TYPES) + 1)


def _check(law: Law, type_name: str, chance: random.Random, pairs_min: int) -> None:
    asker, compared = Asker(chance, law.resources), 0
    for address in asker.addresses(type_name):
        compared += law.check(address)
        if compared >= pairs_min:
            return
