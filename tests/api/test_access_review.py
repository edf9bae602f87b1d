"""What callers may not do in roundabout ways.

https://hl7.org/fhir/smart-app-launch/scopes-and-launch-context.html
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from api.access_record import bundle, observation, referring
from api.consents import ACT_CODE, consent
from api.patients import CCCD, resident
from ehr_server.access.caller import Caller
from inside import Inside, Told, caller, inside

Resource = dict[str, Any]

BV1 = caller("one", policy="facility", facility="bv1")
BV2 = caller("two", policy="facility", facility="bv2", purposes=("TREAT", "BTG"))
ALL = caller("mover", policy="everything")
GLASS = {"x_purpose_of_use": "BTG", "x_purpose_reason": "unconscious%20after%20a%20fall"}
ROLES = "http://terminology.hl7.org/CodeSystem/v3-RoleCode"

# A policy of a site: its own are changed, and laboratory results of whomever.
_MIXED = """
facility: required
consent: none
restricted: all
may:
  - {of: [Patient, Observation], do: crs}
  - {of: Observation, do: u, own: true}
  - {of: records, do: d, own: true}
  - {of: Observation, do: u, where: "category=laboratory"}
operations: [purge]
"""


@pytest.fixture(scope="module")
def here(module_database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Inside]:
    folder: Path = tmp_path_factory.mktemp("policies")
    (folder / "mixed.yaml").write_text(_MIXED, "utf-8")
    with inside(module_database, policies_dir=str(folder)) as found:
        for id_ in ("bv1", "bv2"):
            found.put({"resourceType": "Organization", "id": id_, "name": id_}, by=ALL)
        yield found


def made(here: Inside, by: Caller, resource: Resource) -> str:
    """The id of a resource that is stored now."""
    answer = here.ask(by, f"POST {resource['resourceType']}", resource)
    assert answer.status == 201, answer.body
    return str(answer.resource["id"])


def person(patient: str, name: str = "portal") -> Caller:
    """The person of a Patient, by a program of this name."""
    return caller(name, policy="person", patient=patient, scopes=("patient/*.cruds",))


def mother_of(patient: str, number: str) -> Resource:
    """A RelatedPerson."""
    return {
        "resourceType": "RelatedPerson",
        "patient": referring(f"Patient/{patient}"),
        "identifier": [{"system": CCCD, "value": number}],
        "relationship": [{"coding": [{"system": ROLES, "code": "MTH"}]}],
    }


@pytest.mark.parametrize("asked", ["Patient?identifier=", "Observation?patient.identifier="])
def test_the_glass_is_not_broken_for_all_who_have_a_number(here: Inside, asked: str) -> None:
    """https://hl7.org/fhir/R4/search.html#token: `[system]|` is any code of the system."""
    patient = resident()
    made(here, BV1, patient)
    every = quote(f"{CCCD}|")
    assert here.ask(BV2, f"GET {asked}{every}", **GLASS).status == 403
    assert here.ask(BV2, f"GET {asked}{every}%20", **GLASS).status == 403
    one = quote(f"{CCCD}|{patient['identifier'][0]['value']}")
    assert here.ask(BV2, f"GET {asked}{one}", **GLASS).status == 200


@pytest.mark.parametrize("name", ["bv1", "app@bv1"])
def test_a_program_of_the_name_of_a_facility_is_not_of_it(here: Inside, name: str) -> None:
    """A provider may call a program whatever it likes; what it writes is no facility's own."""
    patient = made(here, BV1, resident())
    given = consent(patient, policyRule={"coding": [{"system": ACT_CODE, "code": "OPTIN"}]})
    id_ = made(here, person(patient, name), given)
    assert here.ask(BV1, f"GET Consent/{id_}").status == 200
    withdrawn = {**given, "id": id_, "status": "inactive"}
    assert here.ask(BV1, f"PUT Consent/{id_}", withdrawn).status == 403
    assert here.ask(person(patient, name), f"PUT Consent/{id_}", withdrawn).status == 200


def test_what_was_deleted_elsewhere_is_as_if_it_never_was(here: Inside) -> None:
    """A delete tells no more of it than a read does: 404, and not 410."""
    patient = made(here, BV1, resident())
    id_ = made(here, BV1, observation(patient))
    assert here.ask(BV1, f"DELETE Observation/{id_}").status == 204
    for address in (f"Observation/{id_}", "Observation/never"):
        assert here.ask(BV2, f"GET {address}").status == 404
        assert here.ask(BV2, f"DELETE {address}").status == 204
        entry = {"request": {"method": "DELETE", "url": address}}
        answer = here.ask(BV2, "POST ", bundle("batch", entry)).resource["entry"][0]["response"]
        assert answer["status"][:3] == "204"
    assert (
        here.ask(BV2, f"PUT Observation/{id_}", {**observation(patient), "id": id_}).status == 403
    )


def test_a_birth_in_a_far_year_keeps_nobody_out(here: Inside) -> None:
    """A facility that mistypes the year of a child's birth does not shut out the mother."""
    mother = resident()
    id_ = made(here, BV1, mother)
    child = made(here, BV1, {**resident(), "birthDate": "9990-01-01"})
    made(here, BV1, mother_of(child, mother["identifier"][0]["value"]))
    assert here.ask(person(id_), f"GET Patient/{id_}").status == 200


