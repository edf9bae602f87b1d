"""People without a personal number: newborns, foreigners, people nobody knows yet.

https://hl7.org/fhir/R4/patient.html. They are recorded at once and found again, each by what there
is; when the personal number comes it stands beside the former one, which goes on finding them.
"""

from typing import Any

import httpx
import pytest

from api.patients import CCCD, fresh_number

SID = "http://ehr-server.org/fhir/vn/sid/"
BIRTH, TEMPORARY = f"{SID}birth-certificate", f"{SID}temporary"
PASSPORT = "http://fhir.hl7.org.vn/core/sid/passport"
ABSENT = "http://hl7.org/fhir/StructureDefinition/data-absent-reason"
MOTHER = "001193000011"


def person(*numbers: tuple[str, str], **more: Any) -> dict[str, Any]:
    return {
        "resourceType": "Patient",
        "identifier": [{"system": system, "value": value} for system, value in numbers],
        "gender": "male",
        "birthDate": "2026-08-30",
        "name": [{"text": "Con bà Phạm Thị Ngọp"}],
        **more,
    }


def nobody_knows(number: str) -> dict[str, Any]:
    """Somebody unconscious: https://hl7.org/fhir/R4/extension-data-absent-reason.html"""
    unknown = {"extension": [{"url": ABSENT, "valueCode": "unknown"}]}
    known = person((TEMPORARY, number), gender="unknown", name=[unknown], _birthDate=unknown)
    del known["birthDate"]
    return known


def found(client: httpx.Client, number: str, parameter: str = "identifier") -> list[str]:
    answer = client.post("/Patient/_search", data={parameter: number})
    assert answer.status_code == 200, answer.text
    return [entry["resource"]["id"] for entry in answer.json().get("entry", ())]


def store(client: httpx.Client, one: dict[str, Any], number: str) -> httpx.Response:
    return client.post("/Patient", json=one, headers={"If-None-Exist": f"identifier={number}"})


def test_a_newborn_is_born_with_its_mother_and_its_birth_certificate(client: httpx.Client) -> None:
    """One transaction: the child, and the mother as a RelatedPerson with her number."""
    number = "01557.2026.000123"
    bundle = {
        "resourceType": "Bundle",
        "type": "transaction",
        "entry": [
            {
                "fullUrl": "urn:uuid:05f4e3d2-1c1b-4a7e-9d51-0a8d3b1f6a01",
                "resource": person((BIRTH, number)),
                "request": {
                    "method": "POST",
                    "url": "Patient",
                    "ifNoneExist": f"identifier={BIRTH}|{number}",
                },
            },
            {
                "resource": {
                    "resourceType": "RelatedPerson",
                    "identifier": [{"system": CCCD, "value": MOTHER}],
                    "patient": {"reference": "urn:uuid:05f4e3d2-1c1b-4a7e-9d51-0a8d3b1f6a01"},
                    "relationship": [
                        {
                            "coding": [
                                {
                                    "system": "http://terminology.hl7.org/CodeSystem/v3-RoleCode",
                                    "code": "MTH",
                                }
                            ]
                        }
                    ],
                    "name": [{"text": "Phạm Thị Ngọp"}],
                },
                "request": {"method": "POST", "url": "RelatedPerson"},
            },
        ],
    }
    answer = client.post("", json=bundle)
    assert answer.status_code == 200, answer.text
    id_ = answer.json()["entry"][0]["response"]["location"].split("/")[-3]
    assert found(client, f"{BIRTH}|{number}") == [id_]
    assert found(client, number) == [id_]
    assert found(client, f"{CCCD}|{MOTHER}", "_has:RelatedPerson:patient:identifier") == [id_]


def test_the_number_that_a_child_is_given_later_stands_beside_the_certificate(
    client: httpx.Client,
) -> None:
    certificate, number = "01557.2026.000124", "001226000124"
    id_ = store(client, person((BIRTH, certificate)), f"{BIRTH}|{certificate}").json()["id"]
    grown = person((CCCD, number), (BIRTH, certificate))
    grown["identifier"][1]["use"] = "old"
    answer = client.put(f"/Patient?identifier={BIRTH}|{certificate}", json=grown)
    assert answer.status_code == 200, answer.text
    assert found(client, f"{CCCD}|{number}") == [id_]
    assert found(client, f"{BIRTH}|{certificate}") == [id_], "for ever"
    again = store(client, person((BIRTH, certificate)), f"{BIRTH}|{certificate}")
    assert (again.status_code, again.json()["id"]) == (200, id_)


