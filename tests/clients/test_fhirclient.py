"""fhirclient of SMART Health IT, as published: https://github.com/smart-on-fhir/client-py

It reads /metadata first, and knows neither patches nor conditions: those go by its own session.
"""

import uuid
from collections.abc import Iterator

import pytest
from fhirclient.client import FHIRClient
from fhirclient.models.bundle import Bundle
from fhirclient.models.fhirreference import FHIRReference
from fhirclient.models.observation import Observation
from fhirclient.models.patient import Patient
from fhirclient.server import FHIRServer
from requests.exceptions import HTTPError

from servers import Server

pytestmark = pytest.mark.filterwarnings("ignore:.*deprecated:DeprecationWarning")


@pytest.fixture
def smart(server: Server) -> Iterator[FHIRServer]:
    client = FHIRClient(settings={"app_id": "tests", "api_base": server.fhir})
    client.prepare()
    assert client.server.capabilityStatement.fhirVersion == "4.0.1"
    assert client.ready
    yield client.server
    client.server.session.close()


@pytest.fixture
def tag() -> str:
    """What the resources of one test are found by."""
    return uuid.uuid4().hex


def _patient(tag: str, **more: object) -> Patient:
    identifier = {"system": "urn:example:clinic", "value": tag}
    return Patient({"resourceType": "Patient", "identifier": [identifier], **more})


def test_create_read_update_delete(smart: FHIRServer, tag: str) -> None:
    created = _patient(tag, name=[{"text": "Nguyễn Thị Lan"}]).create(smart)
    patient = Patient.read(created["id"], smart)
    assert patient.name[0].text == "Nguyễn Thị Lan"
    patient.active = True
    assert patient.update()["meta"]["versionId"] == "2"
    patient.delete()
    with pytest.raises(HTTPError, match="410"):
        Patient.read(created["id"], smart)


def test_search_with_paging(smart: FHIRServer, tag: str) -> None:
    for _ in range(7):
        _patient(tag).create(smart)
    wanted = {"identifier": f"urn:example:clinic|{tag}", "_count": "3"}
    search = Patient.where(wanted)
    assert len(search.perform(smart).entry) == 3
    assert [len(page.entry) for page in search.perform_iter(smart)] == [3, 3, 1]
    found = {patient.id for patient in search.perform_resources_iter(smart)}
    assert len(found) == 7
    assert {patient.id for patient in search.perform_resources(smart)} == found


def test_include(smart: FHIRServer, tag: str) -> None:
    created = _patient(tag).create(smart)
    observation = Observation({"resourceType": "Observation", "status": "final",
                               "code": {"text": "Cân nặng"}})  # fmt: skip
    observation.subject = FHIRReference({"reference": f"Patient/{created['id']}"})
    made = observation.create(smart)
    search = Observation.where({"_id": made["id"]}).include("subject", Observation)
    found = {type(entry.resource) for entry in search.perform(smart).entry}
    assert found == {Observation, Patient}
    assert Observation.read(made["id"], smart).subject.resolved(Patient).id == created["id"]


def test_a_transaction(smart: FHIRServer, tag: str) -> None:
    entry = {"resource": _patient(tag).as_json(), "request": {"method": "POST", "url": "Patient"}}
    bundle = Bundle({"resourceType": "Bundle", "type": "transaction", "entry": [entry]})
    answered = Bundle(bundle.create(smart))
    assert answered.entry[0].response.status == "201 Created"


def test_patch_and_conditions_by_its_session(smart: FHIRServer, tag: str) -> None:
    created = _patient(tag).create(smart)
    address = f"{smart.base_uri}Patient/{created['id']}"
    patched = smart.session.patch(
        address,
        json=[{"op": "add", "path": "/active", "value": True}],
        headers={"Content-Type": "application/json-patch+json"},
    )
    assert patched.status_code == 200
    assert Patient.read(created["id"], smart).active is True
    wanted = f"identifier=urn:example:clinic|{tag}"
    saved = smart.put_json(f"Patient?{wanted}", _patient(tag, gender="female").as_json())
    assert saved.status_code == 200
    assert saved.json()["id"] == created["id"]
    assert smart.delete_json(f"Patient?{wanted}").status_code in (200, 204)
    with pytest.raises(HTTPError, match="410"):
        Patient.read(created["id"], smart)
