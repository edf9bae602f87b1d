"""Who examined and signed is found by the licence, by the social insurance number, by the card.

https://hl7.org/fhir/R4/practitioner.html. The exchange formats name a doctor by one or the other
(MA_BAC_SI is a BHXH number), so a push must find the same record by any of them.
"""

from typing import Any

import httpx
import pytest

from servers import Server

HL7 = "http://fhir.hl7.org.vn/core/sid/"
LICENCE, BHXH, CCCD = f"{HL7}cchn", f"{HL7}bhxh", f"{HL7}cccd"


def practitioner(id_: str, *numbers: tuple[str, str], name: str = "BS. Lê Văn Minh") -> Any:
    return {
        "resourceType": "Practitioner",
        "id": id_,
        "identifier": [{"system": system, "value": value} for system, value in numbers],
        "name": [{"text": name}],
    }


@pytest.fixture(scope="module", autouse=True)
def staff(server: Server) -> None:
    doctor = practitioner(
        "minh", (LICENCE, "000101/HNO-CCHN"), (BHXH, "0101234567"), (CCCD, "001080000101")
    )
    nurse = practitioner("lan", (BHXH, "0107654321"), name="ĐD. Trần Thị Lan")
    other = practitioner("tuan", (LICENCE, "000101/HCM-CCHN"), name="BS. Phạm Anh Tuấn")
    visit = {
        "resourceType": "Encounter",
        "id": "visit",
        "status": "finished",
        "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"},
        "participant": [{"individual": {"reference": "Practitioner/minh"}}],
    }
    with httpx.Client(base_url=server.fhir) as client:
        for one in (doctor, nurse, other, visit):
            address = f"/{one['resourceType']}/{one['id']}"
            client.put(address, json=one).raise_for_status()


def found(client: httpx.Client, type_name: str, **asked: str) -> list[str]:
    answer = client.post(f"/{type_name}/_search", data=asked)
    assert answer.status_code == 200, answer.text
    return [entry["resource"]["id"] for entry in answer.json().get("entry", ())]


@pytest.mark.parametrize(
    ("asked", "id_"),
    [
        (f"{LICENCE}|000101/HNO-CCHN", "minh"),
        (f"{LICENCE}|000101/hno-cchn", "minh"),
        (f"{LICENCE}|000101 / HNO-CCHN", "minh"),
        ("000101/HNO-CCHN", "minh"),
        (f"{LICENCE}|000101/HCM-CCHN", "tuan"),
        (f"{BHXH}|0101234567", "minh"),
        (f"{BHXH}|010 123 4567", "minh"),
        (f"{BHXH}|0107654321", "lan"),
        (f"{CCCD}|001080000101", "minh"),
        ("http://fhir.ehealth.gov.vn/core/sid/national_id|001080000101", "minh"),
    ],
)
def test_staff_are_found_by_any_of_their_numbers(
    client: httpx.Client, asked: str, id_: str
) -> None:
    assert found(client, "Practitioner", identifier=asked) == [id_]


@pytest.mark.parametrize("asked", [f"{LICENCE}|000102/HNO-CCHN", f"{BHXH}|0101234568"])
def test_nobody_else_is_found(client: httpx.Client, asked: str) -> None:
    assert found(client, "Practitioner", identifier=asked) == []


@pytest.mark.parametrize("number", [f"{BHXH}|0101234567", f"{LICENCE}|000101/HNO-CCHN"])
def test_a_push_by_whichever_number_finds_the_record(client: httpx.Client, number: str) -> None:
    system, _, value = number.partition("|")
    one = practitioner("", (system, value))
    del one["id"]
    answer = client.post(
        "/Practitioner", json=one, headers={"If-None-Exist": f"identifier={number}"}
    )
    assert (answer.status_code, answer.json()["id"]) == (200, "minh")


def test_what_somebody_did_is_found_by_their_number(client: httpx.Client) -> None:
    for number in (f"{LICENCE}|000101/HNO-CCHN", f"{BHXH}|0101234567"):
        assert found(client, "Encounter", **{"participant.identifier": number}) == ["visit"]


def test_a_licence_is_renewed_and_the_former_still_finds(client: httpx.Client) -> None:
    renewed = practitioner("tuan", (LICENCE, "000101/HCM-CCHN"), (LICENCE, "012345/HCM-GPHN"))
    renewed["identifier"][0]["use"] = "old"
    client.put("/Practitioner/tuan", json=renewed).raise_for_status()
    for number in ("000101/HCM-CCHN", "012345/HCM-GPHN"):
        assert found(client, "Practitioner", identifier=f"{LICENCE}|{number}") == ["tuan"]
