"""What is asked of a person is found of all records that were merged, by whichever it is asked.

https://hl7.org/fhir/R4/search.html, https://hl7.org/fhir/R5/patient-operation-merge.html
"""

import json

import httpx
import pytest

from api.merges import (
    content,
    found,
    merged,
    new_number,
    observed,
    person,
)
from api.patients import CCCD, resident

pytestmark = pytest.mark.smoke

_ABOUT_THE_PERSON = (
    "Observation?patient={id}",
    "Observation?subject=Patient/{id}&code=29463-7",
    "Observation?subject={id}",
    "Observation?subject:Patient={id}&_sort=-date",
    "Observation?_filter=subject eq Patient/{id}",
    "Observation?patient._id={id}",
    "Patient/{id}/Observation",
    "Patient/{id}/*?_type=Observation",
    "Patient/{id}/$everything?_type=Observation",
    "Observation/$lastn?patient={id}&code=29463-7&max=9",
    "?_type=Observation,Condition&patient={id}",
)


@pytest.fixture
def pair(client: httpx.Client) -> tuple[str, str]:
    """Two records of one person: the ids of source and target."""
    return person(client, new_number()), person(client, new_number())


@pytest.mark.parametrize("address", _ABOUT_THE_PERSON)
def test_what_is_asked_by_either_id_is_found_of_both(
    client: httpx.Client, pair: tuple[str, str], address: str
) -> None:
    source, target = pair
    both = {observed(client, source), observed(client, target)}
    assert len(found(client, address.format(id=source))) == 1
    merged(client, source, target)
    for id_ in pair:
        assert found(client, address.format(id=id_)) == both
        more = "&" if "?" in address else "?"
        first = client.get("/" + address.format(id=id_) + f"{more}_count=1").json()
        if "lastn" not in address and "relation" in str(first.get("link")):
            assert len(first["entry"]) == 1


def test_chains_lead_to_the_person_by_any_record(client: httpx.Client) -> None:
    """https://hl7.org/fhir/R4/search.html#chaining, #has, #revinclude"""
    card, other = new_number(), new_number()
    source = person(client, other, birthDate="1931-02-03")
    target = person(client, card, birthDate="1931-03-02")
    both = {observed(client, source), observed(client, target)}
    merged(client, source, target)
    for asked in (
        f"Observation?patient.identifier={CCCD}|{card}",
        f"Observation?patient.identifier={other}",
        "Observation?subject:Patient.birthdate=1931-02-03",
        "Observation?patient.birthdate=1931-03-02",
    ):
        assert found(client, asked) == both, asked
    assert found(client, f"Patient?_id={target}&_revinclude=Observation:patient") == {target, *both}
    for one in both:
        has = f"_has:Observation:patient:_id={one}"
        assert found(client, f"Patient?{has}") == {source, target}
        assert found(client, f"Patient?{has}&_id={target}") == {target}


def test_a_record_is_still_asked_for_by_itself(client: httpx.Client, pair: tuple[str, str]) -> None:
    """By its id, by a version of it, and by the links between records."""
    source, target = pair
    merged(client, source, target)
    assert found(client, f"Patient?_id={source}") == {source}
    assert found(client, f"Patient?link=Patient/{source}") == {target}
    assert found(client, f"Provenance?target=Patient/{source}/_history/1") == set()
    assert len(found(client, f"Provenance?target=Patient/{source}/_history/2")) == 1
    everything = found(client, f"Patient/{source}/$everything")
    assert {source, target} < everything


def test_conditions_on_the_person_mean_all_records(
    client: httpx.Client, pair: tuple[str, str]
) -> None:
    """https://hl7.org/fhir/R4/http.html#cond-update"""
    source, target = pair
    kept = observed(client, source)
    merged(client, source, target)
    body = client.get(f"/Observation/{kept}").json()
    answer = client.put(f"/Observation?patient={target}&code=29463-7", json=body)
    assert (answer.status_code, answer.json()["id"]) == (200, kept)


