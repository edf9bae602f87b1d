"""CORS by the setting `cors_origins`: https://fetch.spec.whatwg.org/#http-cors-protocol"""

from collections.abc import Iterator

import httpx
import pytest

from api.patients import resident
from databases import PostgreSQL
from servers import serving

_APP, _OTHER = "https://app.example.vn", "https://evil.example"
_ASKED = {"Access-Control-Request-Method": "PUT", "Access-Control-Request-Headers": "if-match"}


@pytest.fixture(scope="module")
def listed(module_database: str) -> Iterator[httpx.Client]:
    """A server that two origins may call."""
    origins = f"{_APP}, http://localhost:3000"
    with (
        serving(module_database, cors_origins=origins) as server,
        httpx.Client(base_url=server.fhir, timeout=30) as client,
    ):
        yield client


@pytest.fixture(scope="module")
def anybody(given_postgresql: PostgreSQL) -> Iterator[httpx.Client]:
    """A server that pages of all origins may call."""
    with (
        given_postgresql.database() as url,
        serving(url, cors_origins="*") as server,
        httpx.Client(base_url=server.fhir, timeout=30) as client,
    ):
        yield client


def _names(answer: httpx.Response, header: str) -> set[str]:
    return set(answer.headers[header].split(", "))


def test_off_by_default(shared_client: httpx.Client) -> None:
    answer = shared_client.get("/metadata", headers={"Origin": _APP})
    assert not [name for name in answer.headers if name.startswith("access-control")]
    assert answer.json()["rest"][0]["security"]["cors"] is False
    asked = shared_client.options("/Patient/1", headers={"Origin": _APP, **_ASKED})
    assert not [name for name in asked.headers if name.startswith("access-control")]


@pytest.mark.parametrize("origin", [_APP, "http://localhost:3000"])
def test_a_page_of_a_listed_origin_may_ask_what_it_may_send(
    listed: httpx.Client, origin: str
) -> None:
    """https://fetch.spec.whatwg.org/#cors-preflight-request"""
    answer = listed.options("/Patient/1", headers={"Origin": origin, **_ASKED})
    assert (answer.status_code, answer.content) == (204, b"")
    assert answer.headers["Access-Control-Allow-Origin"] == origin
    assert {"GET", "PUT", "PATCH", "DELETE"} <= _names(answer, "Access-Control-Allow-Methods")
    assert {
        *("Authorization", "Accept", "Content-Type", "If-Match", "If-None-Match", "If-None-Exist"),
        *("If-Modified-Since", "Prefer", "Idempotency-Key", "X-Request-Id", "X-Security-Context"),
        *("X-Purpose-Of-Use", "X-Purpose-Reason"),  # docs/guides/access.md
    } <= _names(answer, "Access-Control-Allow-Headers")
    assert int(answer.headers["Access-Control-Max-Age"]) > 0
    assert "Origin" in _names(answer, "Vary")


def test_a_page_of_a_listed_origin_reads_the_answer_and_its_headers(listed: httpx.Client) -> None:
    answer = listed.post("/Patient", json=resident(), headers={"Origin": _APP})
    assert answer.status_code == 201
    assert answer.headers["Access-Control-Allow-Origin"] == _APP
    assert answer.headers["Access-Control-Allow-Credentials"] == "true"
    assert {
        *("ETag", "Location", "Content-Location", "Last-Modified", "X-Request-Id", "Retry-After"),
        *("X-Progress", "Preference-Applied", "Idempotency-Replayed"),
    } <= _names(answer, "Access-Control-Expose-Headers")


@pytest.mark.parametrize("path", ["/Patient/nobody", "/Nonsense", "/Patient?_count=x"])
def test_refusals_can_be_read_too(listed: httpx.Client, path: str) -> None:
    answer = listed.get(path, headers={"Origin": _APP})
    assert answer.status_code >= 400
    assert answer.headers["Access-Control-Allow-Origin"] == _APP


@pytest.mark.parametrize(
    "origin", [_OTHER, "null", f"{_APP}.evil.example", "http://app.example.vn"]
)
def test_pages_of_other_origins_may_not(listed: httpx.Client, origin: str) -> None:
    for answer in (
        listed.get("/metadata", headers={"Origin": origin}),
        listed.options("/Patient/1", headers={"Origin": origin, **_ASKED}),
    ):
        assert not [name for name in answer.headers if name.startswith("access-control")]
        assert "Origin" in answer.headers["Vary"]  # or a cache would give it to the others


def test_who_is_no_browser_is_answered_as_ever(listed: httpx.Client) -> None:
    answer = listed.get("/metadata")
    assert answer.status_code == 200
    assert "Origin" in answer.headers["Vary"]
    assert answer.json()["rest"][0]["security"]["cors"] is True


def test_all_origins_send_no_credentials(anybody: httpx.Client) -> None:
    """https://fetch.spec.whatwg.org/#cors-protocol-and-credentials"""
    for answer in (
        anybody.get("/metadata", headers={"Origin": _OTHER}),
        anybody.options("/Patient/1", headers={"Origin": "null", **_ASKED}),
    ):
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
        assert "Access-Control-Allow-Credentials" not in answer.headers


def test_options_without_a_question_is_no_preflight(anybody: httpx.Client) -> None:
    answer = anybody.options("/metadata", headers={"Origin": _OTHER})
    assert (answer.status_code, answer.headers["Allow"]) == (204, "GET, HEAD, OPTIONS")
