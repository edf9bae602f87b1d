"""batch: https://hl7.org/fhir/R4/http.html#transaction"""

import httpx
import pytest

from api.patients import resident, weight
from ehr_server.fhir import json

pytestmark = pytest.mark.smoke


def test_each_entry_alone(client: httpx.Client) -> None:
    """One that fails leaves the others be, and is answered with its own outcome."""
    urn = "urn:uuid:61ebe359-bfdc-4613-8bf2-c5e300945f0a"
    post_patient = {"method": "POST", "url": "Patient"}
    bundle = {
        "resourceType": "Bundle",
        "type": "batch",
        "entry": [
            {"fullUrl": urn, "resource": resident("001174000333"), "request": post_patient},
            {"resource": {**resident(), "gender": "man"}, "request": post_patient},
            {"resource": weight(urn), "request": {"method": "POST", "url": "Observation"}},
            {"request": {"method": "GET", "url": "Patient?identifier=001174000333"}},
            {"request": {"method": "GET", "url": "Patient/nobody"}},
            {"request": {"method": "POST", "url": "/"}, "resource": {"resourceType": "Bundle"}},
        ],
    }
    answer = client.post(
        "/", content=json.write(bundle), headers={"Content-Type": "application/json"}
    )
    assert answer.status_code == 200
    entries = answer.json()["entry"]
    statuses = [int(entry["response"]["status"][:3]) for entry in entries]
    assert statuses == [201, 400, 201, 200, 404, 400]
    assert entries[1]["response"]["outcome"]["issue"][0]["expression"] == [
        "Bundle.entry[1].resource.gender"
    ]
    assert entries[3]["resource"]["total"] == 1


@pytest.mark.parametrize("kind", ["document", "searchset", None])
def test_other_bundles_are_not_processed(client: httpx.Client, kind: str | None) -> None:
    answer = client.post("/", json={"resourceType": "Bundle", "type": kind})
    assert answer.status_code == 400


def test_a_resource_posted_to_the_base_is_told_where_to_go(client: httpx.Client) -> None:
    assert client.post("/", json=resident()).status_code == 400
