"""What PostgreSQL finds by words is what a plain reading of the resource finds, whatever is asked.

https://hl7.org/fhir/R4/search.html#text
"""

from collections.abc import Iterator
from typing import Any
from unicodedata import normalize

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ehr_server.search import sought
from ehr_server.search.malformed import Malformed
from ehr_server.search.words import places
from ehr_server.store.vectors import vector

_SYLLABLES = (
    *("viêm", "phổi", "gan", "đái", "tháo", "đường", "ĐƯỜNG", "tim", "ti", "nốt", "Ánh", "ﬁ"),
    *("a", "ab", "x-quang", "120/80", "R\u0302", "\u0301", "'", "\\", "𐐨", "ខ្មែរ", "&amp;", "<"),
    *("&#273;", "&#0;", "<b>t</b>im", "<br/>", "&lt;p&gt;"),
)
_FORMS = st.sampled_from(("NFC", "NFD"))
_TEXTS = st.builds(
    lambda parts, form, mark: normalize(form, mark.join(parts)),
    st.lists(st.sampled_from(_SYLLABLES), max_size=8),
    _FORMS,
    st.sampled_from((" ", "", ", ")),
)
_RESOURCES = st.builds(
    lambda narrative, texts: {
        "resourceType": "Condition",
        "text": {"div": f"<div>{narrative}</div>"},
        "note": [{"text": text} for text in texts],
    },
    _TEXTS,
    st.lists(_TEXTS, max_size=4),
)
_SIGNS = ("AND", "or", "OR", "NOT", "(", ")", '"', '"viêm phổi"', '"tim a*"', "-(", "(tim OR")
_ASKED = (*_SYLLABLES, *(f"{one}*" for one in _SYLLABLES), *(f"-{one}" for one in _SYLLABLES))
_SEARCHES = st.builds(
    lambda parts, form: normalize(form, " ".join(parts)),
    st.lists(st.sampled_from((*_ASKED, *_SIGNS)), max_size=8),
    _FORMS,
)


@pytest.fixture(scope="module")
def connection(module_database: str) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(module_database, autocommit=True) as opened:
        yield opened


def _read(text: str) -> sought.Sought | None:
    try:
        return sought.read(text)
    except Malformed:
        return None


@given(text=st.text() | _SEARCHES | st.text(alphabet="\"()-*' \\:&|!<>ab\u0300"))
def test_a_text_is_malformed_or_a_tsquery(connection: psycopg.Connection[Any], text: str) -> None:
    found = _read(text.replace("\0", ""))
    if found is not None:
        for weight in ("", "A"):
            row = connection.execute(
                "select numnode(%s::tsquery)", (sought.tsquery(found, weight),)
            ).fetchone()
            assert row is not None
            assert row[0] > 0


@given(resource=_RESOURCES, text=_SEARCHES)
def test_found_is_what_is_met(
    connection: psycopg.Connection[Any], resource: dict[str, Any], text: str
) -> None:
    term = _read(text)
    if term is None:
        return
    where = places(resource)
    for weight in ("", "A"):
        row = connection.execute(
            "select %s::tsvector @@ %s::tsquery", (vector(where), sought.tsquery(term, weight))
        ).fetchone()
        assert row == (sought.is_met(term, where, is_narrative=bool(weight)),)


@given(resource=_RESOURCES)
def test_a_resource_is_found_by_each_of_its_texts(resource: dict[str, Any]) -> None:
    where = places(resource)
    for note in resource["note"]:
        term = _read('"' + note["text"].replace('"', " ") + '"')
        assert term is None or sought.is_met(term, where)


@given(
    resource=_RESOURCES
    | st.builds(
        lambda text: {"resourceType": "Condition", "note": [{"text": text}]},
        st.text(st.characters(exclude_categories=("Cs",)), max_size=200),
    )
)
def test_a_vector_is_read_as_it_was_meant(
    connection: psycopg.Connection[Any], resource: dict[str, Any]
) -> None:
    where = places(resource)
    rows = connection.execute(
        "select lexeme, positions, weights from unnest(%s::tsvector)", (vector(where),)
    ).fetchall()
    assert {word: len(several) for word, several, _ in rows} == {
        word: len(several) for word, several in where.items()
    }
    for word, several, weights in rows:
        meant = [(one & 0x3FFF, "DCBA"[one >> 14]) for one in where[word]]
        assert list(zip(several, weights, strict=True)) == meant


def test_the_largest_vector_there_can_be(connection: psycopg.Connection[Any]) -> None:
    def text(plane: int) -> str:
        letters = [chr(plane + at) for at in range(0x100)]
        return " ".join(
            letters[at % 256] + letters[at // 256] + letters[7] * 30 for at in range(9_000)
        )

    resource = {
        "resourceType": "Condition",
        "text": {"div": text(0x20000)},
        "note": [{"text": text(0x20400)}],
    }
    where = places(resource)
    row = connection.execute("select length(%s::tsvector)", (vector(where),)).fetchone()
    assert row == (len(where),)
    assert len(where) > 6_000
