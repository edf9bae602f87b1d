"""Limits are settings, each with a clear answer."""

from collections.abc import Iterator

import httpx
import pytest

from api.patients import resident
from servers import serving


@pytest.fixture(scope="module")
def small(module_database: str) -> Iterator[httpx.Client]:
    """A server with small limits, and references not checked."""
    settings = {
        "body_bytes_max": "5000",
        "bundle_entries_max": "3",
        "references": "accept",
        "nesting_max": "20",
    }
    with (
        serving(module_database, **settings) as server,
        httpx.Client(base_url=server.fhir) as client,
    ):
        yield client


def test_a_body_over_the_limit_is_413(small: httpx.Client) -> None:
    answer = small.post("/Patient", json=resident(active=True) | {"text": "x" * 6000})
    assert answer.status_code == 413
    assert "5000" in answer.json()["issue"][0]["details"]["text"]
    assert small.get("/metadata").status_code == 200


def test_a_body_without_length_is_counted_while_it_comes(small: httpx.Client) -> None:
    answer = small.post("/Patient", content=(b"x" * 1000 for _ in range(10)))
    assert answer.status_code == 413


def test_too_many_entries_are_413(small: httpx.Client) -> None:
    entry = {"request": {"method": "GET", "url": "Patient/1"}}
    bundle = {"resourceType": "Bundle", "type": "batch", "entry": [entry] * 4}
    answer = small.post("/", json=bundle)
    assert answer.status_code == 413
    assert "at most 3" in answer.json()["issue"][0]["details"]["text"]


def test_nesting_over_the_limit_is_400(small: httpx.Client) -> None:
    deep = b'{"extension":[' * 11 + b"{}" + b"]}" * 11
    body = b'{"resourceType":"Patient","extension":[' + deep + b"]}"
    answer = small.post("/Patient", content=body)
    assert answer.status_code == 400
    assert "20 levels" in answer.json()["issue"][0]["details"]["text"]


def test_many_criteria_are_refused_before_they_cost(small: httpx.Client) -> None:
    criteria = [("name", f"a{number}") for number in range(300)]
    answer = small.get("/Patient", params=criteria)
    assert answer.status_code == 400
    assert answer.json()["issue"][0]["code"] == "too-costly"


def test_references_to_nothing_are_accepted_where_the_site_says_so(small: httpx.Client) -> None:
    child = {"resourceType": "RelatedPerson", "patient": {"reference": "Patient/elsewhere"}}
    assert small.post("/RelatedPerson", json=child).status_code == 201


def test_without_authentication_only_loopback_is_served() -> None:
    with (
        pytest.raises(AssertionError, match="authentication"),
        serving("postgresql:///nowhere", "--host=0.0.0.0"),
    ):
        pass
