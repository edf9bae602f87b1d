"""Provenance of what is exported: https://hl7.org/fhir/uv/bulkdata/export.html#parameters,
includeAssociatedData"""

from typing import Any

import httpx
import pytest

from api.exports import exported, names, posted, put, resources
from api.patients import resident, weight
from servers import Server


@pytest.fixture(scope="module", autouse=True)
def record(server: Server) -> None:
    with httpx.Client(base_url=server.fhir, timeout=30) as client:
        put(client, resident(id="a"), resident(id="b"))
        put(client, *(weight(f"Patient/{one}") | {"id": f"{one}-w"} for one in "ab"))
        put(client, {"resourceType": "Organization", "id": "o", "name": "Trạm y tế"})
        members = [{"entity": {"reference": "Patient/a"}}, {"entity": {"reference": "Patient/b"}}]
        put(
            client,
            {"resourceType": "Group", "id": "g", "type": "person", "actual": True}
            | {"member": members},
            _provenance("first", "2026-01-01", "Observation/a-w"),
            _provenance("second", "2026-02-01", "Observation/a-w"),
            _provenance("both", "2026-03-01", "Observation/b-w", "Observation/a-w"),
            _provenance("patient", "2026-01-01", "Patient/a"),
            _provenance("elsewhere", "2026-01-01", "Organization/o"),
        )


def _of(client: httpx.Client, manifest: dict[str, Any]) -> list[str]:
    found = names(client, manifest)
    return [one.removeprefix("Provenance/") for one in found if one.startswith("Provenance/")]


@pytest.mark.parametrize("address", ["/Patient/$export", "/Group/g/$export"])
def test_what_is_about_the_compartments_comes_once(client: httpx.Client, address: str) -> None:
    """ "the Data Provider SHALL include all available Provenance resources whose Provenance.target
    is a resource in the Patient compartment in a patient level export request [...] unless a
    specific resource set is specified using the _type parameter and this set does not include
    Provenance"."""
    assert _of(client, exported(client, address)) == ["both", "first", "patient", "second"]
    assert _of(client, exported(client, address, _type="Observation")) == []
    with_type = exported(client, address, _type="Observation,Provenance")
    assert _of(client, with_type) == ["both", "first", "patient", "second"]


def test_of_one_person_nothing_that_is_about_others_alone(client: httpx.Client) -> None:
    assert _of(client, exported(client, "/Patient/b/$export")) == ["both"]


def test_all_of_a_system(client: httpx.Client) -> None:
    """ "all available Provenance resources in a system level export request"."""
    assert len(_of(client, exported(client, "/$export"))) == 5


@pytest.mark.parametrize("address", ["/$export", "/Patient/$export", "/Group/g/$export"])
def test_relevant(client: httpx.Client, address: str) -> None:
    """ "RelevantProvenanceResources: Export will include all Provenance resources associated with
    each of the non-provenance resources being returned"."""
    query = {"_type": "Observation", "includeAssociatedData": "RelevantProvenanceResources"}
    assert _of(client, exported(client, address, **query)) == ["both", "first", "second"]
    query["_typeFilter"] = "Observation?_id=b-w"
    assert _of(client, exported(client, address, **query)) == ["both"]


@pytest.mark.parametrize("address", ["/$export", "/Patient/$export", "/Group/g/$export"])
def test_latest(client: httpx.Client, address: str) -> None:
    """ "LatestProvenanceResources: Export will include the most recent Provenance resources
    associated with each of the non-provenance resources being returned. Other Provenance resources
    will not be returned"."""
    coding = {"code": "LatestProvenanceResources"}
    parameters = [
        ("includeAssociatedData", "valueCoding", coding),
        ("_type", "valueString", "Observation"),
        ("_type", "valueString", "Patient"),
    ]
    assert _of(client, posted(client, address, *parameters)) == ["both", "patient"]


def test_the_least_restrictive_of_several(client: httpx.Client) -> None:
    """ "If multiple conflicting values are included, the Data Provider SHALL apply the least
    restrictive value"."""
    several = "LatestProvenanceResources,RelevantProvenanceResources"
    manifest = exported(client, "/$export", _type="Observation", includeAssociatedData=several)
    assert _of(client, manifest) == ["both", "first", "second"]


def test_in_a_block_with_what_it_is_about(client: httpx.Client) -> None:
    manifest = exported(client, "/Group/g/$export", organizeOutputBy="Patient")
    found = resources(client, manifest)
    shown = [one["id"] for one in found if one["resourceType"] == "Provenance"]
    assert sorted(shown) == ["both", "first", "patient", "second"]


def _provenance(id_: str, day: str, *targets: str) -> dict[str, Any]:
    return {
        "resourceType": "Provenance",
        "id": id_,
        "target": [{"reference": one} for one in targets],
        "recorded": f"{day}T08:00:00+07:00",
        "agent": [{"who": {"display": "Trạm y tế"}}],
    }
