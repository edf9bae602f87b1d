"""fhirpy, as it is published, against this server: https://github.com/beda-software/fhir-py"""

import asyncio
import uuid

import pytest
from fhirpy import AsyncFHIRClient, SyncFHIRClient
from fhirpy.base.exceptions import MultipleResourcesFound, OperationOutcome, ResourceNotFound

from servers import Server


@pytest.fixture
def fhir(server: Server) -> SyncFHIRClient:
    return SyncFHIRClient(server.fhir)


@pytest.fixture
def tag() -> str:
    """What the resources of one test are found by."""
    return uuid.uuid4().hex


def _patient(fhir: SyncFHIRClient, tag: str, **more: object):
    identifier = {"system": "urn:example:clinic", "value": tag}
    return fhir.resource("Patient", identifier=[identifier], **more)


def test_create_read_update_delete(fhir: SyncFHIRClient, tag: str) -> None:
    patient = _patient(fhir, tag, name=[{"text": "Nguyễn Thị Lan"}])
    patient.save()
    assert patient.id
    assert patient.meta.versionId == "1"
    again = fhir.reference("Patient", patient.id).to_resource()
    assert again.name[0].text == "Nguyễn Thị Lan"
    again["active"] = True
    again.save()
    assert again.meta.versionId == "2"
    patient.refresh()
    assert patient.active is True
    patient.delete()
    with pytest.raises(ResourceNotFound):
        fhir.reference("Patient", again.id).to_resource()


def test_search_with_paging(fhir: SyncFHIRClient, tag: str) -> None:
    for number in range(7):
        _patient(fhir, tag, name=[{"family": "Trần", "given": [f"A{number}"]}]).save()
    found = fhir.resources("Patient").search(identifier=f"urn:example:clinic|{tag}")
    assert len(found.limit(3).fetch()) == 3, "the first page"
    everyone = found.limit(3).sort("given").fetch_all()
    assert [one.name[0].given[0] for one in everyone] == [f"A{number}" for number in range(7)]
    assert found.count() == 7
    first = found.first()
    assert first is not None
    assert first.resourceType == "Patient"
    with pytest.raises(MultipleResourcesFound):
        found.get()


def test_include_and_revinclude(fhir: SyncFHIRClient, tag: str) -> None:
    patient = _patient(fhir, tag)
    patient.save()
    code = {"coding": [{"system": "http://loinc.org", "code": "29463-7"}]}
    observation = fhir.resource(
        "Observation", status="final", code=code, subject=patient.to_reference()
    )
    observation.save()
    by_id = fhir.resources("Observation").search(_id=observation.id)
    bundle = by_id.include("Observation", "subject").fetch_raw()
    assert {entry.resource.resourceType for entry in bundle.entry} == {"Observation", "Patient"}
    back = fhir.resources("Patient").search(_id=patient.id).revinclude("Observation", "subject")
    assert len(back.fetch_raw().entry) == 2
    assert observation.subject.to_resource().id == patient.id


def test_patch(fhir: SyncFHIRClient, tag: str) -> None:
    """PATCH with application/json and the members to be changed: a merge patch."""
    patient = _patient(fhir, tag, gender="female", birthDate="1974-05-20")
    patient.save()
    patient.patch(active=True, birthDate=None)
    now = fhir.get("Patient", patient.id)
    assert (now["active"], now["gender"], "birthDate" in now) == (True, "female", False)
    patient["gender"] = "other"
    patient.save(fields=["gender"])
    assert fhir.get("Patient", patient.id)["gender"] == "other"


def test_conditional_create(fhir: SyncFHIRClient, tag: str) -> None:
    everyone = fhir.resources("Patient").search(identifier=f"urn:example:clinic|{tag}")
    first, is_new = everyone.get_or_create(_patient(fhir, tag))
    assert is_new
    second, is_new = everyone.get_or_create(_patient(fhir, tag))
    assert not is_new
    assert first.id == second.id
    assert everyone.count() == 1


def test_conditional_update_and_patch(fhir: SyncFHIRClient, tag: str) -> None:
    everyone = fhir.resources("Patient").search(identifier=f"urn:example:clinic|{tag}")
    made, is_new = everyone.update(_patient(fhir, tag, active=False))
    assert is_new
    changed, is_new = everyone.update(_patient(fhir, tag, active=True))
    assert not is_new
    assert changed.id == made.id
    assert changed.meta.versionId == "2"
    assert everyone.patch(gender="male").gender == "male"
    _patient(fhir, tag).save()
    with pytest.raises(MultipleResourcesFound):
        everyone.update(_patient(fhir, tag, active=False))


def test_conditional_save(fhir: SyncFHIRClient, tag: str) -> None:
    wanted = {"identifier": f"urn:example:clinic|{tag}"}
    patient = _patient(fhir, tag)
    patient.save(search_params=wanted)
    again = _patient(fhir, tag)
    again.save(search_params=wanted)
    assert again.id == patient.id


def test_transaction_and_operations(fhir: SyncFHIRClient, tag: str) -> None:
    entry = {
        "resource": _patient(fhir, tag).serialize(),
        "request": {"method": "POST", "url": "Patient"},
    }
    answer = fhir.resource("Bundle", type="transaction", entry=[entry])
    sent = fhir.execute("", data=answer.serialize())
    assert sent.entry[0].response.status == "201 Created"
    parameters = {
        "resourceType": "Parameters",
        "parameter": [
            {"name": "url", "valueUri": "http://hl7.org/fhir/ValueSet/administrative-gender"},
            {"name": "code", "valueCode": "female"},
            {"name": "system", "valueUri": "http://hl7.org/fhir/administrative-gender"},
        ],
    }
    said = fhir.resources("ValueSet").execute("$validate-code", data=parameters)
    assert {one.name: one.get("valueBoolean") for one in said.parameter}["result"] is True


def test_is_valid(fhir: SyncFHIRClient, tag: str) -> None:
    assert _patient(fhir, tag).is_valid()
    wrong = _patient(fhir, tag, gender="unheard-of")
    assert not wrong.is_valid()
    with pytest.raises(OperationOutcome):
        wrong.is_valid(raise_exception=True)


def test_the_asynchronous_client(server: Server, tag: str) -> None:
    async def visit() -> None:
        fhir = AsyncFHIRClient(server.fhir)
        identifier = {"system": "urn:example:clinic", "value": tag}
        patient = fhir.resource("Patient", identifier=[identifier])
        await patient.save()
        everyone = fhir.resources("Patient").search(identifier=f"urn:example:clinic|{tag}")
        _, is_new = await everyone.get_or_create(fhir.resource("Patient", identifier=[identifier]))
        assert not is_new
        for _ in range(4):
            await fhir.resource("Patient", identifier=[identifier]).save()
        assert len(await everyone.limit(2).fetch_all()) == 5
        assert len([one async for one in everyone.limit(2)]) == 5
        await patient.patch(gender="female")
        assert (await everyone.search(gender="female").get()).id == patient.id
        assert await patient.is_valid()
        await patient.delete()
        assert await everyone.count() == 4

    asyncio.run(visit())
