"""What is decided of resources that refer to each other is what holds of all of them at once."""

import random

import pytest

from ehr_server.validation.profiles.decisions import Decisions


def _greatest(links: list[list[int]], faulty: set[int]) -> set[int]:
    """Those that have no fault and lead to none that has, by taking away until nothing changes."""
    kept = set(range(len(links))) - faulty
    while bad := {one for one in kept if not kept.issuperset(links[one])}:
        kept -= bad
    return kept


@pytest.mark.parametrize("seed", range(300))
def test_circles_are_decided_alike_wherever_one_begins(seed: int) -> None:
    chance = random.Random(seed)
    count = chance.randrange(1, 9)
    links = [[chance.randrange(count) for _ in range(chance.randrange(4))] for _ in range(count)]
    faulty = {one for one in range(count) if chance.random() < 0.2}
    decisions = Decisions()

    def decided(one: int) -> bool:
        def look() -> bool:
            return all(decided(other) for other in links[one]) and one not in faulty

        return decisions.decide((one, ""), look)

    order = chance.sample(range(count), count)
    assert {one for one in order if decided(one)} == _greatest(links, faulty)


def test_a_look_that_fails_leaves_nothing_undecided() -> None:
    decisions = Decisions()

    def fails() -> bool:
        raise ValueError

    with pytest.raises(ValueError):
        decisions.decide((1, ""), fails)
    assert decisions.decide((1, ""), lambda: True)
