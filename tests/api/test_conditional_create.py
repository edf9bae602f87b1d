"""Conditional create: https://hl7.org/fhir/R4/http.html#ccreate

That many at once leave one resource is in test_races.py.
"""

import httpx
import pytest

from api.patients import CCCD, REVIEWED, resident

pytestmark = pytest.mark.smoke


def unless(number: str) -> dict[str, str]:
    return {"If-None-Exist": f"identifier={CCCD}|{number}"}


def test_no_match_creates(client: httpx.Client) -> None:
    """No matches: the server processes the create as normal."""
    answer = client.post("/Patient", json=resident("001174003001"), headers=unless("001174003001"))
    assert answer.status_code == 201


def test_one_match_is_answered_and_the_body_ignored(client: httpx.Client) -> None:
    """One match: the server ignores the post and returns 200, with the Location of the match."""
    first = client.post("/Patient", json=resident("001174003002"))
    sent = resident("001174003002", active=True)
    again = client.post("/Patient", json=sent, headers=unless("001174003002"))
    assert (again.status_code, again.json()) == (200, first.json())
    assert again.headers["Location"] == first.headers["Location"]


def test_several_matches_are_412(client: httpx.Client) -> None:
    """The criteria were not selective enough."""
    for _ in range(2):
        client.post("/Patient", json=resident("001174003003"), headers=REVIEWED)
    answer = client.post("/Patient", json=resident("001174003003"), headers=unless("001174003003"))
    assert answer.status_code == 412
    assert client.get("/Patient", params={"identifier": "001174003003"}).json()["total"] == 2


@pytest.mark.parametrize("criteria", ["?", "_count=1", "_sort=name", "colour=red", "identifier="])
def test_criteria_that_ask_for_nothing_are_400(client: httpx.Client, criteria: str) -> None:
    headers = {"If-None-Exist": criteria}
    answer = client.post("/Patient", json=resident("001174003004"), headers=headers)
    assert answer.status_code == 400
    assert client.get("/Patient", params={"identifier": "001174003004"}).json()["total"] == 0


def test_a_deleted_match_is_none(client: httpx.Client) -> None:
    first = client.post("/Patient", json=resident("001174003005")).json()
    client.delete(f"/Patient/{first['id']}")
    answer = client.post("/Patient", json=resident("001174003005"), headers=unless("001174003005"))
    assert answer.status_code == 201
    assert answer.json()["id"] != first["id"]


def test_what_the_same_transaction_deletes_is_no_answer(client: httpx.Client) -> None:
    first = client.post("/Patient", json=resident("001174003006")).json()
    post = {"method": "POST", "url": "Patient", "ifNoneExist": f"identifier={CCCD}|001174003006"}
    entries = [
        {"resource": resident("001174003006"), "request": post},
        {"request": {"method": "DELETE", "url": f"Patient/{first['id']}"}},
    ]
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
    assert client.post("/", json=bundle).status_code == 400
    assert client.get(f"/Patient/{first['id']}").status_code == 200
