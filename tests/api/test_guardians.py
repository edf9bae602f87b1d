"""A child is found by the card of its mother, father or guardian.

A RelatedPerson holds the guardian's number and leads to the child, and `_has` asks the other way
round: https://hl7.org/fhir/R4/search.html#has, https://hl7.org/fhir/R4/relatedperson.html.
"""

from collections.abc import Iterator
from typing import Any

import httpx
import psycopg
import pytest

from api.patients import CCCD
from servers import Server

BHYT = "http://fhir.hl7.org.vn/core/sid/bhyt"
BHXH = "http://fhir.hl7.org.vn/core/sid/bhxh"
PASSPORT = "http://fhir.hl7.org.vn/core/sid/passport"
BIRTH = "http://ehr-server.org/fhir/vn/sid/birth-certificate"
ROLES = "http://terminology.hl7.org/CodeSystem/v3-RoleCode"
FAMILIES = 3000

MOTHER, MOTHERS_CARD = "001190000007", "GD4010190000007"


def child(id_: str, number: str) -> dict[str, Any]:
    return {
        "resourceType": "Patient",
        "id": id_,
        "identifier": [{"system": BIRTH, "value": number}],
        "name": [{"text": f"Con bà {id_}"}],
        "gender": "male",
        "birthDate": "2026-08-30",
    }


def guardian(of: str, *numbers: tuple[str, str], role: str = "MTH", **more: Any) -> dict[str, Any]:
    return {
        "resourceType": "RelatedPerson",
        "identifier": [{"system": system, "value": value} for system, value in numbers],
        "patient": {"reference": f"Patient/{of}"},
        "relationship": [{"coding": [{"system": ROLES, "code": role}]}],
        "name": [{"text": "Phạm Thị Ngọp"}],
        **more,
    }


@pytest.fixture(scope="module", autouse=True)
def families(server: Server, module_database: str) -> None:
    """A city of children, each with a mother, as the planner of the database sees a city."""
    entries: list[tuple[str, dict[str, Any]]] = []
    for at in range(FAMILIES):
        entries.append((f"Patient/c{at}", child(f"c{at}", f"01557.2026.{at:06}")))
        entries.append((f"RelatedPerson/m{at}", guardian(f"c{at}", (CCCD, f"0011901{at:05}"))))
    with httpx.Client(base_url=server.fhir, timeout=120) as client:
        for begin in range(0, len(entries), 1000):
            put(client, *entries[begin : begin + 1000])
        put(
            client,
            ("Patient/an", child("an", "01557.2026.An")),
            ("Patient/binh", child("binh", "01557.2026.Binh")),
            ("Patient/abroad", child("abroad", "01557.2026.Abroad")),
            ("RelatedPerson/ma", guardian("an", (CCCD, MOTHER), (BHYT, MOTHERS_CARD))),
            ("RelatedPerson/mb", guardian("binh", (CCCD, MOTHER))),
            ("RelatedPerson/fb", guardian("binh", (CCCD, "001089000008"), role="FTH")),
            ("RelatedPerson/ga", guardian("abroad", (PASSPORT, "C7654321"), role="GUARD")),
        )
    with psycopg.connect(module_database, autocommit=True) as connection:
        connection.execute("analyze")


def put(client: httpx.Client, *entries: tuple[str, dict[str, Any]]) -> None:
    bundle = {
        "resourceType": "Bundle",
        "type": "transaction",
        "entry": [
            {
                "request": {"method": "PUT", "url": url},
                "resource": {**one, "id": url.partition("/")[2]},
            }
            for url, one in entries
        ],
    }
    client.post("", json=bundle).raise_for_status()


def children(client: httpx.Client, number: str, **more: str) -> list[str]:
    """The children of who holds the number."""
    form = {"_has:RelatedPerson:patient:identifier": number, **more}
    answer = client.post("/Patient/_search", data=form)
    assert answer.status_code == 200, answer.text
    return sorted(entry["resource"]["id"] for entry in answer.json().get("entry", ()))


