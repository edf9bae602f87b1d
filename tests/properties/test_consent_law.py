"""The law of consent: what the database leaves to a caller is what the rules say of each resource.

https://hl7.org/fhir/R4/consent.html. Consents with exceptions within exceptions, periods that begin
and end at the very second, labels, codes, actors, purposes; resources about one person or two.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import replace

import pytest

from ehr_server.access import directories, find
from ehr_server.consent.decide import Rules
from ehr_server.fhir.bundle import identity
from ehr_server.search.match import Others, matches
from ehr_server.search.query import Disclosable, Query
from ehr_server.store.directives import rules_of
from properties.law_consents import ask, consents, resources
from searching import Record, record

CONSENTS, RESOURCES, ASKS = 24, 60, 40
TYPES = ("Observation", "Condition", "Appointment", "Patient")


class Law:
    """Resources and Consents in the database, and the resources in memory."""

    def __init__(self, here: Record, seed: int) -> None:
        self.here, self.chance = here, random.Random(seed)
        made = resources(self.chance, RESOURCES)
        here.put(*made)
        here.put(*consents(self.chance, CONSENTS))
        self.of_type = {
            name: {one["id"]: one for one in made if one["resourceType"] == name} for name in TYPES
        }

    def check(self, type_name: str, criterion: Disclosable) -> tuple[int, int]:
        """How many are seen, and how many there are."""
        query = replace(self.here.query(f"{type_name}?_count=500"), criteria=(criterion,))
        found = _ids(self.here, query)
        with self.here.store.connection() as connection:

            def directives(comps: Sequence[int]) -> Rules:
                return rules_of(connection, comps)

            others = Others(lambda _: (), lambda *_: None, directives)
            truth = {
                id_
                for id_, one in self.of_type[type_name].items()
                if matches(criterion, one, self.here.rules, others)
            }
        assert found == truth, (criterion, found - truth, truth - found)
        return len(found), len(self.of_type[type_name])


def _ids(here: Record, query: Query) -> set[str]:
    return {identity(match.content)[1] for match in here.run(query).matches}


@pytest.fixture(scope="module")
def law(module_database: str) -> Iterator[Law]:
    with record(module_database) as here:
        yield Law(here, 1)


@pytest.mark.parametrize("few", [find.FEW, -1], ids=["gathered", "read in order"])
def test_the_database_leaves_what_the_rules_leave(
    law: Law, few: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(find, "FEW", few)
    monkeypatch.setattr(directories, "BELIEVED", few)
    chance, some, pairs = random.Random(f"asks {few}"), 0, 0
    for _ in range(ASKS):
        criterion = Disclosable(ask(chance))
        for type_name in TYPES:
            seen, every = law.check(type_name, criterion)
            some, pairs = some + (0 < seen < every), pairs + every
    assert pairs > 5_000
    assert some > ASKS  # of 4 types each: else the law would be kept by hiding all, or nothing


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2, 12))
def test_the_law_at_length(database: str, seed: int) -> None:
    with record(database) as here:
        law, chance = Law(here, seed), random.Random(f"long {seed}")
        for _ in range(100):
            criterion = Disclosable(ask(chance))
            for type_name in TYPES:
                law.check(type_name, criterion)
