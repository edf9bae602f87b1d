"""At most one live Patient holds a personal number or a passport, whoever pushes it and how.

https://hl7.org/fhir/R4/patient.html: "systems SHOULD ... have policies for managing duplicates"; a
number is never given to another (Decree 70/2024/NĐ-CP Article 11). All numbers are made up.
"""

import json
from typing import Any

import httpx
import pytest

from api.patients import CCCD, fresh_number, resident

pytestmark = pytest.mark.smoke

MOH = "http://fhir.ehealth.gov.vn/core/sid/national_id"
PASSPORT = "http://fhir.hl7.org.vn/core/sid/passport"
BHYT = "http://fhir.hl7.org.vn/core/sid/bhyt"
REVIEW = {"Prefer": "identity=review"}


_WIDE = {ord("0") + digit: 0xFF10 + digit for digit in range(10)}


@pytest.fixture
def number() -> str:
    """A personal number that no other test of the module has."""
    return fresh_number()


@pytest.fixture
def new_number() -> str:
    """A second one."""
    return fresh_number()


def _holding(system: str, value: str, **more: Any) -> dict[str, Any]:
    return resident(identifier=[{"system": system, "value": value}], **more)


def _stored(client: httpx.Client, patient: dict[str, Any], **headers: str) -> str:
    answer = client.post("/Patient", json=patient, headers=headers)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def _put(client: httpx.Client, id_: str, patient: dict[str, Any]) -> httpx.Response:
    return client.put(f"/Patient/{id_}", json={**patient, "id": id_})


def _found(client: httpx.Client, value: str) -> set[str]:
    answer = client.post("/Patient/_search", data={"identifier": value})
    return {entry["resource"]["id"] for entry in answer.json().get("entry", ())}


@pytest.mark.parametrize(
    ("system", "spelling"),
    [
        (CCCD, "as it is"),
        (MOH, "as it is"),
        (CCCD, "spaced"),
        ("https://basespecs.vn/NamingSystem/NationalID", "wide"),
        (BHYT, "as it is"),
    ],
)
def test_a_second_claimant_is_refused(
    client: httpx.Client, number: str, system: str, spelling: str
) -> None:
    """409 says why, where, whom, and what to do; nothing is stored."""
    spellings = {"spaced": f"{number[:3]} {number[3:]}", "wide": number.translate(_WIDE)}
    value = spellings.get(spelling, number)
    first = _stored(client, resident(number))
    answer = client.post("/Patient", json=_holding(system, value))
    assert answer.status_code == 409
    (issue,) = answer.json()["issue"]
    assert issue["code"] == "duplicate"
    assert issue["expression"] == ["Patient.identifier[0].value"]
    text = issue["details"]["text"]
    assert f"Patient/{first}" in text
    assert "identity=review" in text
    assert number not in answer.text
    assert value not in answer.text
    assert _found(client, number) == {first}


def test_passports_of_two_countries_are_two_people(client: httpx.Client) -> None:
    of = "http://hl7.org/fhir/sid/passport-"
    _stored(client, _holding(f"{of}USA", "C01X0006"))
    _stored(client, _holding(f"{of}DEU", "C01X0006"))
    for system in (f"{of}DEU", PASSPORT):
        assert client.post("/Patient", json=_holding(system, "c01x0006")).status_code == 409


def test_a_former_number_is_never_given_to_another(
    client: httpx.Client, number: str, new_number: str
) -> None:
    """It stays searchable, and its holder may go on with the new one."""
    former = {"system": CCCD, "value": number, "use": "old"}
    renumbered = resident(identifier=[former, {"system": CCCD, "value": new_number}])
    first = _stored(client, renumbered)
    assert _found(client, number) == _found(client, new_number) == {first}
    assert client.post("/Patient", json=resident(number)).status_code == 409
    assert client.post("/Patient", json=resident(identifier=[former])).status_code == 409
    assert _put(client, first, {**renumbered, "gender": "male"}).status_code == 200


def test_a_record_that_is_not_in_use_holds_no_number(client: httpx.Client, number: str) -> None:
    """`active` absent counts as active; false frees the number, and true claims it again."""
    first = _stored(client, resident(number))
    assert _put(client, first, resident(number, active=False)).status_code == 200
    second = _stored(client, resident(number))
    assert _put(client, first, resident(number, active=True)).status_code == 409
    assert _put(client, first, resident(number, active=False)).status_code == 200
    assert client.delete(f"/Patient/{second}").status_code == 204
    assert _put(client, first, resident(number, active=True)).status_code == 200


