"""Names of one person as they come, and of two: how far they agree.

https://hl7.org/fhir/R4/datatypes.html#HumanName. A name stands in the order family, middle, given
and people are called by the last word; capitals, decomposed letters and names without tones are the
same name; some peoples have no family name, or an apostrophe in a word.
"""

import unicodedata
from typing import Any

import pytest

from ehr_server.identity.names import agreements, is_slip, name, name_of

Told = dict[str, str]


def levels(one: str, other: str) -> Told:
    first, second = name(one), name(other)
    assert first is not None
    assert second is not None
    found = {each.role: each.level for each in agreements(first, second)}
    assert found == {each.role: each.level for each in agreements(second, first)}
    return {str(role): str(level) for role, level in found.items()}


SAME = {"given": "same", "middle": "same", "family": "same"}


@pytest.mark.parametrize(
    ("one", "other", "told"),
    [
        ("Nguyễn Hữu Nam", "NGUYỄN HỮU NAM", SAME),
        ("Nguyễn Hữu Nam", "nguyen huu nam", SAME),
        ("Nguyễn Hữu Nam", "  Nguyễn  Hữu\tNam ", SAME),
        ("Nguyễn Hữu Nam", "Nam Nguyễn Hữu", SAME),  # a form that asks for the given name first
        ("Đỗ Đức Đạt", "DO DUC DAT", SAME),
        ("Trần Thị Hoà", "Trần Thị Hòa", SAME),  # two ways to place the tone
        ("Trần Thị Thuý", "Trần Thị Thúy", SAME),
        ("Trần Thị Hoa", "Trần Thị Hòa", SAME | {"given": "tones"}),  # two names
        ("Tran Thi Hoa", "Trần Thị Hòa", SAME),
        ("Trần Thị Hằng", "Trần Thị Hàng", SAME | {"given": "tones"}),
        ("Phạm Thị Ngọp", "Phạm Thị Ngọc", SAME | {"given": "close"}),
        ("Phạm Thị Ngọp", "Pham Thj Ngop", SAME | {"middle": "close"}),
        ("Nguyễn Văn Nam", "Nguyênx Văn Nam", SAME | {"family": "close"}),
        ("Nguyễn Văn Nam", "Ng. Văn Nam", SAME | {"family": "lost"}),
        ("Nguyễn T. Hạnh", "Nguyễn Thị Hạnh", SAME | {"middle": "lost"}),
        ("Nguyễn Thị Hồng Hạnh", "Nguyễn Hồng Hạnh", SAME | {"middle": "lost"}),
        ("Nguyễn Thị Hạnh", "Nguyễn Hạnh", SAME | {"middle": "lost"}),
        ("Hữu Nam", "Nguyễn Hữu Nam", SAME | {"family": "lost"}),
        ("Nam", "Nguyễn Văn Nam", {"given": "same", "middle": "lost", "family": "lost"}),
        ("Nguyễn Gia Bảo", "Nguyễn Gia Huy", SAME | {"given": "other"}),  # brothers
        ("Nguyễn Văn Nam", "Trần Thị Hạnh", dict.fromkeys(SAME, "other")),
        ("Lê Nam", "Lê Nam", {"given": "same", "family": "same"}),
        ("H'Hen Niê", "H’Hen Niê", {"given": "same", "family": "same"}),
        ("H'Hen Niê", "H Hen Nie", {"given": "same", "family": "same"}),
        ("H'Hen Niê", "HHEN NIÊ", {"given": "same", "family": "same"}),
        ("K'Brơi", "KBROI", {"given": "same"}),
        ("Y Moan Ênuôl", "Y MOAN ENUOL", SAME),
        ("Rơ Châm H'Yư", "Ro Cham Hyu", SAME),
        ("Ka Mhẩm", "Ka Mhem", {"given": "close", "family": "same"}),
    ],
)
def test_how_far_two_names_agree(one: str, other: str, told: Told) -> None:
    assert levels(one, other) == told
    assert levels(unicodedata.normalize("NFD", one), unicodedata.normalize("NFC", other)) == told


@pytest.mark.parametrize(
    ("human_name", "words"),
    [
        ({"text": "Phạm Thị Ngọp"}, "pham thi ngop"),
        ({"family": "Phạm", "given": ["Thị", "Ngọp"]}, "pham thi ngop"),
        ({"family": "Phạm", "given": ["Thị Ngọp"]}, "pham thi ngop"),
        ({"text": "Ngọp Phạm Thị", "family": "Phạm", "given": ["Thị", "Ngọp"]}, "pham thi ngop"),
        ({"text": "Phạm Thị Ngọp", "family": "Phạm"}, "pham thi ngop"),
        ({"text": "BS. Phạm Thị Hiền", "prefix": ["BS."]}, "pham thi hien"),
        ({"text": "Phạm, Thị Ngọp"}, "pham thi ngop"),
        ({"given": ["H'Hen", "Niê"]}, "hhen nie"),
        ({"given": ["K'Brơi"]}, "kbroi"),
    ],
)
def test_the_words_of_a_name_however_it_is_divided(human_name: Any, words: str) -> None:
    found = name_of(human_name)
    assert found is not None
    assert found.words == tuple(words.split())


@pytest.mark.parametrize("human_name", [{}, {"text": " . - "}, {"given": []}, {"text": None}])
def test_a_name_without_a_word_is_none(human_name: Any) -> None:
    assert name_of(human_name) is None


@pytest.mark.parametrize(
    ("one", "other", "is_one"),
    [
        ("nguyen", "nguyne", True),  # exchanged
        ("nguyen", "nguyn", True),  # less
        ("nguyen", "nguyeen", True),  # more
        ("nguyen", "nguyem", True),  # wrong
        ("nguyen", "ngyn", False),
        ("nguyen", "nguyen", False),
        ("nam", "man", False),
        ("a", "b", True),
        ("ab", "ba", True),
    ],
)
def test_one_slip_of_the_hand(one: str, other: str, is_one: bool) -> None:
    assert is_slip(one, other) == is_slip(other, one) == is_one