@pytest.mark.parametrize(
    "number",
    [
        f"{CCCD}|{MOTHER}",
        f"http://fhir.ehealth.gov.vn/core/sid/national_id|{MOTHER}",
        f"https://basespecs.vn/NamingSystem/NationalID|{MOTHER}",
        f"{CCCD}|0011 9000 0007",
        f"{CCCD}|００１１９００００００７",
        MOTHER,
    ],
)
def test_all_children_of_the_card_are_found_and_nobody_elses(
    client: httpx.Client, number: str
) -> None:
    assert children(client, number) == ["an", "binh"]


@pytest.mark.parametrize(
    "number",
    [
        f"{BHYT}|{MOTHERS_CARD}",
        f"{BHXH}|{MOTHERS_CARD[5:]}",
        MOTHERS_CARD,
        MOTHERS_CARD[5:],
        f"{BHYT}|CH4790190000007",  # the next card of the same person
    ],
)
def test_the_insurance_card_of_the_mother_finds_the_child_too(
    client: httpx.Client, number: str
) -> None:
    assert children(client, number) == ["an"]


def test_each_guardian_finds_their_own(client: httpx.Client) -> None:
    assert children(client, f"{CCCD}|001089000008") == ["binh"]
    assert children(client, f"{PASSPORT}|c7654321") == ["abroad"]
    assert children(client, f"{CCCD}|001089000009") == []
    assert children(client, f"{CCCD}|001190100017") == ["c17"]


def test_a_child_is_told_from_its_siblings(client: httpx.Client) -> None:
    assert children(client, f"{CCCD}|{MOTHER}", name="binh") == ["binh"]


def test_the_guardians_come_along(client: httpx.Client) -> None:
    form = {
        "_has:RelatedPerson:patient:identifier": f"{CCCD}|001089000008",
        "_revinclude": "RelatedPerson:patient",
    }
    found = client.post("/Patient/_search", data=form).json()
    assert found["entry"][0]["resource"]["id"] == "binh"
    assert {entry["resource"]["id"] for entry in found["entry"][1:]} == {"mb", "fb"}


def test_a_guardian_no_more_is_left_out_by_who_asks(client: httpx.Client) -> None:
    """https://hl7.org/fhir/R4/relatedperson-definitions.html#RelatedPerson.active: whether it
    counts is for the reader to say."""
    put(client, ("Patient/old", child("old", "01557.2026.Old")))
    former = guardian("old", (CCCD, "001080000001"), active=False)
    put(client, ("RelatedPerson/former", former))
    assert children(client, f"{CCCD}|001080000001") == ["old"]
    both = {"identifier": f"{CCCD}|001080000001", "active": "true"}
    found = client.post("/RelatedPerson/_search", data=both).json()
    assert found["total"] == 0


def test_a_wrong_letter_is_refused_and_says_which_digit_is_likely(client: httpx.Client) -> None:
    form = {"_has:RelatedPerson:patient:identifier": f"{CCCD}|00119000000O"}
    answer = client.post("/Patient/_search", data=form)
    assert answer.status_code == 400
    assert "00119000000" not in answer.text


def statements(client: httpx.Client, address: str) -> Iterator[str]:
    """What ran, with its plan."""
    told = client.get(f"{address}&_explain=true").json()["entry"][0]["resource"]["issue"]
    for issue in told:
        if issue["details"]["text"].startswith("Statement"):
            yield issue["diagnostics"]


def test_it_is_found_by_an_index(client: httpx.Client) -> None:
    """But for the few that were merged, which here are none."""
    address = f"/Patient?_has:RelatedPerson:patient:identifier={CCCD}|{MOTHER}"
    ran = list(statements(client, address))
    assert ran
    read_whole = [one for one in ran if "Seq Scan" in one]
    assert [one for one in read_whole if "from merged" not in one] == []
    assert [one for one in ran if MOTHER in one] == []