def test_an_update_that_claims_a_number_is_refused(
    client: httpx.Client, number: str, new_number: str
) -> None:
    first = _stored(client, resident(number))
    second = _stored(client, resident(new_number))
    assert _put(client, second, resident(number)).status_code == 409
    patch = [{"op": "replace", "path": "/identifier/0/value", "value": number}]
    answer = client.patch(
        f"/Patient/{second}", json=patch, headers={"Content-Type": "application/json-patch+json"}
    )
    assert answer.status_code == 409
    assert client.get(f"/Patient/{second}").json()["meta"]["versionId"] == "1"
    assert _found(client, number) == {first}


def test_two_in_one_transaction_are_refused(client: httpx.Client, number: str) -> None:
    """All or nothing: the place is that of the second in the Bundle."""
    answer = client.post(
        "", json=_transaction(resident(number), _holding(MOH, f"{number[:3]}-{number[3:]}"))
    )
    assert answer.status_code == 409
    (issue,) = answer.json()["issue"]
    assert issue["expression"] == ["Bundle.entry[1].resource.identifier[0].value"]
    assert _found(client, number) == set()


def test_numbers_may_change_hands_in_one_transaction(
    client: httpx.Client, number: str, new_number: str
) -> None:
    """Two records were mixed up: what counts is what stands after the transaction."""
    first, second = _stored(client, resident(number)), _stored(client, resident(new_number))
    entries = [
        {
            "resource": {**resident(number), "id": id_},
            "request": {"method": "PUT", "url": f"Patient/{id_}"},
        }
        for id_, number in ((first, new_number), (second, number))
    ]
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
    assert client.post("", json=bundle).status_code == 200
    assert _found(client, number) == {second}


def test_who_asks_for_it_has_the_second_stored_and_listed(
    client: httpx.Client, number: str
) -> None:
    """`Prefer: identity=review`: a human decides, by the list of Tasks."""
    first = _stored(client, resident(number))
    answer = client.post(
        "/Patient",
        json=resident(number),
        headers={"Prefer": "identity=review, return=OperationOutcome"},
    )
    assert answer.status_code == 201
    second = answer.headers["Location"].split("/Patient/")[1].split("/")[0]
    (told,) = [one for one in answer.json()["issue"] if one["code"] == "duplicate"]
    listed = client.get("/Task?code=same-person&status=requested&_sort=authored-on").json()
    tasks = [entry["resource"] for entry in listed["entry"]]
    (task,) = [one for one in tasks if one["focus"] == {"reference": f"Patient/{second}"}]
    assert f"Task/{task['id']}" in told["details"]["text"]
    assert task["for"] == {"reference": f"Patient/{first}"}
    assert number not in str(task)
    assert client.post("/Task/$validate", json=task).json()["issue"][0]["severity"] != "error"
    assert _found(client, number) == {first, second}
    # It holds the number from now on: further updates are no new claim, a third holder is one.
    assert _put(client, second, resident(number, gender="male")).status_code == 200
    assert client.post("/Patient", json=resident(number)).status_code == 409


def test_a_push_may_ask_for_review_as_a_whole(
    client: httpx.Client, number: str, new_number: str
) -> None:
    bundle = _transaction(resident(number), resident(number), resident(new_number))
    answer = client.post("", json=bundle, headers=REVIEW)
    assert answer.status_code == 200
    assert [entry["response"]["status"] for entry in answer.json()["entry"]] == ["201 Created"] * 3
    first, second = (
        entry["response"]["location"].split("/fhir/")[1].split("/_history")[0]
        for entry in answer.json()["entry"][:2]
    )
    found = client.get(f"/Task?code=same-person&focus={second}").json()
    assert [entry["resource"]["for"]["reference"] for entry in found["entry"]] == [first]


def _merged(client: httpx.Client, source: str, target: str) -> None:
    asked = {
        "resourceType": "Parameters",
        "parameter": [
            {"name": name, "valueReference": {"reference": f"Patient/{id_}"}}
            for name, id_ in (("source-patient", source), ("target-patient", target))
        ],
    }
    assert client.post("/Patient/$merge", json=asked).status_code == 200


def test_the_numbers_of_a_merged_record_stay_the_persons(
    client: httpx.Client, number: str, new_number: str
) -> None:
    """Who knows one of the records alone takes nothing from the other, and gives nothing away."""
    source, target = _stored(client, resident(number)), _stored(client, resident(new_number))
    _merged(client, source, target)
    for known in (new_number, number):
        assert _put(client, target, resident(known)).status_code == 200
        assert _found(client, number) == _found(client, new_number) == {target}
        for one in (number, new_number):
            assert client.post("/Patient", json=resident(one)).status_code == 409


