"""A record of made resources in the database, and the same resources in memory."""

from collections.abc import Iterator
from contextlib import contextmanager

from ehr_server.errors import Invalid
from ehr_server.fhir import json
from ehr_server.search.match import Others, matches
from ehr_server.validation.rulebook import Rulebook
from properties.law_resources import TYPES, Resource, made
from searching import Record, record

COUNT = 24  # of each type


class Law:
    """`here` is the record; `some`: how many searches found some resources and not all."""

    def __init__(self, here: Record) -> None:
        self.here = here
        self.some = 0
        self.of_type: dict[str, dict[str, Resource]] = {name: {} for name in TYPES}
        for name, kept in self.of_type.items():
            for match in here.run(here.query(f"{name}?_count=1000")).matches:
                resource: Resource = json.read(match.content)
                kept[resource["id"]] = resource
        self._others = Others(
            lambda name: self.of_type.get(name, {}).values(),
            lambda name, id_: self.of_type.get(name, {}).get(id_),
        )

    @property
    def resources(self) -> list[Resource]:
        """All of them, of one type after another."""
        return [one for kept in self.of_type.values() for one in kept.values()]

    def check(self, address: str) -> int:
        """How many resources the search was compared for; 0: it is refused."""
        try:
            query = self.here.query(address)
        except Invalid:
            return 0
        found = self.here.ids(address)
        assert len(found) == len(set(found)), address
        kept = self.of_type[query.type]
        truth = {
            id_ for id_, one in kept.items() if matches(query, one, self.here.rules, self._others)
        }
        assert set(found) == truth, (address, set(found) - truth, truth - set(found))
        self.some += 0 < len(found) < len(kept)
        return len(kept)


@contextmanager
def lawful(database: str, seed: int) -> Iterator[Law]:
    """The law of resources made by the seed."""
    with record(database, terminology=Rulebook().terminology) as here:
        resources = made(seed, COUNT)
        for start in range(0, len(resources), 100):  # several instants
            here.put(*resources[start : start + 100])
        yield Law(here)
