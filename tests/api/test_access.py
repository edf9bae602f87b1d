"""What callers may do, by their policies and scopes, over HTTP.

https://hl7.org/fhir/smart-app-launch/scopes-and-launch-context.html
"""

from urllib.parse import quote

import httpx

from api.callers import HIV, caller, facility, made, person, weight
from api.patients import CCCD, fresh_number, resident
from servers import Server


def test_a_facility_reads_what_another_wrote_and_does_not_change_it(
    guarded: Server, keeper: httpx.Client
) -> None:
    """Facility A cannot overwrite B's Encounter; both see the shared patient."""
    with facility(guarded, "bv1") as one, facility(guarded, "bv2") as other:
        id_ = made(one, resident())
        seen = made(one, weight(f"Patient/{id_}"))
        assert other.get(f"/Patient/{id_}").status_code == 200
        assert other.get(f"/Observation/{seen}").status_code == 200
        assert other.get(f"/Observation?subject=Patient/{id_}").json()["total"] == 1
        changed = {**one.get(f"/Observation/{seen}").json(), "status": "amended"}
        refused = other.put(f"/Observation/{seen}", json=changed)
        assert refused.status_code == 403
        assert refused.json()["issue"][0]["expression"] == ["Observation"]
        assert other.delete(f"/Observation/{seen}").status_code == 403
        assert one.put(f"/Observation/{seen}", json=changed).status_code == 200
        assert one.delete(f"/Observation/{seen}").status_code == 204


def test_a_facility_writes_encounters_of_its_own_alone(
    guarded: Server, keeper: httpx.Client
) -> None:
    with facility(guarded, "bv1") as one:
        id_ = made(one, resident())
        encounter = {
            "resourceType": "Encounter",
            "status": "finished",
            "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"},
            "subject": {"reference": f"Patient/{id_}"},
        }
        theirs = {**encounter, "serviceProvider": {"reference": "Organization/bv2"}}
        assert one.post("/Encounter", json=theirs).status_code == 403
        assert one.post("/Encounter", json=encounter).status_code == 403
        ours = {**encounter, "serviceProvider": {"reference": "Organization/bv1"}}
        assert one.post("/Encounter", json=ours).status_code == 201


def test_a_bundle_does_not_smuggle_in_what_is_forbidden(
    guarded: Server, keeper: httpx.Client
) -> None:
    with facility(guarded, "bv1") as one, facility(guarded, "bv2") as other:
        id_ = made(one, resident())
        seen = made(one, weight(f"Patient/{id_}"))
        entries = [
            {
                "resource": weight(f"Patient/{id_}", 61.0),
                "request": {"method": "POST", "url": "Observation"},
            },
            {"request": {"method": "DELETE", "url": f"Observation/{seen}"}},
        ]
        bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
        assert other.post("/", json=bundle).status_code == 403
        assert other.get(f"/Observation?subject=Patient/{id_}").json()["total"] == 1
        answer = other.post("/", json={**bundle, "type": "batch"}).json()["entry"]
        assert [one["response"]["status"][:3] for one in answer] == ["201", "403"]


def test_a_person_sees_their_own_record_and_nothing_of_others(
    guarded: Server, keeper: httpx.Client
) -> None:
    """Own record 200, another's 404, as if it were not there."""
    number = fresh_number()
    mine, theirs = made(keeper, resident()), made(keeper, resident(number))
    own = made(keeper, weight(f"Patient/{mine}"))
    other = made(keeper, weight(f"Patient/{theirs}"))
    with person(guarded, mine) as client:
        assert client.get(f"/Patient/{mine}").status_code == 200
        assert client.get(f"/Observation/{own}").status_code == 200
        assert client.get("/Observation").json()["total"] == 1
        assert client.get(f"/Patient/{mine}/$everything").json()["total"] == 2
        assert client.get("/Patient?_has:Observation:patient:status=final").json()["total"] == 1
        nobody = client.get("/Patient/nobody")
        for hidden in (f"/Patient/{theirs}", f"/Observation/{other}"):
            answer = client.get(hidden)
            assert answer.status_code == 404
            shown = answer.json()["issue"][0]["details"]["text"]
            assert shown == nobody.json()["issue"][0]["details"]["text"].replace(
                "Patient/nobody", hidden[1:]
            )
            assert client.get(f"{hidden}/_history").status_code == 404
        assert client.get(f"/Patient/{theirs}/$everything").status_code == 404
        assert client.get(f"/Patient?identifier={CCCD}|{number}").json()["total"] == 0
        assert client.get(f"/Observation?subject:Patient.identifier={number}").json()["total"] == 0
        assert client.get("/Observation/_history").status_code == 403
        assert client.post("/Observation", json=weight(f"Patient/{mine}")).status_code == 403
        assert client.get("/$export").status_code == 403


