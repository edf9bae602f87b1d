"""The order of what is found, and its pages there and back.

https://hl7.org/fhir/R4/search.html#sort and https://hl7.org/fhir/R4/http.html#paging
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from ehr_server.access import directories, find
from ehr_server.errors import Invalid
from ehr_server.fhir.bundle import identity
from ehr_server.identity.folding import fold
from ehr_server.search.match import values
from ehr_server.search.parameters import STANDARD
from ehr_server.search.query import Query, SortKey
from ehr_server.search.sort import is_sortable
from ehr_server.search.types import date, number, quantity, string
from properties.law_queries import Asker
from properties.law_record import Law, lawful
from properties.law_resources import TYPES, Resource

SEARCHES = 20  # of each type


@pytest.fixture(scope="module")
def law(module_database: str) -> Iterator[Law]:
    with lawful(module_database, 4) as found:
        yield found


@pytest.mark.parametrize("few", [find.FEW, -1], ids=["gathered", "read in order"])
@pytest.mark.parametrize("type_name", TYPES)
def test_order_and_pages(
    law: Law, type_name: str, few: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(find, "FEW", few)
    monkeypatch.setattr(directories, "BELIEVED", few)
    chance = random.Random(type_name)
    asker = Asker(chance, law.resources)
    for criteria in [f"{type_name}?", *asker.mixed(type_name, SEARCHES)]:
        address = f"{criteria}&_sort={_keys(type_name, chance)}&_count={chance.randint(1, 7)}"
        try:
            query = law.here.query(address)
        except Invalid:
            continue
        whole = law.here.ids(f"{address.rpartition('&')[0]}")
        _is_in_order(law, query, whole)
        _pages_are(law, query, whole)


def _keys(type_name: str, chance: random.Random) -> str:
    by_code = STANDARD.of(type_name).by_code
    known = [
        code
        for code, sources in sorted(by_code.items())
        if len(sources) == 1 and is_sortable(sources[0].parameter)
    ]
    keys = chance.sample(known, min(len(known), chance.randint(1, 3)))
    return ",".join(chance.choice(("", "-")) + key for key in keys)


def _is_in_order(law: Law, query: Query, ids: Sequence[str]) -> None:
    kept = law.of_type[query.type]
    for one, other in pairwise(ids):
        for key in query.order:
            before, after = (_place(key, kept[id_], law) for id_ in (one, other))
            if before != after:
                is_right = after is None or (
                    before is not None and (before > after if key.descending else before < after)
                )
                assert is_right, (query.asked, key.parameter.code, one, other, before, after)
                break


def _place(key: SortKey, resource: Resource, law: Law) -> Any:
    """What the resource is sorted by; None if it has no value."""
    found = [
        place
        for type_name, value in values(key.parameter, resource)
        for place in _places(key, type_name, value, law)
    ]
    return (max if key.descending else min)(found) if found else None


def _places(key: SortKey, type_name: str, value: Any, law: Law) -> Iterator[Any]:
    match key.parameter.type:
        case "date":
            if (span_of := date._span_of(type_name, law.here.rules)) and (found := span_of(value)):
                yield found[0]
        case "string":
            yield from map(fold, (string._parts_of(type_name) or (lambda _: ()))(value))
        case "number":
            yield from map(float, number._numbers(type_name, value))
        case "quantity":
            measured = quantity.measured(type_name, value)
            yield from (float(one["value"]) for one in measured if "value" in one)


def _pages_are(law: Law, query: Query, whole: Sequence[str]) -> None:
    """Forwards to the end, backwards to the beginning, and forwards again from there."""
    pages, page = [], law.here.run(query)
    while True:
        pages.append(_ids(page))
        if page.next is None:
            break
        page = law.here.run(replace(query, page=page.next))
    assert [id_ for ids in pages for id_ in ids] == list(whole), query.asked
    back, last = list(pages[-1]), page
    while page.previous is not None:
        page = law.here.run(replace(query, page=page.previous))
        assert page.matches, query.asked
        assert page.total == last.total
        back = [*_ids(page), *back]
    assert back == list(whole), query.asked
    again = _ids(page)
    while page.next is not None:
        page = law.here.run(replace(query, page=page.next))
        again += _ids(page)
    assert again == list(whole), query.asked


def _ids(page: Any) -> list[str]:
    return [identity(match.content)[1] for match in page.matches]
