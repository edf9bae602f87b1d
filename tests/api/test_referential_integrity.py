"""Referential integrity: references lead somewhere, and what is referred to stays.

https://hl7.org/fhir/R4/http.html#delete, #trules, https://hl7.org/fhir/R4/references.html#literal
"""

from typing import Any

import httpx
import pytest

from api import patients
from api.patients import resident
from servers import serving

pytestmark = pytest.mark.smoke


def weight(patient: str, kilograms: str = "52.5") -> dict[str, Any]:
    """A body weight, its value as a number that httpx can write."""
    found = patients.weight(patient)
    found["valueQuantity"]["value"] = float(kilograms)
    return found


def _bundle(*entries: dict[str, Any]) -> dict[str, Any]:
    return {"resourceType": "Bundle", "type": "transaction", "entry": list(entries)}


def _entry(method: str, url: str, resource: dict[str, Any] | None = None) -> dict[str, Any]:
    request = {"request": {"method": method, "url": url}}
    return request if resource is None else {"resource": resource, **request}


@pytest.fixture
def person(client: httpx.Client) -> str:
    return f"Patient/{client.post('/Patient', json=resident()).json()['id']}"


def _created(client: httpx.Client, resource: dict[str, Any]) -> str:
    answer = client.post(f"/{resource['resourceType']}", json=resource)
    assert answer.status_code == 201, answer.text
    return f"{resource['resourceType']}/{answer.json()['id']}"


def test_what_others_refer_to_is_not_deleted(client: httpx.Client, person: str) -> None:
    """A server may refuse to delete what others refer to: 409, which tells who."""
    observation = _created(client, weight(person))
    answer = client.delete(f"/{person}")
    assert answer.status_code == 409
    text = answer.json()["issue"][0]["details"]["text"]
    assert f"{observation} (Observation.subject.reference)" in text
    assert "1 in all" in text
    assert client.get(f"/{person}").status_code == 200
    client.delete(f"/{observation}")
    assert client.delete(f"/{person}").status_code == 204


@pytest.mark.parametrize(
    ("place", "more"),
    [
        ("extension[0].valueReference", {"extension": [{"url": "http://a.b/c"}]}),
        ("contained[0].subject", {}),
        ("note[0].authorReference", {"note": [{"text": "said"}]}),
    ],
)
def test_references_that_no_search_knows(
    client: httpx.Client, place: str, more: dict[str, Any]
) -> None:
    """In an extension, a contained resource, or an element without a search parameter."""
    other = f"Patient/{client.post('/Patient', json=resident()).json()['id']}"
    holder: dict[str, Any] = {**weight(other), **more}
    del holder["subject"]
    reference = {"reference": other}
    if place.startswith("extension"):
        holder["extension"][0]["valueReference"] = reference
    elif place.startswith("note"):
        holder["note"][0]["authorReference"] = reference
    else:
        holder["contained"] = [{**weight(other), "id": "in"}]
        holder["derivedFrom"] = [{"reference": "#in"}]
    _created(client, holder)
    answer = client.delete(f"/{other}")
    assert answer.status_code == 409
    assert f"Observation.{place}.reference" in answer.json()["issue"][0]["details"]["text"]


def test_at_most_twenty_are_named_and_all_are_counted(client: httpx.Client, person: str) -> None:
    client.post("/", json=_bundle(*(_entry("POST", "Observation", weight(person)),) * 30))
    text = client.delete(f"/{person}").json()["issue"][0]["details"]["text"]
    assert "30 in all" in text
    assert text.count("Observation/") == 20
    assert "52.5" not in text


def test_deleted_along(client: httpx.Client, person: str) -> None:
    """`_cascade=delete`: what refers, and what refers to that, in one transaction."""
    part = _created(client, weight(person))
    whole = _created(client, {**weight(person), "hasMember": [{"reference": part}]})
    listed = _created(
        client,
        {
            "resourceType": "List",
            "status": "current",
            "mode": "working",
            "entry": [{"item": {"reference": whole}}],
        },
    )
    answer = client.delete(f"/{person}?_cascade=delete")
    assert answer.status_code == 200, answer.text
    text = answer.json()["issue"][0]["details"]["text"]
    assert "1 List, 2 Observation" in text
    for one in (person, part, whole, listed):
        assert client.get(f"/{one}").status_code == 410
        assert client.get(f"/{one}/_history/1").status_code == 200


def test_deleted_along_by_the_header_of_other_servers(client: httpx.Client, person: str) -> None:
    part = _created(client, weight(person))
    assert client.delete(f"/{person}", headers={"X-Cascade": "delete"}).status_code == 200
    assert client.get(f"/{part}").status_code == 410
    assert client.delete(f"/{person}?_cascade=all").status_code == 400


def test_deleted_along_by_criteria_and_in_a_bundle(client: httpx.Client) -> None:
    for number, url in enumerate(("Patient?identifier={0}&_cascade=delete", "Patient/{1}")):
        card = f"00117400077{number}"
        id_ = client.post("/Patient", json=resident(card)).json()["id"]
        part = _created(client, weight(f"Patient/{id_}"))
        if number:
            bundle = _bundle(_entry("DELETE", url.format(card, id_) + "?_cascade=delete"))
            answer = client.post("/", json=bundle)
            assert answer.json()["entry"][0]["response"]["status"] == "200 OK"
        else:
            answer = client.delete("/" + url.format(card, id_))
        assert answer.status_code == 200, answer.text
        assert client.get(f"/{part}").status_code == 410