class TestByIdentifier:
    """Both records carry the numbers; the one that survives is meant."""

    @pytest.fixture
    def numbered(self, client: httpx.Client) -> tuple[str, str, str, str]:
        card, other = new_number(), new_number()
        source = person(client, other, birthDate="1960-01-01")
        target = person(client, card, birthDate="1960-01-02")
        merged(client, source, target)
        return source, target, other, card

    def test_one_is_found(self, client: httpx.Client, numbered: tuple[str, str, str, str]) -> None:
        _, target, other, card = numbered
        for asked in (other, card, f"{CCCD}|{other}", f"{other},{card}"):
            answer = client.get("/Patient", params={"identifier": asked}).json()
            assert (answer["total"], answer["entry"][0]["resource"]["id"]) == (1, target)
        assert found(client, f"?_type=Patient,Person&identifier={other}") == {target}

    def test_records_are_read_once(
        self, client: httpx.Client, numbered: tuple[str, str, str, str]
    ) -> None:
        """What the directory of identifiers says is enough to leave one out."""
        _, target, other, _ = numbered
        answer = client.get(f"/Patient?identifier={other}&_explain=true").json()
        told = answer["entry"][0]["resource"]["issue"]
        ran = [one["diagnostics"] for one in told if "Statement" in one["details"]["text"]]
        assert len([one for one in ran if "from person r" in one or "from resource" in one]) == 1
        assert answer["entry"][1]["resource"]["id"] == target

    def test_the_source_where_the_target_is_not_what_is_asked_for(
        self, client: httpx.Client, numbered: tuple[str, str, str, str]
    ) -> None:
        source, target, other, _ = numbered
        assert found(client, f"Patient?identifier={other}&birthdate=1960-01-01") == {source}
        assert found(client, f"Patient?identifier={other}&birthdate=1960") == {target}
        taken_out = [{"op": "remove", "path": "/identifier/1"}]
        patch = {"Content-Type": "application/json-patch+json"}
        client.patch(f"/Patient/{target}", content=json.dumps(taken_out), headers=patch)
        assert found(client, f"Patient?identifier={other}") == {source}

    def test_a_conditional_create_is_answered_with_it(
        self, client: httpx.Client, numbered: tuple[str, str, str, str]
    ) -> None:
        """https://hl7.org/fhir/R4/http.html#ccreate, alone and several in a Bundle."""
        _, target, other, card = numbered
        new = new_number()
        asked = {"If-None-Exist": f"identifier={other}"}
        answer = client.post("/Patient", json=resident(other), headers=asked)
        assert (answer.status_code, answer.json()["id"]) == (200, target)
        entries = [
            {
                "resource": resident(one),
                "request": {"method": "POST", "url": "Patient", "ifNoneExist": f"identifier={one}"},
            }
            for one in (other, new)
        ]
        bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
        sent = client.post("/", json=bundle).json()["entry"]
        assert f"/Patient/{target}/_history/" in sent[0]["response"]["location"]
        assert sent[1]["response"]["status"].startswith("201")
        assert card != new


def test_a_chain_of_merges_is_one_person(client: httpx.Client, pair: tuple[str, str]) -> None:
    first, second = pair
    third, fourth = person(client, new_number()), person(client, new_number())
    everyone = (first, second, third, fourth)
    every = {observed(client, one) for one in everyone}
    merged(client, first, second)
    merged(client, third, fourth)
    assert len(found(client, f"Observation?patient={first}")) == 2
    merged(client, second, fourth)
    for one in everyone:
        assert found(client, f"Observation?patient={one}") == every
        assert found(client, f"Patient/{one}/Observation") == every
    numbers = [one["value"] for one in content(client, fourth)["identifier"]]
    assert len(numbers) == 4
    for one in numbers:
        assert found(client, f"Patient?identifier={one}") == {fourth}
