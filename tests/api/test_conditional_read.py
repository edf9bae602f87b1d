"""Conditional read: https://hl7.org/fhir/R4/http.html#cread"""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime, parsedate_to_datetime

import httpx
import pytest

from api.patients import resident


@pytest.fixture
def address(client: httpx.Client) -> str:
    return f"/Patient/{client.post('/Patient', json=resident()).json()['id']}"


def status(client: httpx.Client, address: str, **headers: str) -> int:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    answer = client.get(address, headers=named)
    assert (answer.status_code == 304) == (answer.content == b"")
    return answer.status_code


@pytest.mark.parametrize("tag", ['W/"1"', '"1"', "*", 'W/"9", W/"1"'])
def test_who_has_this_version_gets_304(client: httpx.Client, address: str, tag: str) -> None:
    """If-None-Match compares weakly: RFC 9110 13.1.2."""
    assert status(client, address, If_None_Match=tag) == 304


def test_who_has_another_version_gets_this_one(client: httpx.Client, address: str) -> None:
    assert status(client, address, If_None_Match='W/"2"') == 200


def test_if_modified_since_counts_in_seconds(client: httpx.Client, address: str) -> None:
    """RFC 9110 13.1.3: 304 where it is not newer than that."""
    written = client.get(address).headers["Last-Modified"]
    assert status(client, address, If_Modified_Since=written) == 304
    before = format_datetime(parsedate_to_datetime(written) - timedelta(seconds=1), usegmt=True)
    assert status(client, address, If_Modified_Since=before) == 200
    later = format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True)
    assert status(client, address, If_Modified_Since=later) == 304


def test_a_date_that_is_none_is_passed_over(client: httpx.Client, address: str) -> None:
    """A recipient MUST ignore the field if its value is not a valid HTTP-date."""
    for text in ("yesterday", "2026-11-26", ""):
        assert status(client, address, If_Modified_Since=text) == 200


def test_the_tag_goes_before_the_date(client: httpx.Client, address: str) -> None:
    """If-Modified-Since is ignored where there is an If-None-Match."""
    later = format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True)
    both = {"If_None_Match": 'W/"2"', "If_Modified_Since": later}
    assert status(client, address, **both) == 200