def test_who_refers_may_be_deleted_or_changed_in_the_same_bundle(
    client: httpx.Client, person: str
) -> None:
    gone, changed = _created(client, weight(person)), _created(client, weight(person))
    other = f"Patient/{client.post('/Patient', json=resident('001174000888')).json()['id']}"
    update = {**weight(other), "id": changed.split("/")[1]}
    half = _bundle(_entry("DELETE", person), _entry("DELETE", gone))
    assert client.post("/", json=half).status_code == 409
    assert client.get(f"/{gone}").status_code == 200, "nothing was stored"
    whole = _bundle(
        _entry("DELETE", person), _entry("DELETE", gone), _entry("PUT", changed, update)
    )
    assert client.post("/", json=whole).status_code == 200
    assert client.get(f"/{person}").status_code == 410


def test_who_refers_to_what_the_same_bundle_deletes_is_refused(
    client: httpx.Client, person: str
) -> None:
    bundle = _bundle(_entry("DELETE", person), _entry("POST", "Observation", weight(person)))
    assert client.post("/", json=bundle).status_code == 422
    assert client.get(f"/{person}").status_code == 200


def test_a_local_reference_by_id_to_what_the_same_bundle_creates(client: httpx.Client) -> None:
    """#trules: references to resources of the same Bundle, in either order."""
    put = _entry("PUT", "Patient/by-id", resident("001174000999", id="by-id"))
    bundle = _bundle(_entry("POST", "Observation", weight("Patient/by-id")), put)
    assert client.post("/", json=bundle).status_code == 200
    alone = client.post("/Observation", json=weight("Patient/nobody"))
    assert (alone.status_code, client.get("/Patient/by-id").status_code) == (422, 200)
    assert alone.json()["issue"][0]["expression"] == ["Observation.subject.reference"]


@pytest.mark.parametrize(
    "reference",
    [
        {"identifier": {"system": "http://a.b/c", "value": "1"}},
        {"reference": "http://elsewhere.vn/fhir/Patient/1"},
        {"reference": "urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0"},
        {"display": "someone"},
    ],
)
def test_references_that_do_not_lead_here_are_fine(
    client: httpx.Client, reference: dict[str, Any]
) -> None:
    assert (
        client.post("/Observation", json={**weight("x"), "subject": reference}).status_code == 201
    )


def test_a_version_that_is_named_must_be_there(client: httpx.Client, person: str) -> None:
    """A version stays readable, so a reference to it does not stand in the way of a delete."""
    assert client.post("/Observation", json=weight(f"{person}/_history/2")).status_code == 422
    assert client.post("/Observation", json=weight(f"{person}/_history/a")).status_code == 422
    observation = _created(client, weight(f"{person}/_history/1"))
    assert client.delete(f"/{person}").status_code == 204
    assert (
        client.put(
            f"/{observation}",
            json={**weight(f"{person}/_history/1", "60"), "id": observation.split("/")[1]},
        ).status_code
        == 200
    )


def test_a_resource_that_refers_to_itself_can_be_deleted(client: httpx.Client) -> None:
    link = [{"other": {"reference": "Patient/self"}, "type": "seealso"}]
    client.put("/Patient/self", json=resident("001174000321", id="self", link=link))
    assert client.delete("/Patient/self").status_code == 204


def test_a_batch_and_a_conditional_delete_go_by_the_same_door(client: httpx.Client) -> None:
    id_ = client.post("/Patient", json=resident("001174000654")).json()["id"]
    _created(client, weight(f"Patient/{id_}"))
    assert client.delete("/Patient?identifier=001174000654").status_code == 409
    batch = {**_bundle(_entry("DELETE", f"Patient/{id_}")), "type": "batch"}
    (entry,) = client.post("/", json=batch).json()["entry"]
    assert entry["response"]["status"].startswith("409")


def test_the_capability_statement_says_enforced(client: httpx.Client) -> None:
    for resource in client.get("/metadata").json()["rest"][0]["resource"]:
        assert "enforced" in resource["referencePolicy"]


def test_limits_and_a_server_that_accepts(module_database: str) -> None:
    with (
        serving(module_database, cascade_max="2") as server,
        httpx.Client(base_url=server.fhir) as client,
    ):
        id_ = client.post("/Patient", json=resident("001174000987")).json()["id"]
        for _ in range(3):
            _created(client, weight(f"Patient/{id_}"))
        answer = client.delete(f"/Patient/{id_}?_cascade=delete")
        assert answer.status_code == 409
        assert "More than 2 " in answer.text
    with (
        serving(module_database, references="accept") as server,
        httpx.Client(base_url=server.fhir) as client,
    ):
        assert client.post("/Observation", json=weight("Patient/nobody")).status_code == 201
        assert client.delete(f"/Patient/{id_}").status_code == 204
