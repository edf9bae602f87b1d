"""What is exported of whom: https://hl7.org/fhir/uv/bulkdata/export.html#parameters"""

from base64 import b64encode
from typing import Any

import httpx
import pytest

from api.exports import ASYNC, LENIENT, exported, finished, names, posted, put, resources
from api.patients import resident, weight
from servers import Server


@pytest.fixture(scope="module", autouse=True)
def record(server: Server) -> None:
    with httpx.Client(base_url=server.fhir, timeout=30) as client:
        put(
            client,
            resident(id="a", birthDate="1950-01-01"),
            resident(id="b", birthDate="2010-01-01"),
            {"resourceType": "Organization", "id": "clinic", "name": "Trạm y tế"},
        )
        put(
            client,
            weight("Patient/a", "52.50") | {"id": "a-w"},
            weight("Patient/b", "33.00") | {"id": "b-w", "status": "preliminary"},
            _request("a-r1", "a", "active", "2015-01-01"),
            _request("a-r2", "a", "completed", "2019-01-01"),
            _request("a-r3", "a", "completed", "2015-01-01"),
        )


def test_type_filters_of_one_type_are_joined_by_or(client: httpx.Client) -> None:
    """ "When more than one _typeFilter parameter is provided with a query for the same resource
    type, the Data Provider SHALL include resources of that resource type that meet the criteria in
    any of the parameters (a logical "or")": the example of the guide."""
    filters = [
        "MedicationRequest?status=active",
        "MedicationRequest?status=completed&authoredon=gt2018-07-01T00:00:00Z",
    ]
    wanted = ["MedicationRequest/a-r1", "MedicationRequest/a-r2"]
    found = posted(
        client,
        "/$export",
        ("_type", "valueString", "MedicationRequest"),
        *(("_typeFilter", "valueString", one) for one in filters),
    )
    assert names(client, found) == wanted
    by_get = exported(client, "/$export", _type="MedicationRequest", _typeFilter=filters)
    assert names(client, by_get) == wanted
    with_comma = exported(
        client, "/$export", _type="MedicationRequest", _typeFilter=",".join(filters)
    )
    assert names(client, with_comma) == wanted


def test_each_type_is_filtered_independently(client: httpx.Client) -> None:
    """ "filtering Patient resources to people born after the year 2000 will not filter Encounter
    resources for patients born before the year 2000 from the export"."""
    manifest = exported(
        client,
        "/Patient/$export",
        _type="Patient,Observation",
        _typeFilter="Patient?birthdate=gt2000",
    )
    assert names(client, manifest) == ["Observation/a-w", "Observation/b-w", "Patient/b"]


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ("Observation?patient.birthdate=lt2000", ["Observation/a-w"]),
        ("Observation?status=final&value-quantity=gt50", ["Observation/a-w"]),
        ("Observation?status:not=final", ["Observation/b-w"]),
        ("Patient?_has:Observation:patient:status=final", ["Patient/a"]),
        ("Patient?_has:Observation:patient:status=cancelled", []),
        ("Organization?name=Tram", ["Organization/clinic"]),
        ("Organization?name=nothing", []),
    ],
)
def test_any_search_is_a_filter(client: httpx.Client, query: str, wanted: list[str]) -> None:
    type_name = query.partition("?")[0]
    found = exported(client, "/$export", _type=type_name, _typeFilter=query)
    assert names(client, found) == wanted


def test_a_filter_of_a_type_that_is_left_out_is_refused(client: httpx.Client) -> None:
    """Nobody asks for what filters nothing; a filter of what comes along is none such."""
    query = {"_type": "Patient", "_typeFilter": "Observation?status=final"}
    refused = client.get("/$export", params=query, headers=ASYNC)
    assert refused.status_code == 400
    assert refused.json()["issue"][0]["expression"] == ["_typeFilter"]
    manifest = finished(client, client.get("/$export", params=query, headers=LENIENT))
    (told,) = (one["issue"][0] for one in resources(client, manifest, "error"))
    assert (told["expression"], told["severity"]) == (["_typeFilter"], "warning")
    assert names(client, manifest) == ["Patient/a", "Patient/b"]
    exported(
        client,
        _type="Patient",
        includeAssociatedData="RelevantProvenanceResources",
        _typeFilter="Provenance?recorded=gt2020",
    )


def test_types_that_share_a_leaf_are_told_apart(client: httpx.Client) -> None:
    found = exported(
        client,
        "/$export",
        _type="Organization,Practitioner,Basic",
        _typeFilter="Practitioner?active=true",
    )
    assert names(client, found) == ["Organization/clinic"]


def test_deletions_are_not_filtered(client: httpx.Client) -> None:
    """Of what is gone nobody knows whether it would have been found: it may have been sent."""
    put(client, weight("Patient/a") | {"id": "a-gone"})
    first = exported(client, "/$export", _type="Observation")
    client.delete("/Observation/a-gone")
    since = exported(
        client,
        "/$export",
        _type="Observation",
        _typeFilter="Observation?status=cancelled",
        _since=first["transactionTime"],
    )
    (gone,) = resources(client, since, "deleted")
    assert gone["entry"][0]["request"]["url"] == "Observation/a-gone"


