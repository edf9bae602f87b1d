"""https://hl7.org/fhir/R4/search.html#string"""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ehr_server.identity import folding
from ehr_server.identity.folding import fold


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("Nguyễn Thị Ánh", "nguyen thi anh"),
        ("ĐỖ ĐỨC", "do duc"),
        ("  Phạm   Văn\tHưởng ", "pham van huong"),
        ("Müller-Weiß", "muller-weiss"),
        ("O’Brien", "o'brien"),
        ("ភូមិ", "ភូមិ"),  # the vowel signs of Khmer are letters, not accents
        ("", ""),
    ],
)
def test_case_tones_and_accents_do_not_count(text: str, folded: str) -> None:
    assert fold(text) == folded
    assert fold(unicodedata.normalize("NFD", text)) == folded


@given(st.text())
def test_folding_is_final(text: str) -> None:
    assert fold(fold(text)) == fold(text)


def test_long_texts_are_not_kept() -> None:
    """A cache of megabytes would be a way to fill the memory."""
    before = folding._cached.cache_info().currsize
    fold("Đ" * 100_000)
    assert folding._cached.cache_info().currsize == before
