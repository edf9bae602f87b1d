"""The words of a resource."""

import time
from typing import Any

import pytest

from ehr_server.search.words import (
    CHARACTERS_MAX,
    NARRATIVE,
    PLACES_MAX,
    WORD_MAX,
    WORD_PLACES_MAX,
    places,
    plain,
    words,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Nguyễn Thị Ánh", ["nguyen", "thi", "anh"]),
        ("ĐÁI THÁO ĐƯỜNG", ["dai", "thao", "duong"]),
        ("x-quang, 120/80 (mmHg)", ["x", "quang", "120", "80", "mmhg"]),
        ("ﬁbrosis Straße", ["fibrosis", "strasse"]),
        ("ភាសាខ្មែរ", ["ភាសាខ្មែរ"]),
        ("а́б γάμμα", ["аб", "γαμμα"]),
        ("“tim” – phổi…", ["tim", "phoi"]),
        ("a\u200bb a\xa0b", ["a", "b", "a", "b"]),
        ("'\\ !&|:* \x00", []),
        ("x" * 100, ["x" * WORD_MAX]),
    ],
)
def test_a_word_is_a_run_of_letters_and_digits(text: str, expected: list[str]) -> None:
    assert list(words(text)) == expected


@pytest.mark.parametrize(
    ("xhtml", "text"),
    [
        ("<div><p>a</p><p>b</p></div>", "a b"),
        ("<div>H<sub>2</sub>O</div>", "H2O"),
        ("<div>a<br/>b</div>", "a b"),
        ("<div>a&#273;&amp;&lt;b&gt;&nbsp;c</div>", "ađ&<b>\xa0c"),
        ("<div>a<!-- <b>no</b> -->b</div>", "ab"),
        ('<div title="1 > 0">a</div>', "a"),
        ("<div>a <!-- never closed", "a"),
        ("", ""),
    ],
)
def test_a_narrative_without_its_tags(xhtml: str, text: str) -> None:
    assert " ".join(plain(xhtml).split(" ")).strip(" ").replace("  ", " ") == text


@pytest.mark.parametrize("piece", ["<", "<!--", '<a b="', "<a ", "&", "&#", "<!---->", "x", "x "])
def test_whatever_is_sent_takes_linear_time(piece: str) -> None:
    begin = time.process_time()
    found = places(condition(narrative=piece * (4_000_000 // len(piece))))
    assert time.process_time() - begin < 2
    assert sum(map(len, found.values())) <= 2 * PLACES_MAX


def condition(narrative: str = "", **more: Any) -> dict[str, Any]:
    text = {"status": "generated", "div": narrative}
    return {"resourceType": "Condition", "text": text, **more}


def test_the_narrative_is_marked_and_parted_from_the_rest() -> None:
    found = places(
        condition("<div>tim</div>", code={"text": "tim", "coding": [{"display": "gan"}]})
    )
    (first, second), (third,) = found["tim"], found["gan"]
    assert first == NARRATIVE + 1
    assert second < NARRATIVE
    assert third == second + 2  # a place apart


def test_what_is_read_and_what_is_not() -> None:
    resource = {
        "resourceType": "Patient",
        "id": "id",
        "meta": {"tag": [{"display": "tag"}]},
        "language": "vi",
        "extension": [{"url": "http://url", "valueCodeableConcept": {"text": "kinh"}}],
        "identifier": [{"system": "http://s", "value": "0123", "type": {"text": "card"}}],
        "name": [{"text": "Ngô Oanh", "_text": {"extension": [{"valueString": "said"}]}}],
        "_birthDate": {"extension": [{"url": "u", "valueMarkdown": "about"}]},
        "birthDate": "1990-01-01",
        "telecom": [{"value": "0912", "system": "phone"}],
        "address": [{"line": ["1 Hàng Bài", None], "_line": [None, {"id": "x"}]}],
        "maritalStatus": {"coding": [{"code": "M", "version": "9", "display": "wed"}]},
        "generalPractitioner": [{"reference": "Practitioner/1", "display": "BS"}],
        "contained": [{"resourceType": "Organization", "name": "clinic", "id": "o"}],
    }
    assert set(places(resource)) == {
        *("kinh", "card", "ngo", "oanh", "said", "about", "1", "hang", "bai", "wed", "bs"),
        "clinic",
    }


def test_what_comes_twice_counts_once() -> None:
    found = places(condition(code={"text": "gan", "coding": [{"display": "gan"}]}))
    assert len(found["gan"]) == 1


def test_hostile_texts_are_cut() -> None:
    many = [{"text": " ".join(f"{n}x{i}" for i in range(5_000))} for n in range(20)]
    found = places(condition(note=many))
    assert sum(map(len, found.values())) <= PLACES_MAX
    wide = [{"text": " ".join(f"{'𐐨' * 60}{i}" for i in range(500))} for _ in range(20)]
    assert sum(map(len, places(condition(note=wide)))) <= CHARACTERS_MAX
    assert len(places(condition("a " * 10_000))["a"]) == WORD_PLACES_MAX


def test_a_resource_of_no_narrative() -> None:
    assert places({"resourceType": "Binary", "contentType": "text/plain", "data": "aGE="}) == {}
