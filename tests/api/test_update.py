"""update: https://hl7.org/fhir/R4/http.html#update"""

import httpx
import pytest

from api.patients import resident, weight
from ehr_server.fhir import json

pytestmark = pytest.mark.smoke


def test_update_makes_the_next_version(client: httpx.Client) -> None:
    first = client.post("/Patient", json=resident()).json()
    answer = client.put(f"/Patient/{first['id']}", json={**first, "active": True})
    assert answer.status_code == 200
    assert answer.headers["ETag"] == 'W/"2"'
    assert client.get(f"/Patient/{first['id']}").json() == answer.json()


def test_a_client_may_choose_the_id(client: httpx.Client) -> None:
    """Update as create (http.html#upsert): 201."""
    answer = client.put("/Patient/chosen.Id-1", json=resident(id="chosen.Id-1"))
    assert answer.status_code == 201
    assert client.get("/Patient/chosen.Id-1").json()["id"] == "chosen.Id-1"


@pytest.mark.parametrize("id_", ["001174000456", "001-174-000-456", "GD4013987654321"])
def test_no_client_chooses_a_number_of_the_person(client: httpx.Client, id_: str) -> None:
    """An id stands in every address, which others read (http.html#security)."""
    for address in (f"/Patient/{id_}", "/Patient?identifier=nobody-has-it"):
        answer = client.put(address, json=resident(id=id_))
        assert answer.status_code == 400
        assert answer.json()["issue"][0]["expression"] == ["Patient.id"]
        assert id_ not in answer.text
    assert client.get(f"/Patient/{id_}").status_code == 404


def test_the_same_content_again_makes_no_new_version(client: httpx.Client) -> None:
    sent = resident(id="same")
    for status in (201, 200, 200):
        answer = client.put("/Patient/same", json=sent)
        assert (answer.status_code, answer.headers["ETag"]) == (status, 'W/"1"')


@pytest.mark.parametrize("body", [{"id": "other"}, {}])
def test_the_id_in_the_body_must_be_that_of_the_address(
    client: httpx.Client, body: dict[str, str]
) -> None:
    """If no id or a wrong one is provided, the server SHALL respond with 400."""
    answer = client.put("/Patient/this", json=resident(**body))
    assert answer.status_code == 400
    assert answer.json()["issue"][0]["expression"] == ["Patient.id"]


def test_if_match_guards_against_the_lost_update(client: httpx.Client) -> None:
    """412 when the version is not the current one (http.html#concurrency)."""
    first = client.post("/Patient", json=resident()).json()
    address = f"/Patient/{first['id']}"
    old = {"If-Match": 'W/"1"'}
    assert client.put(address, json={**first, "active": True}, headers=old).status_code == 200
    answer = client.put(address, json={**first, "active": False}, headers=old)
    assert answer.status_code == 412
    assert client.get(address).json()["active"] is True
    bad = {"If-Match": "one"}
    assert client.put(address, json=first, headers=bad).status_code == 400


def test_if_none_match_star_only_creates(client: httpx.Client) -> None:
    only_new = {"If-None-Match": "*"}
    first = client.put("/Patient/once", json=resident(id="once"), headers=only_new)
    again = client.put("/Patient/once", json=resident(id="once"), headers=only_new)
    assert (first.status_code, again.status_code) == (201, 412)


def test_a_result_moves_to_another_patient_with_its_history(client: httpx.Client) -> None:
    for id_ in ("move-a", "move-b"):
        client.put(f"/Patient/{id_}", json=resident(id=id_))
    for version, owner in enumerate(("move-a", "move-b"), 1):
        body = json.write({**weight(f"Patient/{owner}"), "id": "moved"})
        answer = client.put(
            "/Observation/moved", content=body, headers={"Content-Type": "application/json"}
        )
        assert answer.headers["ETag"] == f'W/"{version}"'
    assert client.get("/Observation/moved/_history").json()["total"] == 2
    assert client.get("/Observation?patient=move-a").json()["total"] == 0
    assert client.get("/Observation?patient=Patient/move-b").json()["total"] == 1
