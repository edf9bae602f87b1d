"""The bench of $match: damages change what they say, and a small run comes to its end."""

from pathlib import Path
from random import Random

import pytest

from identity.damages import DAMAGES, OTHERS
from identity.matching import measure, patients, section


@pytest.mark.parametrize("what", sorted({*DAMAGES, *OTHERS} - {"nothing"}))
def test_a_damage_makes_another_patient_and_leaves_the_first_as_it_was(what: str) -> None:
    made = {**DAMAGES, **OTHERS}[what]
    before, after = list(patients(80, 1)), list(patients(80, 1))
    changed = [made(Random(at), one) for at, one in enumerate(after)]
    assert after == before
    assert any(one is not None for one in changed)
    differing = sum(one != old for one, old in zip(changed, before, strict=True) if one)
    assert differing > 0.5 * sum(one is not None for one in changed)


@pytest.mark.slow
def test_a_small_run(folder: Path) -> None:
    found = measure(300, folder, asked=30)
    copied, strangers = found.at_first
    by_name = {row.what: row for row in copied}
    assert by_name["nothing"].recall("probable") > 0.9
    assert by_name["three at once, with the number"].recall("certain") > 0.9
    assert all(row.wrong("certain") == 0 for row in strangers)
    assert found.watched.right >= found.watched.missed
    assert "The search for duplicates" in section(found)
