"""The names that views can have in an export."""

import pytest

from ehr_server.store.files import BLOCKS, DELETED, OUTCOMES
from ehr_server.views.tables import is_name


@pytest.mark.parametrize("name", [BLOCKS, DELETED, OUTCOMES, "a/b", "..", "", "seen"])
def test_no_view_takes_the_name_of_other_files(name: str) -> None:
    assert not is_name(name, {"seen"})


def test_a_name_becomes_that_of_a_file() -> None:
    assert is_name("blood_pressure-2", {"seen"})
