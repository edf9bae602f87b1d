"""create: https://hl7.org/fhir/R4/http.html#create"""

import httpx
import psycopg
import pytest

from api.patients import resident, weight
from ehr_server.fhir import json
from servers import Server

pytestmark = pytest.mark.smoke


def test_201_with_location_etag_and_last_modified(client: httpx.Client) -> None:
    """The server SHALL return 201 and a Location header which contains the new Logical Id and
    Version Id."""
    answer = client.post("/Patient", json=resident())
    assert answer.status_code == 201
    created = answer.json()
    assert answer.headers["Location"].endswith(f"/fhir/Patient/{created['id']}/_history/1")
    assert answer.headers["ETag"] == 'W/"1"'
    assert "GMT" in answer.headers["Last-Modified"]
    assert created["meta"]["versionId"] == "1"
    assert created["name"] == resident()["name"]


def test_an_id_in_the_body_is_ignored(client: httpx.Client) -> None:
    """If an id is provided, the server SHALL ignore it."""
    created = client.post("/Patient", json=resident(id="mine")).json()
    assert created["id"] != "mine"


def test_decimals_and_dates_come_back_as_sent(client: httpx.Client) -> None:
    """The precision of a decimal SHALL be preserved (datatypes.html#decimal)."""
    patient = client.post("/Patient", json=resident()).json()["id"]
    body = json.write(weight(f"Patient/{patient}", "107.50"))
    created = client.post("/Observation", content=body, headers=_JSON)
    read = client.get(f"/Observation/{created.json()['id']}").content
    assert b'"value":107.50,' in read
    assert b'"effectiveDateTime":"2026-10-05T08:30:00+07:00"' in read


def test_if_none_exist_finds_instead_of_creating_twice(client: httpx.Client) -> None:
    """One match: the server ignores the post and returns 200 (http.html#ccreate)."""
    criteria = {"If-None-Exist": "identifier=http://fhir.hl7.org.vn/core/sid/cccd|001174000111"}
    first = client.post("/Patient", json=resident("001174000111"), headers=criteria)
    again = client.post("/Patient", json=resident("001174000111"), headers=criteria)
    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json()["id"] == first.json()["id"]


def test_prefer_minimal_and_operation_outcome(client: httpx.Client) -> None:
    minimal = client.post("/Patient", json=resident(), headers={"Prefer": "return=minimal"})
    assert (minimal.status_code, minimal.content) == (201, b"")
    outcome = client.post(
        "/Patient", json=resident(), headers={"Prefer": "return=OperationOutcome"}
    )
    assert outcome.json()["resourceType"] == "OperationOutcome"


def test_a_reference_to_nothing_is_refused_with_its_place(client: httpx.Client) -> None:
    body = json.write(weight("Patient/nobody"))
    answer = client.post("/Observation", content=body, headers=_JSON)
    issue = answer.json()["issue"][0]
    assert answer.status_code == 422
    assert issue["expression"] == ["Observation.subject.reference"]
    assert "Patient/nobody" in issue["details"]["text"]


def test_the_servers_own_address_is_left_out_of_references(
    server: Server, client: httpx.Client
) -> None:
    """A record outlives the address it was written at; found by either form."""
    patient = client.post("/Patient", json=resident()).json()["id"]
    address = f"{server.fhir}/Patient/{patient}"
    created = client.post("/Observation", content=json.write(weight(address)), headers=_JSON)
    assert created.json()["subject"]["reference"] == f"Patient/{patient}"
    for target in (address, f"Patient/{patient}"):
        found = client.get("/Observation", params={"subject": target}).json()
        assert found["total"] == 1


def test_a_refused_create_leaves_no_sender(client: httpx.Client, module_database: str) -> None:
    body = {**weight("Patient/nobody"), "meta": {"source": "http://his.example/refused"}}
    assert client.post("/Observation", content=json.write(body), headers=_JSON).status_code == 422
    with psycopg.connect(module_database) as connection:
        senders = connection.execute("select name from sender").fetchall()
    assert ("http://his.example/refused",) not in senders


_JSON = {"Content-Type": "application/fhir+json"}
