"""The types whose words are kept."""

import pytest

from ehr_server.search.rules import full_text
from ehr_server.setting import SettingError
from ehr_server.settings import Settings


def test_the_setting_names_types() -> None:
    assert full_text("") == frozenset()
    assert full_text("*") == {"*"}
    assert full_text(" Condition , Composition,") == {"Condition", "Composition"}
    assert "Composition" in full_text(Settings().full_text)


def test_what_is_no_type_is_refused() -> None:
    with pytest.raises(SettingError, match=r"EHR_FULL_TEXT.*'Conditions'"):
        full_text("Conditions")
