"""$document: a Composition with all that it refers to, as one Bundle.

https://hl7.org/fhir/R4/composition-operation-document.html,
https://hl7.org/fhir/R4/documents.html
"""

import re
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest

from api.patients import resident, weight
from ehr_server.fhir import json
from ehr_server.validation.rulebook import Rulebook
from servers import serving

CHECKUP = Path(__file__).parents[2] / "examples" / "01-checkup" / "checkup.json"


def put(client: httpx.Client, resource: dict[str, Any]) -> None:
    content = json.write(resource)
    answer = client.put(
        f"/{resource['resourceType']}/{resource['id']}",
        content=content,
        headers={"content-type": "application/fhir+json"},
    )
    assert answer.status_code in (200, 201), answer.text


def composition(id_: str, **more: Any) -> dict[str, Any]:
    return {
        "resourceType": "Composition",
        "id": id_,
        "status": "final",
        "type": {"text": "Khám sức khỏe"},
        "subject": {"reference": "Patient/ngop"},
        "date": "2026-10-05",
        "author": [{"reference": "Practitioner/doctor"}],
        "title": "Khám sức khỏe",
        **more,
    }


@pytest.fixture(scope="module", autouse=True)
def record(server: Any) -> None:
    """Ngọp, her hospital, a doctor, two weights of which one is taken for the other, and her
    brother's weight."""
    with httpx.Client(base_url=server.fhir, timeout=30) as client:
        put(client, {"resourceType": "Organization", "id": "hospital", "name": "Bệnh viện"})
        put(client, {"resourceType": "Practitioner", "id": "doctor", "active": True})
        hospital = {"reference": "Organization/hospital"}
        put(client, resident(id="ngop", managingOrganization=hospital))
        put(client, resident("001174000999", id="brother"))
        put(client, weight("Patient/brother") | {"id": "his"})
        put(client, weight("Patient/ngop") | {"id": "first"})
        derived = [{"reference": "Observation/first"}, {"reference": "Observation/his"}]
        put(client, weight("Patient/ngop") | {"id": "second", "derivedFrom": derived})
        section = [{"title": "Cân nặng", "entry": [{"reference": "Observation/second"}]}]
        put(client, composition("checkup", section=section))
        put(client, composition("lost", section=[{"entry": [{"reference": "Observation/his"}]}]))


def made(answer: httpx.Response) -> dict[str, Any]:
    assert answer.status_code == 200, answer.text
    bundle: dict[str, Any] = json.read(answer.content)
    assert bundle["type"] == "document"
    return bundle


def addresses(bundle: dict[str, Any]) -> list[str]:
    return [f"{one['resource']['resourceType']}/{one['resource']['id']}" for one in bundle["entry"]]


def test_a_document_is_the_composition_with_what_it_refers_to(client: httpx.Client) -> None:
    """First the Composition, then what it refers to, then what that refers to: but no further into
    the record of somebody else."""
    bundle = made(client.get("/Composition/checkup/$document"))
    assert addresses(bundle) == [
        "Composition/checkup",
        "Patient/ngop",
        "Practitioner/doctor",
        "Observation/second",
        "Organization/hospital",
        "Observation/first",
    ]


def test_it_has_an_identifier_and_a_time(client: httpx.Client) -> None:
    """https://hl7.org/fhir/R4/bundle.html#invs: bdl-9, bdl-10; each making is another document."""
    one, other = (made(client.get("/Composition/checkup/$document")) for _ in range(2))
    assert UUID(one["identifier"]["value"])
    assert one["identifier"] != other["identifier"]
    assert one["timestamp"]


def test_its_entries_lie_at_their_addresses(client: httpx.Client) -> None:
    """So that references lead to entries: https://hl7.org/fhir/R4/bundle.html#references."""
    for entry in made(client.get("/Composition/checkup/$document"))["entry"]:
        assert json.read(client.get(entry["fullUrl"]).content) == entry["resource"]


def test_it_is_valid(client: httpx.Client) -> None:
    bundle = made(client.get("/Composition/checkup/$document"))
    found = Rulebook().check(bundle, "Bundle")
    assert [one for one in found if one.severity in ("error", "fatal")] == []


