"""The forest of merged records, held against one in memory."""

import random

import psycopg
import pytest

from ehr_server.hashing import person_comp
from ehr_server.store import merged

pytestmark = pytest.mark.smoke

PEOPLE = tuple("abcdefgh")


def _root(into: dict[str, str], one: str) -> str:
    while one in into:
        one = into[one]
    return one


@pytest.mark.parametrize("seed", range(5))
def test_each_knows_the_one_that_survives(database: str, seed: int) -> None:
    """However they were merged and parted; and no row is left of who stands alone."""
    chosen, into = random.Random(seed), dict[str, str]()
    with psycopg.connect(database, autocommit=True) as connection:
        for at in range(60):
            source, target = chosen.sample(PEOPLE, 2)
            if source in into:
                with connection.transaction():
                    merged.part(connection, source)
                del into[source]
            elif target not in into and _root(into, target) != source:
                with connection.transaction():
                    merged.join(connection, source, target, f"provenance-{at}")
                into[source] = target
            comps = {person_comp(one): person_comp(_root(into, one)) for one in PEOPLE}
            assert merged.persons(connection, comps) == comps
            told = connection.execute("select id, target from merged").fetchall()
            assert {row for row in told if row[1]} == set(into.items())
            assert {row[0] for row in told} == {*into, *into.values()}
            assert merged.targets(connection, comps) == {
                person_comp(one): target for one, target in into.items()
            }
            same = [one for one in PEOPLE if _root(into, one) == _root(into, source)]
            group = merged.records(connection, [person_comp(source)])
            assert sorted(one.id for one in group) == (same if len(same) > 1 else [])
