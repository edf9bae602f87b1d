"""https://hl7.org/fhir/R4/http.html#paging"""

from base64 import urlsafe_b64decode
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from ehr_server.errors import Invalid
from ehr_server.search.page import Keyset, seal, unseal
from ehr_server.search.parse import parse
from ehr_server.search.query import Query
from ehr_server.search.rules import Rules

KEY = bytes(range(32))
KEYSET = Keyset((datetime(1958, 6, 1, tzinfo=UTC), "nguyen", 1.5), 7, 120)


def query(*pairs: tuple[str, str]) -> Query:
    return parse("Patient", pairs, Rules(ZoneInfo("Asia/Ho_Chi_Minh")))


NAME = query(("name", "hoa"), ("birthdate", "ap1958"))


def test_a_token_brings_back_the_row_and_shows_nothing_of_it() -> None:
    token = seal(KEYSET, NAME, KEY)
    assert unseal(token, NAME, KEY) == KEYSET
    assert b"nguyen" not in urlsafe_b64decode(token + "==")
    assert seal(KEYSET, NAME, KEY) != token


def test_a_token_serves_the_same_search_in_pages_of_any_size() -> None:
    same = query(("name", "hoa"), ("birthdate", "ap1958"), ("_count", "3"))
    assert unseal(seal(KEYSET, NAME, KEY), same, KEY) == KEYSET


@pytest.mark.parametrize(
    "other",
    [
        query(("name", "ho"), ("birthdate", "ap1958")),
        query(("name", "hoa")),
        query(("name", "hoa"), ("birthdate", "ap1958"), ("_sort", "name")),
    ],
)
def test_a_token_of_another_search_is_refused(other: Query) -> None:
    with pytest.raises(Invalid, match="not a page of this search"):
        unseal(seal(KEYSET, NAME, KEY), other, KEY)


@pytest.mark.parametrize("token", ["", "x", "é", "A" * 60, "%%%"])
def test_what_is_no_token_is_refused(token: str) -> None:
    with pytest.raises(Invalid, match="not a page of this search"):
        unseal(token, NAME, KEY)


def test_a_token_of_another_server_is_refused() -> None:
    with pytest.raises(Invalid, match="not a page of this search"):
        unseal(seal(KEYSET, NAME, KEY), NAME, bytes(32))