def test_elements(client: httpx.Client) -> None:
    """ "the Data Provider SHOULD omit unlisted, non-mandatory elements [...] SHOULD always return
    mandatory elements whether they are requested or not [...] SHOULD mark the resources with the
    tag SUBSETTED"."""
    manifest = exported(
        client, "/$export", _type="Patient,Observation", _elements="id,Patient.birthDate"
    )
    for one in resources(client, manifest):
        assert [tag["code"] for tag in one["meta"]["tag"]] == ["SUBSETTED"]
        if one["resourceType"] == "Patient":
            assert set(one) == {"resourceType", "id", "meta", "birthDate"}
        else:
            assert {"status", "code"} <= set(one)
            assert "valueQuantity" not in one


def test_elements_of_a_binary_whose_content_lies_beside_it(client: httpx.Client) -> None:
    """ "the Data Provider SHOULD omit unlisted, non-mandatory elements" """
    put(client, _large("large"))
    (one,) = resources(
        client, exported(client, "/$export", _type="Binary", _elements="Binary.contentType")
    )
    assert [tag["code"] for tag in one["meta"]["tag"]] == ["SUBSETTED"]
    assert set(one) == {"resourceType", "id", "meta", "contentType"}
    (whole,) = resources(client, exported(client, "/$export", _type="Binary", _elements="data"))
    assert whole["data"] == _large("large")["data"]
    assert "_data" not in whole


def test_lenient_handling_is_told_in_the_manifest(client: httpx.Client) -> None:
    """ "If the request contained invalid or unsupported parameters along with a Prefer:
    handling=lenient header and the Data Provider processed the request, the Data Provider SHOULD
    include a FHIR OperationOutcome resource for each of these parameters"."""
    query = {
        "_type": "Patient,Nonsense",
        "_typeFilter": "Patient?birthdate=lt2000&nonsense=1",
        "_elements": "birthDate,nick",
        "organizeOutputBy": "Practitioner",
        "includeAssociatedData": "_mine",
        "_odd": "1",
    }
    manifest = finished(client, client.get("/$export", params=query, headers=LENIENT))
    assert names(client, manifest) == ["Patient/a"]
    told = [one["issue"][0] for one in resources(client, manifest, "error")]
    assert sorted(one["expression"][0] for one in told) == sorted(query)
    assert {one["severity"] for one in told} == {"warning"}
    assert [one["type"] for one in manifest["error"]] == ["OperationOutcome"]


def test_refusals_speak_vietnamese(client: httpx.Client) -> None:
    headers = {"Prefer": "respond-async", "Accept-Language": "vi"}
    query = {"_typeFilter": "Patient?nonsense=1"}
    refused = client.get("/$export", params=query, headers=headers)
    assert "_typeFilter của Patient" in refused.json()["issue"][0]["details"]["text"]


def test_blocks_of_patients(client: httpx.Client) -> None:
    """Of files: "blocks consisting of a header Parameters resource containing a parameter named
    header with a reference to a resource of the type in the kickoff parameter, followed by the
    resource referenced in this header and resources that reference the resource"."""
    manifest = exported(client, "/Patient/$export", organizeOutputBy="Patient")
    assert manifest["outputOrganizedBy"] == "Patient"
    assert all("type" not in file for file in manifest["output"])
    blocks: dict[str, list[str]] = {}
    for one in resources(client, manifest):
        if one["resourceType"] == "Parameters":
            ((name, value),) = [(p["name"], p["valueReference"]) for p in one["parameter"]]
            assert name == "header"
            block = blocks.setdefault(value["reference"], [])
        else:
            block.append(f"{one['resourceType']}/{one['id']}")
    assert {patient: block[0] for patient, block in blocks.items()} == {
        "Patient/a": "Patient/a",
        "Patient/b": "Patient/b",
    }
    assert sorted(blocks["Patient/a"][1:]) == [
        "MedicationRequest/a-r1",
        "MedicationRequest/a-r2",
        "MedicationRequest/a-r3",
        "Observation/a-w",
    ]
    assert blocks["Patient/b"][1:] == ["Observation/b-w"]


def test_a_large_binary_in_a_block_is_whole(client: httpx.Client) -> None:
    owner = {"securityContext": {"reference": "Patient/b"}}
    put(client, _large("in-a-block") | owner)
    manifest = exported(client, "/$export", _type="Patient,Binary", organizeOutputBy="Patient")
    found = resources(client, manifest)
    (whole,) = [one for one in found if one.get("id") == "in-a-block"]
    assert whole["data"] == _large("in-a-block")["data"]
    assert "_data" not in whole
    assert [one.get("id") for one in found][found.index(whole) - 1] == "b"


def _large(id_: str) -> dict[str, Any]:
    data = b64encode(b"x" * 2_000_000).decode()
    return {"resourceType": "Binary", "id": id_, "contentType": "application/pdf", "data": data}


def _request(id_: str, patient: str, status: str, day: str) -> dict[str, Any]:
    return {
        "resourceType": "MedicationRequest",
        "id": id_,
        "status": status,
        "intent": "order",
        "subject": {"reference": f"Patient/{patient}"},
        "authoredOn": day,
        "medicationCodeableConcept": {"text": "metformin"},
    }
