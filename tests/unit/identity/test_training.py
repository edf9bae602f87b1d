"""Weights estimated from pairs of which nobody said whether they are one person."""

from collections import Counter
from random import Random

import pytest

from ehr_server.identity.training import Pattern, learnt, pattern
from ehr_server.identity.weights import PRIOR, weights


def pairs(count: int, m_sex: float, m_phone: float, seed: int) -> Counter[Pattern]:
    """Pairs that agree on sex, and on telephone and ward, by these shares."""
    random = Random(seed)
    found: Counter[Pattern] = Counter()
    for _ in range(count):
        sex = "same" if random.random() < m_sex else "other"
        phone = "same" if random.random() < m_phone else "other"
        ward = "ward" if random.random() < m_phone else "other"
        levels = {"sex": sex, "phone": phone, "address": ward}
        found[pattern({"given": "same", "birth": "same", **levels})] += 1
    return found


def table(rows: object) -> dict[tuple[str, str], tuple[float, float]]:
    return {(field, level): (m, u) for field, level, m, u in rows}  # type: ignore[attr-defined]


def test_u_is_counted_and_m_found_in_a_mixture() -> None:
    at_random = pairs(50_000, 0.5, 0.001, 1)
    in_block = pairs(600, 0.98, 0.8, 2) + pairs(3_000, 0.5, 0.001, 3)
    found = learnt(at_random, {"birth-given": in_block}, 20_000, weights())
    assert found.expected == pytest.approx(600, rel=0.15)
    shares = table(found.rows)
    assert shares["phone", "same"][0] == pytest.approx(0.8, abs=0.06)
    assert shares["phone", "same"][1] == pytest.approx(0.001, abs=0.0005)
    assert shares["sex", "same"][1] == pytest.approx(0.5, abs=0.02)
    assert shares[PRIOR] == (1 / 20_000, 1 - 1 / 20_000)


def test_too_few_pairs_change_nothing() -> None:
    found = learnt(pairs(5, 0.5, 0.5, 1), {"birth-given": pairs(9, 0.9, 0.9, 2)}, 100, weights())
    before = {key: shares for key, shares in weights().shares.items() if key != PRIOR}
    after = {key: shares for key, shares in table(found.rows).items() if key != PRIOR}
    assert after == before


def test_numbers_tell_who_is_one_person_and_who_is_not() -> None:
    """The same card makes one person of a pair, two live numbers make two, whatever else agrees;
    what numbers say is not learnt from that."""
    alike = {"given": "same", "birth": "same", "phone": "same", "sex": "same"}
    in_block = Counter(
        {
            pattern({**alike, "phone": "other", "number": "card"}): 300,
            pattern({**alike, "number": "other"}): 5_000,
        }
    )
    found = learnt(pairs(50_000, 0.5, 0.001, 1), {"birth-given": in_block}, 20_000, weights())
    assert found.expected == pytest.approx(300)
    assert table(found.rows)["phone", "other"][0] > 0.9
    assert table(found.rows)["number", "other"][0] == weights().shares["number", "other"][0]


def test_kin_count_for_no_one_person() -> None:
    twins = Counter({pattern({"given": "other", "birth": "same", "phone": "same"}): 5_000})
    found = learnt(Counter(), {"birth-name": twins}, 20_000, weights())
    assert found.expected == 0
    assert table(found.rows)["given", "other"] == weights().shares["given", "other"]


def test_of_nothing_nothing_is_learnt() -> None:
    assert learnt(Counter(), {}, 0, weights()).expected == 0
