"""Conditional update: https://hl7.org/fhir/R4/http.html#cond-update"""

from typing import Any

import httpx
import pytest

from api.patients import CCCD, REVIEWED, resident

pytestmark = pytest.mark.smoke


def about(number: str) -> dict[str, str]:
    return {"identifier": f"{CCCD}|{number}"}


def count(client: httpx.Client, number: str) -> int:
    total: int = client.get("/Patient", params=about(number)).json()["total"]
    return total


def test_no_match_and_no_id_creates(client: httpx.Client) -> None:
    """No matches, no id provided: the server creates the resource."""
    answer = client.put("/Patient", params=about("001174001001"), json=resident("001174001001"))
    assert answer.status_code == 201
    assert answer.headers["Location"].endswith("/_history/1")
    assert count(client, "001174001001") == 1


def test_no_match_and_an_id_is_update_as_create(client: httpx.Client) -> None:
    """No matches, id provided: the interaction is an Update as Create."""
    sent = resident("001174001002", id="his-own-id")
    answer = client.put("/Patient", params=about("001174001002"), json=sent)
    assert (answer.status_code, answer.json()["id"]) == (201, "his-own-id")


def test_no_match_and_an_id_that_is_taken_by_another_is_409(client: httpx.Client) -> None:
    client.put("/Patient/taken", json=resident("001174001003", id="taken"))
    sent = resident("001174001004", id="taken")
    answer = client.put("/Patient", params=about("001174001004"), json=sent)
    assert answer.status_code == 409
    assert answer.json()["issue"][0]["expression"] == ["Patient.id"]
    assert client.get("/Patient/taken").headers["ETag"] == 'W/"1"'


def test_one_match_is_updated(client: httpx.Client) -> None:
    """One match, no id provided or that of the match."""
    first = client.post("/Patient", json=resident("001174001005")).json()
    sent = resident("001174001005", active=True)
    answer = client.put("/Patient", params=about("001174001005"), json=sent)
    assert (answer.status_code, answer.headers["ETag"]) == (200, 'W/"2"')
    again = client.put(
        "/Patient", params=about("001174001005"), json={**sent, "id": first["id"], "active": False}
    )
    assert (again.status_code, again.json()["id"]) == (200, first["id"])
    assert count(client, "001174001005") == 1


def test_one_match_with_another_id_than_the_body_is_400(client: httpx.Client) -> None:
    """The server returns 400 indicating that the client id specification was a problem."""
    client.post("/Patient", json=resident("001174001006"))
    sent = resident("001174001006", id="another")
    answer = client.put("/Patient", params=about("001174001006"), json=sent)
    assert answer.status_code == 400
    assert answer.json()["issue"][0]["expression"] == ["Patient.id"]
    assert client.get("/Patient/another").status_code == 404


def test_several_matches_are_412(client: httpx.Client) -> None:
    """The server returns 412 indicating that the criteria were not selective enough."""
    for _ in range(2):
        client.post("/Patient", json=resident("001174001007"), headers=REVIEWED)
    answer = client.put("/Patient", params=about("001174001007"), json=resident("001174001007"))
    assert answer.status_code == 412


def test_the_same_content_again_makes_no_version(client: httpx.Client) -> None:
    for status in (201, 200, 200):
        answer = client.put("/Patient", params=about("001174001008"), json=resident("001174001008"))
        assert (answer.status_code, answer.headers["ETag"]) == (status, 'W/"1"')


def test_if_match_and_if_none_match_hold_too(client: httpx.Client) -> None:
    asked: Any = {"params": about("001174001009"), "json": resident("001174001009")}
    assert client.put("/Patient", **asked, headers={"If-Match": 'W/"1"'}).status_code == 412
    assert client.put("/Patient", **asked, headers={"If-None-Match": "*"}).status_code == 201
    assert client.put("/Patient", **asked, headers={"If-None-Match": "*"}).status_code == 412
    assert client.put("/Patient", **asked, headers={"If-Match": 'W/"1"'}).status_code == 200


@pytest.mark.parametrize("query", ["", "?", "?_pretty=true", "?_count=1", "?_sort=name", "?x=1"])
def test_criteria_that_ask_for_nothing_are_400(client: httpx.Client, query: str) -> None:
    """They would mean every resource of the type."""
    answer = client.put(f"/Patient{query}", json=resident("001174001010"))
    assert answer.status_code == 400
    assert count(client, "001174001010") == 0


def test_in_a_transaction_links_lead_to_what_is_meant(client: httpx.Client) -> None:
    first = client.post("/Patient", json=resident("001174001011")).json()
    url = f"Patient?identifier={CCCD}|001174001011"
    urn = "urn:uuid:61ebe359-bfdc-4613-8bf2-c5e300945f0a"
    bundle = {
        "resourceType": "Bundle",
        "type": "transaction",
        "entry": [
            {
                "fullUrl": urn,
                "resource": resident("001174001011", active=True),
                "request": {"method": "PUT", "url": url},
            },
            {
                "resource": {
                    "resourceType": "Observation",
                    "status": "final",
                    "code": {"text": "x"},
                    "subject": {"reference": urn},
                },
                "request": {"method": "POST", "url": "Observation"},
            },
        ],
    }
    answer = client.post("/", json=bundle)
    assert [entry["response"]["status"][:3] for entry in answer.json()["entry"]] == ["200", "201"]
    found = client.get("/Observation", params={"subject": first["id"]}).json()
    assert found["total"] == 1
    assert client.get(f"/Patient/{first['id']}").json()["active"] is True


def test_two_entries_that_mean_one_resource_are_refused(client: httpx.Client) -> None:
    """The resources of a transaction SHALL NOT overlap (http.html#trules)."""
    first = client.post("/Patient", json=resident("001174001012")).json()
    by_criteria = {"method": "PUT", "url": f"Patient?identifier={CCCD}|001174001012"}
    by_id = {"method": "PUT", "url": f"Patient/{first['id']}"}
    entries = [
        {"resource": resident("001174001012", active=True), "request": by_criteria},
        {"resource": {**first, "active": False}, "request": by_id},
    ]
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
    assert client.post("/", json=bundle).status_code == 400
    assert client.get(f"/Patient/{first['id']}").headers["ETag"] == 'W/"1"'


def test_two_entries_of_the_same_criteria_are_refused(client: httpx.Client) -> None:
    request = {"method": "PUT", "url": f"Patient?identifier={CCCD}|001174001013"}
    entries = [{"resource": resident("001174001013"), "request": request}] * 2
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
    assert client.post("/", json=bundle).status_code == 400
    assert count(client, "001174001013") == 0


def test_an_id_that_is_none_is_400(client: httpx.Client) -> None:
    for id_ in (["a"], 7, "", "a b"):
        sent = resident("001174001014", id=id_)
        answer = client.put("/Patient", params=about("001174001014"), json=sent)
        assert answer.status_code == 400
    assert count(client, "001174001014") == 0