def test_scopes_are_less_than_a_policy_allows(guarded: Server, keeper: httpx.Client) -> None:
    """SMART 2: `system/Observation.rs?category=laboratory`; of version 1 `system/Patient.read`."""
    id_ = made(keeper, resident())
    with facility(guarded, "bv1", "system/Patient.read") as client:
        assert client.get(f"/Patient/{id_}").status_code == 200
        assert client.get("/Observation").status_code == 403
        assert client.post("/Patient", json=resident()).status_code == 403
        assert client.get(f"/Patient/{id_}/$everything").json()["total"] == 1
    code = "http://loinc.org|29463-7"
    with facility(guarded, "bv1", f"system/Observation.rs?code={code}") as client:
        other = weight(f"Patient/{id_}")
        other["code"] = {"coding": [{"system": "http://loinc.org", "code": "8302-2"}]}
        hidden, shown = made(keeper, other), made(keeper, weight(f"Patient/{id_}"))
        assert client.get(f"/Observation/{shown}").status_code == 200
        assert client.get(f"/Observation/{hidden}").status_code == 404
        assert client.get(f"/Observation/{hidden}/_history/1").status_code == 404
        found = client.get(f"/Observation?subject=Patient/{id_}").json()
        assert [entry["resource"]["id"] for entry in found["entry"]] == [shown]


def test_an_administrator_sees_no_records(guarded: Server, keeper: httpx.Client) -> None:
    id_ = made(keeper, resident())
    with caller(guarded, policy="administrator") as client:
        assert client.get("/Organization/bv1").status_code == 200
        assert client.get(f"/Patient/{id_}").status_code == 403
        assert client.get("/Observation").status_code == 403
        assert client.get("/", params={"_type": "Patient"}).json()["total"] == 0
        assert client.get("/$jobs").status_code == 200


def test_who_has_no_policy_may_nothing(guarded: Server, keeper: httpx.Client) -> None:
    with caller(guarded, policy="") as client:
        assert client.get("/Patient").status_code == 403
        assert client.get("/metadata").status_code == 200


def test_a_hierarchy_of_what_is_hidden_is_not_walked(guarded: Server, keeper: httpx.Client) -> None:
    """An Encounter that is part of another's: `part-of:above` would tell of it."""
    id_ = made(keeper, resident())
    with person(guarded, id_) as client:
        refused = client.get("/Encounter?part-of:above=Encounter/whatever")
        assert refused.status_code == 403
        assert client.get("/Location?partof:below=Location/whatever").status_code == 200


def test_who_looked_is_told_to_the_person_and_to_an_auditor(
    guarded: Server, keeper: httpx.Client
) -> None:
    id_, other = made(keeper, resident()), made(keeper, resident())
    with (
        facility(guarded, "bv1") as looks,
        person(guarded, id_) as owner,
        caller(guarded, policy="auditor") as auditor,
    ):
        assert looks.get(f"/Patient/{id_}").status_code == 200
        for reader in (owner, auditor):
            found = reader.get(f"/AuditEvent?patient=Patient/{id_}").json()["entry"]
            assert any("bv1" in str(entry["resource"]["agent"]) for entry in found)
            answer = reader.get(f"/Patient/{id_}/$access-log")
            assert answer.status_code == 200
            assert "bv1" in answer.text
        assert looks.get(f"/AuditEvent?patient=Patient/{id_}").status_code == 403
        assert looks.get(f"/Patient/{id_}/$access-log").status_code == 403
        assert owner.get(f"/Patient/{other}/$access-log").status_code == 404
        assert "entry" not in owner.get(f"/AuditEvent?patient=Patient/{other}").json()
        of_other = auditor.get(f"/AuditEvent?patient=Patient/{other}").json()["entry"]
        event = of_other[0]["resource"]["id"]
        assert owner.get(f"/AuditEvent/{event}").status_code == 404
        assert auditor.get(f"/Patient/{id_}").status_code == 403


def test_a_broken_glass_opens_one_record_and_the_person_reads_why(
    guarded: Server, keeper: httpx.Client
) -> None:
    """Emergency read without consent is allowed, audited, reported."""
    id_ = made(keeper, resident())
    hiv = weight(f"Patient/{id_}", meta={"security": [HIV]})
    hidden = made(keeper, hiv)
    reason = "Cấp cứu, bệnh nhân hôn mê"
    why = {"X-Purpose-Of-Use": "BTG", "X-Purpose-Reason": quote(reason)}
    with (
        facility(guarded, "bv2", purposes=["TREAT", "BTG"]) as doctor,
        facility(guarded, "bv1") as other,
        person(guarded, id_) as owner,
        caller(guarded, policy="auditor") as auditor,
    ):
        assert doctor.get(f"/Observation/{hidden}").status_code == 404
        unexplained = doctor.get(f"/Observation/{hidden}", headers={"X-Purpose-Of-Use": "BTG"})
        assert unexplained.status_code == 400
        assert other.get(f"/Observation/{hidden}", headers=why).status_code == 403
        assert doctor.get("/Observation", headers=why).status_code == 403
        assert doctor.get(f"/Observation/{hidden}", headers=why).status_code == 200
        found = doctor.get(f"/Observation?patient=Patient/{id_}", headers=why).json()
        assert found["total"] == 1
        assert reason in owner.get(f"/Patient/{id_}/$access-log").text
        listed = auditor.get("/AuditEvent?purpose=BTG").json()["entry"]
        assert any(reason in str(entry["resource"]) for entry in listed)
