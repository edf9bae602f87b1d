"""Whom a condition means once records were merged: the person, by the record that survives.

https://hl7.org/fhir/R4/http.html#ccreate, #cond-update, https://hl7.org/fhir/R4/bundle.html
"""

from typing import Any

import httpx
import pytest

from api.merges import MRN, content, found, merge, merged, new_number, person
from api.patients import CCCD, REVIEWED, resident
from api.test_referential_integrity import weight

pytestmark = pytest.mark.smoke


def mrn(number: str) -> dict[str, str]:
    return {"system": MRN, "value": number}


def numbered(number: str) -> str:
    return f"identifier={MRN}|{number}"


def bundle(*entries: tuple[dict[str, Any], str, str, str | None]) -> dict[str, Any]:
    """A batch of (resource, method, url, ifNoneExist)."""
    several = [
        {
            "resource": resource,
            "request": {"method": method, "url": url}
            | ({"ifNoneExist": unless} if unless is not None else {}),
        }
        for resource, method, url, unless in entries
    ]
    return {"resourceType": "Bundle", "type": "transaction", "entry": several}


def created(client: httpx.Client, *criteria: str) -> httpx.Response:
    """Conditional creates of one Bundle."""
    entries = ((resident(new_number()), "POST", "Patient", one) for one in criteria)
    return client.post("/", json=bundle(*entries))


class TestANumberOfTheSourceAlone:
    """The target has dropped it, or gives none."""

    @pytest.fixture
    def pair(self, client: httpx.Client) -> tuple[str, str, str]:
        """Source, target, and the number that the source alone still has."""
        number = new_number()
        source = person(client, new_number(), identifier=[mrn(number)])
        target = person(client, new_number())
        merged(client, source, target)
        now = content(client, target)
        kept = {**now, "identifier": now["identifier"][:1]}
        assert client.put(f"/Patient/{target}", json=kept).status_code == 200
        assert found(client, f"Patient?{numbered(number)}") == {source}
        return source, target, number

    def test_a_conditional_create_is_answered_with_the_target(
        self, client: httpx.Client, pair: tuple[str, str, str]
    ) -> None:
        _, target, number = pair
        asked = {"If-None-Exist": numbered(number)}
        answer = client.post("/Patient", json=resident(new_number()), headers=asked)
        assert (answer.status_code, answer.json()["id"]) == (200, target)
        sent = created(client, numbered(number), numbered(new_number())).json()["entry"]
        assert f"/Patient/{target}/_history/" in sent[0]["response"]["location"]
        assert sent[1]["response"]["status"].startswith("201")

    def test_a_conditional_update_is_of_the_target(
        self, client: httpx.Client, pair: tuple[str, str, str]
    ) -> None:
        source, target, number = pair
        sent = resident(new_number(), identifier=[mrn(number)], gender="male")
        answer = client.put(f"/Patient?{numbered(number)}", json=sent)
        assert (answer.status_code, answer.json()["id"]) == (200, target)
        assert content(client, target)["gender"] == "male"
        assert content(client, source)["active"] is False

    def test_a_conditional_reference_points_to_the_target(
        self, client: httpx.Client, pair: tuple[str, str, str]
    ) -> None:
        _, target, number = pair
        entry = (weight(f"Patient?{numbered(number)}"), "POST", "Observation", None)
        answer = client.post("/", json=bundle(entry), headers={"Prefer": "return=representation"})
        assert answer.status_code == 200, answer.text
        stored = answer.json()["entry"][0]["resource"]
        assert stored["subject"]["reference"] == f"Patient/{target}"

    def test_a_conditional_delete_is_of_the_record_that_is_found(
        self, client: httpx.Client, pair: tuple[str, str, str]
    ) -> None:
        _, target, number = pair
        client.delete(f"/Patient?{numbered(number)}")
        assert client.get(f"/Patient/{target}").status_code == 200

    def test_by_its_id_the_source_itself_is_meant(
        self, client: httpx.Client, pair: tuple[str, str, str]
    ) -> None:
        source, _, _ = pair
        asked = {"If-None-Exist": f"_id={source}"}
        answer = client.post("/Patient", json=resident(new_number()), headers=asked)
        assert (answer.status_code, answer.json()["id"]) == (200, source)


def test_two_records_of_one_person_are_one_match(client: httpx.Client) -> None:
    """Neither is the one that survives, and it carries the number no more."""
    number = new_number()
    first, second = (person(client, new_number(), identifier=[mrn(number)]) for _ in range(2))
    target = person(client, new_number())
    for one in (first, second):
        merged(client, one, target)
    now = content(client, target)
    client.put(f"/Patient/{target}", json={**now, "identifier": now["identifier"][:1]})
    asked = {"If-None-Exist": numbered(number)}
    answer = client.post("/Patient", json=resident(new_number()), headers=asked)
    assert (answer.status_code, answer.json()["id"]) == (200, target)
    for criteria in ((numbered(number),), (numbered(number), numbered(new_number()))):
        assert created(client, *criteria).status_code == 200
    person(client, new_number(), identifier=[mrn(number)])
    answer = client.post("/Patient", json=resident(new_number()), headers=asked)
    assert answer.status_code == 412
    for criteria in ((numbered(number),), (numbered(number), numbered(new_number()))):
        assert created(client, *criteria).status_code == 412


def test_several_conditions_decide_as_each_alone(client: httpx.Client) -> None:
    """A number of a merged record and of somebody else is two people's, whoever else is asked
    for beside it."""
    shared, card = new_number(), new_number()
    source = person(client, new_number(), identifier=[mrn(shared)])
    target = person(client, card)
    other = person(client, new_number(), identifier=[mrn(shared)])
    assert merge(client, source, target).status_code == 200
    now = content(client, target)
    client.put(f"/Patient/{target}", json={**now, "identifier": now["identifier"][:1]})
    assert found(client, f"Patient?{numbered(shared)}") == {source, other}
    of_target = f"identifier={CCCD}|{card}"
    assert created(client, numbered(shared)).status_code == 412
    assert created(client, numbered(shared), of_target).status_code == 412
    assert created(client, of_target, numbered(new_number())).status_code == 200


def test_identifiers_of_a_merge_lead_to_the_person(client: httpx.Client) -> None:
    """A further record is merged into the one that survives, by a number of the other."""
    number = new_number()
    source = person(client, new_number(), identifier=[mrn(number)])
    target, third = person(client, new_number()), person(client, new_number())
    merged(client, source, target)
    now = content(client, target)
    client.put(
        f"/Patient/{target}",
        json={**now, "identifier": now["identifier"][:1]},
        headers=REVIEWED,
    )
    named = {"name": "target-patient-identifier", "valueIdentifier": mrn(number)}
    assert merge(client, third, "", named).status_code == 200
    assert {"other": {"reference": f"Patient/{third}"}, "type": "replaces"} in content(
        client, target
    )["link"]
