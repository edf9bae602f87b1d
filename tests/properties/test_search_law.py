"""The law of the search: what the database finds is what each resource, read by itself, says.

https://hl7.org/fhir/R4/search.html. Resources and searches are made by seeds; the second reading,
`search.match`, knows no hashes, no index rows and no SQL.
"""

import random
from collections.abc import Iterator

import pytest

from ehr_server.access import directories, find
from properties.law_queries import Asker
from properties.law_record import Law, lawful
from properties.law_resources import TYPES

PAIRS_MIN = 20_000  # of a resource and a query
SLOW_PAIRS_MIN = 200_000


@pytest.fixture(scope="module")
def law(module_database: str) -> Iterator[Law]:
    with lawful(module_database, 1) as found:
        yield found


@pytest.mark.parametrize("type_name", TYPES)
def test_the_database_finds_what_each_resource_says(law: Law, type_name: str) -> None:
    _check(law, type_name, random.Random(type_name), PAIRS_MIN)


@pytest.mark.parametrize("type_name", TYPES)
def test_what_is_many_is_found_on_the_way_through_its_order(
    law: Law, type_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As if there were too many to gather them first, whatever is asked for."""
    monkeypatch.setattr(find, "FEW", -1)
    monkeypatch.setattr(directories, "BELIEVED", -1)
    _check(law, type_name, random.Random(f"{type_name} many"), PAIRS_MIN)


@pytest.mark.parametrize("type_name", TYPES)
def test_a_chain_to_many_finds_the_same_in_one_statement(
    law: Law, type_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a chain leads to more than can be looked up first: here, to any."""
    monkeypatch.setattr(directories, "REACHED_MAX", 0)
    asker = Asker(random.Random(f"{type_name} chains"), law.resources)
    for address in asker.chained(type_name, 15):
        law.check(address)


def test_many_searches_find_some_and_not_all(law: Law) -> None:
    """Else the law would be kept by finding nothing."""
    asker, before = Asker(random.Random(5), law.resources), law.some
    pairs = [law.check(one) for name in TYPES for one in asker.mixed(name, 10)]
    assert law.some - before > 0.15 * len(pairs)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [2, 3])
@pytest.mark.parametrize(("reached_max", "few"), [(0, 1000), (500, -1)])
def test_the_law_at_length(
    database: str, seed: int, reached_max: int, few: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(directories, "REACHED_MAX", reached_max)
    monkeypatch.setattr(find, "FEW", few)
    monkeypatch.setattr(directories, "BELIEVED", few)
    with lawful(database, seed) as law:
        for type_name in TYPES:
            _check(law, type_name, random.Random(f"{type_name} {seed}"), SLOW_PAIRS_MIN // 4)


def _check(law: Law, type_name: str, chance: random.Random, pairs_min: int) -> None:
    """Searches of the type until its share of the pairs is reached."""
    asker, compared = Asker(chance, law.resources), 0
    for address in asker.addresses(type_name):
        compared += law.check(address)
        if compared * len(TYPES) >= pairs_min:
            return
