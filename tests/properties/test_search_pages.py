"""Pages put together are the whole, in order, while others write."""

import random
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from ehr_server.fhir.bundle import identity
from searching import Record, record

CODES = [("http://a", "x"), ("http://b", "x"), ("http://a", "y"), (None, "z")]
SORTS = [
    "", "date", "-date", "_lastUpdated", "-_lastUpdated", "-value-quantity,date", "value-string",
    "-value-string,-date", "-value-date,-date", "value-date,value-string,-_lastUpdated",
]  # fmt: skip
SEARCHES = [
    "status=final", "code=x", "code=http://a|x", "code=http://a|x,http://a|y", "code=x,z",
    "patient=p1", "patient=p1&code=x", "patient=p1,p2&code=x,y", "date=ge2024-02",
    "date=gt2024-01-15&code=x,http://a|y", "_id=o1,o2,o3,o4,o5,o6,o7", "combo-code=x",
]  # fmt: skip


def _observation(chance: random.Random, number: int) -> dict[str, Any]:
    codings = chance.sample(CODES, chance.randint(1, 3))
    found: dict[str, Any] = {
        "resourceType": "Observation",
        "id": f"o{number}",
        "status": "final",
        "code": {
            "coding": [{"code": c} if s is None else {"system": s, "code": c} for s, c in codings]
        },
    }
    if chance.random() < 0.7:
        found["subject"] = {"reference": f"Patient/p{chance.randint(1, 3)}"}
    if chance.random() < 0.8:
        day = f"2024-0{chance.randint(1, 3)}-{chance.choice('12')}{chance.choice('05')}"
        if chance.random() < 0.3:
            found["effectivePeriod"] = {"start": day}
        else:
            found["effectiveDateTime"] = day
    found |= chance.choice(
        [
            {},
            {"valueQuantity": {"value": chance.randint(1, 3)}},
            {"valueString": chance.choice("abc")},
        ]
    )
    return found


@pytest.fixture(scope="module")
def here(module_database: str) -> Iterator[Record]:
    chance = random.Random(7)
    with record(module_database) as found:
        found.put(*({"resourceType": "Patient", "id": f"p{number}"} for number in (1, 2, 3)))
        for start in range(0, 120, 40):  # several transactions, for several instants
            found.put(*(_observation(chance, number) for number in range(start, start + 40)))
        yield found


@pytest.mark.parametrize("sort", SORTS)
def test_pages_of_any_size_are_the_whole(here: Record, sort: str) -> None:
    for at, search in enumerate(SEARCHES):
        address = f"Observation?{search}" + (f"&_sort={sort}" if sort else "")
        whole = here.ids(address)
        assert len(whole) == len(set(whole))
        assert here.ids(f"{address}&_count={at % 5 + 3}") == whole, address
        assert here.run(here.query(f"{address}&_count=0")).total == len(whole)
        assert here.run(here.query(f"{address}&_count=1")).total == len(whole)


@pytest.mark.parametrize("search", SEARCHES)
def test_the_order_does_not_change_what_is_found(here: Record, search: str) -> None:
    found = {frozenset(here.ids(f"Observation?{search}&_sort={sort or 'date'}")) for sort in SORTS}
    assert len(found) == 1
    assert found.pop()


@pytest.mark.parametrize("sort", ["date", "-date", "_lastUpdated", "value-string"])
def test_nothing_is_lost_and_nothing_twice_while_others_write(here: Record, sort: str) -> None:
    """What is there all the time comes once, whatever comes and goes before and after it."""
    chance = random.Random(11)
    query = here.query(f"Observation?code=x&_sort={sort}&_count=7")
    whole = here.ids(f"Observation?code=x&_sort={sort}")
    seen: list[str] = []
    for number in range(1000, 1100):
        page = here.run(query)
        seen += [identity(match.content)[1] for match in page.matches]
        if page.next is None:
            break
        query = replace(query, page=page.next)
        here.put({**_observation(chance, number), "code": {"coding": [{"code": "x"}]}})
    assert [id_ for id_ in seen if id_ in whole] == whole
    assert len(seen) == len(set(seen))
    for number in range(1000, 1100):
        if f"o{number}" in here.ids("Observation?code=x"):
            here.delete("Observation", f"o{number}")
