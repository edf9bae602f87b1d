"""What a person allows and forbids is heard by every way to their record.

https://hl7.org/fhir/R4/consent.html
"""

from typing import Any

import httpx

from api.callers import HIV, facility, made, person, weight
from api.patients import resident
from servers import Server


def consent(patient: str, provision: dict[str, Any], **more: Any) -> dict[str, Any]:
    """An active Consent of the patient (an id) about privacy."""
    scope = "http://terminology.hl7.org/CodeSystem/consentscope"
    return {
        "resourceType": "Consent",
        "status": "active",
        "scope": {"coding": [{"system": scope, "code": "patient-privacy"}]},
        "category": [{"coding": [{"system": "http://loinc.org", "code": "59284-0"}]}],
        "patient": {"reference": f"Patient/{patient}"},
        "policyRule": {
            "coding": [
                {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "OPTIN"}
            ]
        },
        "provision": provision,
        **more,
    }


def of_facility(type_: str, id_: str, **more: Any) -> dict[str, Any]:
    role = {
        "coding": [
            {"system": "http://terminology.hl7.org/CodeSystem/v3-ParticipationType", "code": "IRCP"}
        ]
    }
    actor = {"role": role, "reference": {"reference": f"Organization/{id_}"}}
    return {"type": type_, "actor": [actor], **more}


def test_whom_a_person_denies_sees_the_patient_and_nothing_else(
    guarded: Server, keeper: httpx.Client
) -> None:
    id_ = made(keeper, resident())
    seen = made(keeper, weight(f"Patient/{id_}"))
    with (
        person(guarded, id_) as owner,
        facility(guarded, "bv1") as denied,
        facility(guarded, "bv2") as other,
    ):
        made(owner, consent(id_, of_facility("deny", "bv1")))
        assert other.get(f"/Observation/{seen}").status_code == 200
        assert owner.get(f"/Observation/{seen}").status_code == 200
        assert denied.get(f"/Patient/{id_}").status_code == 200
        for address in (f"/Observation/{seen}", f"/Observation/{seen}/_history/1"):
            assert denied.get(address).status_code == 404
        found = denied.get(f"/Observation?subject=Patient/{id_}&_total=estimate").json()
        assert found["total"] == 0
        assert (
            denied.get(f"/Patient?_id={id_}&_revinclude=Observation:subject").json()["total"] == 1
        )
        has = f"/Patient?_id={id_}&_has:Observation:subject:code=29463-7"
        assert denied.get(has).json()["total"] == 0
        assert other.get(has).json()["total"] == 1
        assert denied.get(f"/Patient/{id_}/$everything").json()["total"] == 1
        # What they measure is stored all the same, and they do not see it either.
        late = made(denied, weight(f"Patient/{id_}", 53.0))
        assert denied.get(f"/Observation/{late}").status_code == 404
        assert other.get(f"/Observation/{late}").status_code == 200


def test_a_consent_that_ends_ends_what_it_says(guarded: Server, keeper: httpx.Client) -> None:
    """ "share record for a consult, time-boxed consent": access ends at the period's end."""
    id_ = made(keeper, resident())
    seen = made(keeper, weight(f"Patient/{id_}"))
    over = {"start": "2020-01-01", "end": "2020-12-31"}
    with facility(guarded, "bv1") as one:
        made(keeper, consent(id_, of_facility("deny", "bv1", period=over)))
        assert one.get(f"/Observation/{seen}").status_code == 200
        id_of_it = made(keeper, consent(id_, of_facility("deny", "bv1")))
        assert one.get(f"/Observation/{seen}").status_code == 404
        taken_back = {**keeper.get(f"/Consent/{id_of_it}").json(), "status": "inactive"}
        assert keeper.put(f"/Consent/{id_of_it}", json=taken_back).status_code == 200
        assert one.get(f"/Observation/{seen}").status_code == 200


def test_what_is_restricted_is_seen_by_whom_it_names_and_whom_a_consent_names(
    guarded: Server, keeper: httpx.Client
) -> None:
    """A result labelled HIV: the hospital that made it sees it, another with a consent alone."""
    id_ = made(keeper, resident())
    result = weight(
        f"Patient/{id_}",
        meta={"security": [HIV]},
        performer=[{"reference": "Organization/bv1"}],
    )
    with facility(guarded, "bv1") as maker, facility(guarded, "bv2") as other:
        seen = made(maker, result)
        assert maker.get(f"/Observation/{seen}").status_code == 200
        assert other.get(f"/Observation/{seen}").status_code == 404
        assert other.get(f"/Observation?subject=Patient/{id_}").json()["total"] == 0
        assert maker.get(f"/Observation?subject=Patient/{id_}").json()["total"] == 1
        made(keeper, consent(id_, of_facility("permit", "bv2", securityLabel=[HIV])))
        assert other.get(f"/Observation/{seen}").status_code == 200