def test_twins_have_a_certificate_each(client: httpx.Client) -> None:
    ids = {
        store(client, person((BIRTH, number)), f"{BIRTH}|{number}").json()["id"]
        for number in ("01557.2026.000125", "01557.2026.000126", "01557.2026.000125")
    }
    assert len(ids) == 2


@pytest.mark.parametrize(
    "asked",
    [f"{PASSPORT}|C9876543", f"{PASSPORT}|c 987 6543", "C9876543",
     "http://fhir.ehealth.gov.vn/core/sid/passport_number|C9876543"],
)  # fmt: skip
def test_a_foreigner_is_found_by_the_passport(client: httpx.Client, asked: str) -> None:
    one = person((PASSPORT, "C9876543"), name=[{"text": "John Smith"}], birthDate="1980-01-01")
    id_ = store(client, one, f"{PASSPORT}|C9876543").json()["id"]
    assert found(client, asked) == [id_]


def test_passports_of_two_countries_may_have_one_number(client: httpx.Client) -> None:
    """https://terminology.hl7.org/external_id.html: each country has its own naming system."""
    ids = []
    for country in ("KHM", "LAO"):
        system = f"http://hl7.org/fhir/sid/passport-{country}"
        answer = store(client, person((system, "N1234567")), f"{system}|N1234567")
        assert answer.status_code == 201, answer.text
        ids.append(answer.json()["id"])
    assert found(client, "http://hl7.org/fhir/sid/passport-KHM|N1234567") == [ids[0]]
    assert found(client, "http://hl7.org/fhir/sid/passport-LAO|N1234567") == [ids[1]]
    assert sorted(found(client, f"{PASSPORT}|N1234567")) == sorted(ids), "of whichever country"


def test_somebody_unknown_is_recorded_at_once_and_found_by_the_temporary_number(
    client: httpx.Client,
) -> None:
    number = "01557-CC-2026-0031"
    answer = store(client, nobody_knows(number), f"{TEMPORARY}|{number}")
    assert answer.status_code == 201, answer.text
    assert found(client, f"{TEMPORARY}|{number}") == [answer.json()["id"]]
    assert found(client, number) == [answer.json()["id"]]


def test_a_temporary_number_never_has_twelve_digits(client: httpx.Client) -> None:
    """Somebody would take it for a personal number, and find the record of another."""
    for number in ("990000000031", "9900 0000 0031", "９９００００００００３１"):
        answer = client.post("/Patient", json=nobody_knows(number))
        assert answer.status_code == 400, number
        (issue,) = [one for one in answer.json()["issue"] if one["severity"] == "error"]
        assert issue["expression"] == ["Patient.identifier[0].value"]
        assert "12 digits" in issue["diagnostics"]
        assert number not in answer.text


def test_who_is_known_at_last_keeps_the_temporary_number(client: httpx.Client) -> None:
    temporary, number = "01557-CC-2026-0032", fresh_number()
    id_ = store(client, nobody_knows(temporary), f"{TEMPORARY}|{temporary}").json()["id"]
    known = person((CCCD, number), (TEMPORARY, temporary), id=id_, birthDate="1974-05-20")
    known["identifier"][1]["use"] = "old"
    assert client.put(f"/Patient/{id_}", json=known).status_code == 200
    assert found(client, f"{CCCD}|{number}") == found(client, f"{TEMPORARY}|{temporary}") == [id_]


def test_who_has_a_record_already_is_told_of_and_the_two_are_linked(client: httpx.Client) -> None:
    """The number is another live record's, so this one cannot have it: the answer says whose it
    is, and the two are linked: https://hl7.org/fhir/R4/patient-definitions.html#Patient.link"""
    temporary, number = "01557-CC-2026-0033", fresh_number()
    known = store(client, person((CCCD, number)), f"{CCCD}|{number}").json()["id"]
    id_ = store(client, nobody_knows(temporary), f"{TEMPORARY}|{temporary}").json()["id"]
    named = nobody_knows(temporary) | {"id": id_}
    named["identifier"].append({"system": CCCD, "value": number})
    refused = client.put(f"/Patient/{id_}", json=named)
    assert refused.status_code == 409
    assert f"Patient/{known}" in refused.text
    assert number not in refused.text
    linked = nobody_knows(temporary) | {
        "id": id_,
        "active": False,
        "link": [{"other": {"reference": f"Patient/{known}"}, "type": "replaced-by"}],
    }
    assert client.put(f"/Patient/{id_}", json=linked).status_code == 200
    form = {"identifier": f"{TEMPORARY}|{temporary}"}
    (entry,) = client.post("/Patient/_search", data=form).json()["entry"]
    assert entry["resource"]["link"][0]["other"]["reference"] == f"Patient/{known}"
