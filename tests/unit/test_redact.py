"""No number of a person in what a text repeats of its sender's words."""

import pytest

from ehr_server.redact import id_without_number, without_numbers


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("001174000456", "…"),
        ("0011 7400 0456", "…"),
        ("001.174.000.456", "…"),
        ("DN4010012345678", "DN…"),
        ("identifier.where(value = 'B1234567')", "identifier.where(value = 'B…')"),
        ("000123/HNO-CCHN", "…/HNO-CCHN"),
        ("birthdate", "birthdate"),
        ("is not a date such as 2024, 2024-05, 2024-05-31", None),
        ("at most 10,000 values of 50 parameters", None),
    ],
)
def test_six_digits_and_more_are_left_out(words: str, told: str | None) -> None:
    assert without_numbers(words) == (told or words)


@pytest.mark.parametrize("number", ["001174000456", "123456789", "DN4010012345678", "0123456789"])
def test_an_id_that_is_a_number_is_left_out(number: str) -> None:
    assert id_without_number(number) == "…"


@pytest.mark.parametrize("id_", ["01kb0b1c2d3e4f5g6h7j8k9m0n", "12345678", "his-0011740004", "p1"])
def test_other_ids_stay_whole(id_: str) -> None:
    assert id_without_number(id_) == id_