def test_the_checkup_of_the_examples_is_a_whole_document(client: httpx.Client) -> None:
    sent = json.read(CHECKUP.read_bytes())
    number = sent["entry"][12]["resource"]["identifier"][0]["value"]
    text = CHECKUP.read_bytes().replace(number.encode(), b"001174000457")
    answer = client.post("/", content=text, headers={"content-type": "application/fhir+json"})
    assert answer.status_code == 200, answer.text
    stored = [one["response"]["location"].split("/_history")[0] for one in answer.json()["entry"]]
    (here,) = [one for one in stored if "Composition/" in one]
    bundle = made(client.get(f"{here}/$document"))
    inside = {entry["fullUrl"] for entry in bundle["entry"]}
    base = str(client.base_url).rstrip("/")
    for entry in bundle["entry"]:
        for reference in re.findall(r'"reference":"([^"]*)"', json.write(entry).decode()):
            assert f"{base}/{reference}" in inside
    assert len(inside) == len(bundle["entry"]) > 50
    found = Rulebook().check(bundle, "Bundle")
    assert [one for one in found if one.severity in ("error", "fatal")] == []


def test_what_the_composition_names_itself_comes_from_wherever_it_lies(
    client: httpx.Client,
) -> None:
    assert "Observation/his" in addresses(made(client.get("/Composition/lost/$document")))


def test_by_the_parameter_id(client: httpx.Client) -> None:
    """ "GET [base]/Composition/[id]/$document is identical in meaning to GET
    [base]/Composition/$document?id=[id]"."""
    whole = addresses(made(client.get("/Composition/checkup/$document")))
    for id_ in ("checkup", "Composition/checkup", f"{client.base_url}Composition/checkup"):
        found = made(client.get("/Composition/$document", params={"id": id_}))
        assert addresses(found) == whole


def test_by_post(client: httpx.Client) -> None:
    sent = {
        "resourceType": "Parameters",
        "parameter": [{"name": "id", "valueUri": "checkup"}],
    }
    found = made(client.post("/Composition/$document", json=sent))
    assert addresses(found)[0] == "Composition/checkup"
    assert made(client.post("/Composition/checkup/$document"))["entry"]


def test_persist_stores_it(client: httpx.Client) -> None:
    """ "It SHOULD be provided explicitly in the HTTP Location header in the response"."""
    answer = client.get("/Composition/checkup/$document?persist=true")
    bundle = made(answer)
    assert json.read(client.get(answer.headers["location"]).content) == bundle
    assert "id" not in made(client.get("/Composition/checkup/$document?persist=false"))


@pytest.mark.parametrize(
    ("reference", "named"),
    [
        ("http://elsewhere.example/fhir/Observation/1", "http://elsewhere.example"),
    ],
)
def test_what_is_not_here_is_named(client: httpx.Client, reference: str, named: str) -> None:
    """ "Either returns a full document bundle, or returns an error"."""
    put(client, composition("broken", section=[{"entry": [{"reference": reference}]}]))
    answer = client.get("/Composition/broken/$document")
    assert answer.status_code == 422
    assert named in answer.json()["issue"][0]["details"]["text"]


def test_what_was_deleted_is_named(client: httpx.Client, module_database: str) -> None:
    """Only where references are accepted unchecked may what is referred to go."""
    put(client, weight("Patient/ngop") | {"id": "gone"})
    put(client, composition("broken-off", section=[{"entry": [{"reference": "Observation/gone"}]}]))
    with (
        serving(module_database, references="accept") as unchecked,
        httpx.Client(base_url=unchecked.fhir) as other,
    ):
        assert other.delete("/Observation/gone").status_code == 204
    answer = client.get("/Composition/broken-off/$document")
    assert answer.status_code == 422
    assert "Observation/gone" in answer.json()["issue"][0]["details"]["text"]


@pytest.mark.parametrize(
    ("asked", "status", "named"),
    [
        ("/Composition/checkup/$document?id=checkup", 400, "id"),
        ("/Composition/$document", 400, "id"),
        ("/Composition/$document?id=http://elsewhere.example/fhir/Composition/1", 400, "id"),
        ("/Composition/checkup/$document?graph=http://example.org/g", 400, "graph"),
        ("/Composition/checkup/$document?persist=maybe", 400, "persist"),
        ("/Composition/checkup/$document?page=1", 400, "page"),
        ("/Composition/none/$document", 404, "Composition/none"),
    ],
)
def test_what_is_refused_is_named(
    client: httpx.Client, asked: str, status: int, named: str
) -> None:
    answer = client.get(asked)
    assert answer.status_code == status
    assert named in answer.json()["issue"][0]["details"]["text"]


def test_a_deleted_composition_is_gone(client: httpx.Client) -> None:
    put(client, composition("removed"))
    client.delete("/Composition/removed")
    assert client.get("/Composition/removed/$document").status_code == 410