def test_a_merged_record_claims_and_holds_as_the_one_that_survives(
    client: httpx.Client, number: str, new_number: str
) -> None:
    """Though it is out of use itself."""
    source, target = _stored(client, resident(number)), _stored(client, resident(new_number))
    _merged(client, source, target)
    strange = fresh_number()
    _stored(client, resident(strange))
    merged = client.get(f"/Patient/{source}").json()
    further = {"system": CCCD, "value": strange}
    claiming = {**merged, "identifier": [*merged["identifier"], further]}
    assert _put(client, source, claiming).status_code == 409
    remove = [{"op": "replace", "path": "/identifier", "value": resident(new_number)["identifier"]}]
    patched = client.patch(
        f"/Patient/{target}",
        content=json.dumps(remove),
        headers={"Content-Type": "application/json-patch+json"},
    )
    assert patched.status_code == 200
    entries = [
        {
            "resource": {**merged, "gender": "male"},
            "request": {"method": "PUT", "url": f"Patient/{source}"},
        },
        {"resource": resident(number), "request": {"method": "POST", "url": "Patient"}},
    ]
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
    assert client.post("", json=bundle).status_code == 409
    assert _put(client, target, resident(new_number, active=False)).status_code == 200
    assert client.post("/Patient", json=resident(number)).status_code == 201  # nobody's any more


@pytest.mark.parametrize(
    ("sent", "found"),
    [
        ([{"system": BHYT, "value": "GD4010112345678"}], True),  # a program that knows the card
        ([], True),
        ([{"system": CCCD, "value": "001174888888"}], False),  # corrected
        ([{"system": CCCD, "value": "001174888889", "use": "old"}], False),
    ],
)
def test_an_update_does_not_lose_the_number_a_person_is_found_by(
    client: httpx.Client, number: str, sent: list[dict[str, Any]], *, found: bool
) -> None:
    """A push that does not know it would make a second record the next time."""
    first = _stored(client, resident(number))
    answer = _put(client, first, resident(identifier=sent) if sent else {**_nobody(), "id": first})
    assert answer.status_code == 200
    assert _found(client, number) == ({first} if found else set())
    claimed = client.post("/Patient", json=resident(number))
    assert claimed.status_code == (409 if found else 201)


def test_a_former_number_stays_for_ever(client: httpx.Client, number: str, new_number: str) -> None:
    """Whatever an update leaves out. A patch that takes it out is meant."""
    former = {"system": CCCD, "value": number, "use": "old"}
    first = _stored(client, resident(identifier=[former, {"system": CCCD, "value": new_number}]))
    told = client.put(
        f"/Patient/{first}",
        json={**resident(new_number), "id": first},
        headers={"Prefer": "return=OperationOutcome"},
    )
    assert "number-kept" in told.text
    assert _found(client, number) == {first}
    again = _put(client, first, resident(new_number))
    assert (
        again.json()["meta"]["versionId"]
        == client.get(f"/Patient/{first}").json()["meta"]["versionId"]
    )
    assert client.post("/Patient", json=resident(number)).status_code == 409


def _nobody() -> dict[str, Any]:
    without = resident()
    del without["identifier"]
    return without


@pytest.mark.parametrize(
    "identifiers",
    [
        [],
        [{"value": "001174900001"}],
        [{"system": "http://his.example.vn/mrn", "value": "7"}],
        [{"system": "http://fhir.hl7.org.vn/core/sid/bhxh", "value": "0112345678"}],
        [{"system": CCCD, "period": {"start": "2026"}}],
    ],
)
def test_other_identifiers_may_be_shared(
    client: httpx.Client, identifiers: list[dict[str, Any]]
) -> None:
    """FHIR asks for no uniqueness: https://hl7.org/fhir/R4/resource.html#identifiers."""
    sent = {**resident(), "identifier": identifiers}
    if not identifiers:
        del sent["identifier"]
    assert [client.post("/Patient", json=sent).status_code for _ in range(2)] == [201, 201]


def _transaction(*patients: dict[str, Any]) -> dict[str, Any]:
    entries = [
        {"resource": patient, "request": {"method": "POST", "url": "Patient"}}
        for patient in patients
    ]
    return {"resourceType": "Bundle", "type": "transaction", "entry": entries}