def test_a_launch_for_one_patient_is_not_for_the_children(here: Inside) -> None:
    """`patient/` scopes are of the patient in context; the children are a person's own to see."""
    mother = resident()
    id_ = made(here, BV1, mother)
    child = made(here, BV1, {**resident(), "birthDate": "2024-05-01"})
    made(here, BV1, mother_of(child, mother["identifier"][0]["value"]))
    scopes = ("patient/*.rs",)
    launched = caller("app", policy="facility", facility="bv1", patient=id_, scopes=scopes)
    assert here.ask(person(id_), f"GET Patient/{child}").status == 200
    assert here.ask(launched, f"GET Patient/{id_}").status == 200
    assert here.ask(launched, f"GET Patient/{child}").status == 404


def test_what_may_be_read_alone_is_not_searched(here: Inside) -> None:
    """`.r` reads what is named; `s` is for searches of the type, in whatever address they stand."""
    patient = made(here, BV1, resident())
    id_ = made(here, BV1, observation(patient))
    scopes = ("system/Observation.r", "system/Patient.rs")
    reads = caller("reads", policy="facility", facility="bv1", scopes=scopes)
    assert here.ask(reads, f"GET Observation/{id_}").status == 200
    assert here.ask(reads, f"GET Observation?patient={patient}").status == 403
    for asked in (
        "?_type=Observation",
        f"Patient/{patient}/*?_type=Observation",
        f"Patient?_id={patient}&_has:Observation:patient:status=final",
    ):
        assert here.ask(reads, f"GET {asked}").resource["total"] == 0, asked
    along = here.ask(reads, f"GET Patient?_id={patient}&_revinclude=Observation:patient")
    assert types(along) == ["Patient"]
    assert types(here.ask(BV1, f"GET Patient/{patient}/*")) == ["Observation", "Patient"]


def test_a_person_withdraws_what_the_register_has_stated_for_them(here: Inside) -> None:
    """https://hl7.org/fhir/R4/consent.html: withdrawn by the status; nobody else's are reached."""
    patient, other = made(here, BV1, resident()), made(here, BV1, resident())
    given = consent(patient)
    id_ = made(here, caller("desk", policy="registrar"), given)
    withdrawn = {**given, "id": id_, "status": "inactive"}
    assert here.ask(person(other), f"PUT Consent/{id_}", withdrawn).status == 403
    anothers = {**withdrawn, "patient": referring(f"Patient/{other}")}
    assert here.ask(person(other), f"PUT Consent/{id_}", anothers).status == 403
    assert here.ask(person(patient), f"PUT Consent/{id_}", anothers).status == 403
    assert here.ask(person(patient), f"PUT Consent/{id_}", withdrawn).status == 200


def test_a_member_of_a_group_does_not_see_the_others(here: Inside) -> None:
    """A Group lies in the compartments of all its members:
    https://hl7.org/fhir/R4/compartmentdefinition-patient.html."""
    members = [made(here, BV1, resident()) for _ in range(2)]
    listed = [{"entity": referring(f"Patient/{one}")} for one in members]
    group = {"resourceType": "Group", "type": "person", "actual": True, "member": listed}
    id_ = made(here, BV1, group)
    assert here.ask(BV1, f"GET Group/{id_}").status == 200
    assert here.ask(person(members[0]), f"GET Group/{id_}").status == 403
    assert "Group" not in types(here.ask(person(members[0]), f"GET Patient/{members[0]}/*"))


def test_rules_on_ones_own_and_on_others_are_told_apart(here: Inside) -> None:
    """That one rule lets change whatever is one's own does not widen the other to all there is."""
    one, two = (caller(f"mixed{id_}", policy="mixed", facility=id_) for id_ in ("bv1", "bv2"))
    patient = made(here, one, resident())
    system = "http://terminology.hl7.org/CodeSystem/observation-category"
    kind = {"category": [{"coding": [{"system": system, "code": "laboratory"}]}]}
    for more, status in (({}, 403), (kind, 200)):
        resource = observation(patient, **more)
        id_ = made(here, one, resource)
        changed = {**resource, "id": id_, "status": "amended"}
        assert here.ask(two, f"PUT Observation/{id_}", changed).status == status
        assert here.ask(one, f"PUT Observation/{id_}", {**changed, "status": "final"}).status == 200
    # What removes a whole record takes more than a right to remove one's own.
    assert here.ask(one, f"POST Patient/{patient}/$purge").status == 403


def test_a_scope_narrows_the_access_log_too(here: Inside) -> None:
    """https://hl7.org/fhir/smart-app-launch/scopes-and-launch-context.html#scopes-for-requesting-fhir-resources:
    what is not understood of the log grants nothing of it."""
    made(here, BV1, resident())
    every = caller("auditor", policy="auditor", scopes=("system/AuditEvent.rs",))
    some = caller("auditor", policy="auditor", scopes=("system/AuditEvent.rs?action=R",))
    told = here.ask(every, "GET AuditEvent?action=C").resource["entry"]
    id_ = told[0]["resource"]["id"]
    assert here.ask(every, f"GET AuditEvent/{id_}").status == 200
    assert types(here.ask(some, "GET AuditEvent?action=C")) == []
    assert here.ask(some, f"GET AuditEvent/{id_}").status == 404


def types(answer: Told) -> list[str]:
    """The types of what an answer holds, sorted."""
    entries = answer.resource.get("entry", [])
    return sorted(one["resource"]["resourceType"] for one in entries)
