"""`_text` and `_content`: https://hl7.org/fhir/R4/search.html#text"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from ehr_server.access.caller import LOOPBACK
from ehr_server.changes.change import Means
from ehr_server.errors import Invalid
from ehr_server.jobs.reindex import reindex_now
from ehr_server.search.parse import parse
from ehr_server.validation.rulebook import Rulebook
from searching import HERE, Record, record

DIV = '<div xmlns="http://www.w3.org/1999/xhtml">{}</div>'


def condition(id_: str, narrative: str = "", code: str = "", **more: Any) -> dict[str, Any]:
    found = {"resourceType": "Condition", "id": id_, "subject": {"display": "Ai đó"}, **more}
    if narrative:
        found["text"] = {"status": "generated", "div": DIV.format(narrative)}
    if code:
        found["code"] = {"text": code}
    return found


@pytest.fixture(scope="module")
def here(module_database: str) -> Iterator[Record]:
    with record(module_database) as found:
        found.put(
            condition("lung", "<p>Viêm phổi <b>nặ</b>ng</p><p>hai bên</p>", "Viêm phổi"),
            condition("liver", "Viêm&#160;gan &amp; xơ gan &#273;&#227; lâu", "Viêm gan B"),
            condition("sugar", code="Đái tháo đường típ 2"),
            condition("bone", "bone metastases", note=[{"text": "x-quang 120/80"}]),
            condition("mole", code="Nốt ruồi"),
            {
                "resourceType": "Condition",
                "id": "bare",
                "subject": {"reference": "urn:uuid:5b1ccd1e-ff8c-4b3c-9d41-0b0a7f0c0ed1"},
            },
            {
                "resourceType": "Composition",
                "id": "book",
                "status": "final",
                "type": {"text": "Sổ khám"},
                "date": "2026-01-01",
                "author": [{"display": "BS. Ánh"}],
                "title": "Khám định kỳ",
                "text": {"status": "generated", "div": DIV.format("Loại hai")},
                "section": [{"text": {"status": "generated", "div": DIV.format("Tim đều")}}],
            },
        )
        yield found


@pytest.mark.covers("every", "_text", "_content")
@pytest.mark.parametrize(
    ("search", "ids"),
    [
        # "The special text search parameters, _text and _content, search on the narrative of the
        # resource, and the entire content of the resource respectively."
        ("_text=viem", ["lung", "liver"]),
        ("_text=duong", []),
        ("_content=duong", ["sugar"]),
        ("_content=metastases", ["bone"]),
        # The example of the standard.
        ("_text=(bone OR liver) and metastases", ["bone"]),
        ("_text=(gan OR phoi) and viem", ["lung", "liver"]),
        # tones, case, composition
        ("_content=ĐÁI THÁO", ["sugar"]),
        ("_content=da\u0301i tha\u0301o", ["sugar"]),
        ("_text=đã", ["liver"]),
        # all words; phrases; beginnings
        ("_text=bên viêm", ["lung"]),
        ('_text="viêm phổi"', ["lung"]),
        ("_text=“viêm phổi”", ["lung"]),
        ('_text="phổi viêm"', []),
        ('_text="phổi n*"', ["lung"]),
        ('_text="nặng hai"', ["lung"]),
        ('_content="đó viêm"', []),  # no phrase reaches from one text into another
        ("_content=metas*", ["bone"]),
        ("_content=metas", []),
        ("_content=x-quang", ["bone"]),
        ("_content=quang-x", []),
        ("_content=120/80", ["bone"]),
        # without
        ("_text=viêm -phổi", ["liver"]),
        ("_text=viêm NOT (phổi OR tim)", ["liver"]),
        ("_text=viêm -b", ["lung", "liver"]),
        ("_content=viêm -b", ["lung"]),
        ("_content=not ruoi", ["mole"]),  # in small letters a word: nốt
        # commas part alternatives, as everywhere
        ("_content=metastases,duong", ["sugar", "bone"]),
        ("_text=bone\\,metastases", ["bone"]),
        # a narrative without its tags
        ("_text=nang", ["lung"]),
        ("_text=xmlns", []),
        ("_text=p", []),
        ("_text=viem&_content=b", ["liver"]),
    ],
)
def test_words(here: Record, search: str, ids: list[str]) -> None:
    assert sorted(here.ids(f"Condition?{search}")) == sorted(ids)


def test_a_section_is_content_not_the_narrative_of_the_resource(here: Record) -> None:
    assert here.ids("Composition?_text=loai") == ["book"]
    assert here.ids("Composition?_text=tim") == []
    assert here.ids('Composition?_content="tim deu"') == ["book"]
    assert here.ids("Composition?_content=anh") == ["book"]


def test_a_type_finds_its_own(here: Record) -> None:
    assert here.ids("Composition?_content=viem") == []


def test_words_follow_the_resource(here: Record) -> None:
    here.put(condition("moving", "lời cũ"))
    assert here.ids("Condition?_text=cu") == ["moving"]
    here.put(condition("moving", "lời mới"))
    assert here.ids("Condition?_text=cu") == []
    assert here.ids("Condition?_text=moi") == ["moving"]
    here.delete("Condition", "moving")
    assert here.ids("Condition?_text=moi") == []
    with here.store.connection() as connection:
        words = connection.execute("select count(*) from full_text where words @@ 'moi'")
        assert words.fetchone() == (0,)


def test_words_are_kept_as_the_setting_says_once_it_is_indexed_again(database: str) -> None:
    with record(database) as own:
        own.put(condition("a", "lời"))
        for types, ids in ((frozenset[str](), []), (frozenset(("Condition",)), ["a"])):
            rules = replace(own.rules, full_text=types)
            means = Means(own.store, LOOPBACK, HERE, False, Rulebook(), rules)
            assert reindex_now(means, ["Condition"]) == 1
            assert own.ids("Condition?_text=loi") == ids


def test_without_words_there_is_no_row(here: Record) -> None:
    with here.store.connection() as connection:
        rows = connection.execute(
            "select count(*), count(f.key) from resource r left join full_text f using (comp, key)"
        ).fetchone()
    assert rows is not None
    assert rows[0] - rows[1] == 1  # `bare`


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("", "empty value"),
        ("...", "nothing to search for"),
        ('""', "nothing to search for"),
        ("*", "nothing to search for"),
        ('"viem phoi', "quotation mark"),
        ("(viem", "parenthesis"),
        ("viem)", "parenthesis"),
        ("viem ()", "without words beside it"),
        ("viem OR", "without words beside it"),
        ("AND viem", "without words beside it"),
        ("viem NOT", "without words beside it"),
        ("-viem", "must not be there"),
        ("viem OR -phoi", "must not be there"),
        (f"{'(' * 11}viem{')' * 11}", "more than 10 parentheses"),
        ("-" * 12 + "viem", "more than 10 parentheses"),
        ("a " * 51, "more than 50 words"),
    ],
)
def test_what_is_malformed_is_refused(here: Record, value: str, reason: str) -> None:
    with pytest.raises(Invalid) as refusal:
        parse("Condition", [("_content", value)], here.rules)
    (issue,) = refusal.value.issues
    assert reason in issue.text
    assert issue.text.startswith("The search parameter _content ")


@pytest.mark.parametrize("name", ["_text:contains", "_content:exact", "_text:missing"])
def test_there_are_no_modifiers(here: Record, name: str) -> None:
    with pytest.raises(Invalid, match="takes no modifier"):
        parse("Condition", [(name, "true")], here.rules)


def test_a_type_whose_words_are_not_kept_is_refused_with_the_setting(here: Record) -> None:
    rules = replace(here.rules, full_text=frozenset(("Composition",)))
    assert parse("Composition", [("_text", "tim")], rules).criteria
    with pytest.raises(Invalid) as refusal:
        parse("Condition", [("_text", "tim")], rules)
    (issue,) = refusal.value.issues
    assert issue.code == "not-supported"
    assert "full_text (EHR_FULL_TEXT)" in issue.text
    lenient = replace(rules, lenient=True)
    assert parse("Condition", [("_text", "tim")], lenient).ignored == (("_text", "tim"),)
