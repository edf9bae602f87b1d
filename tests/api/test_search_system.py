"""Searches of the whole system and of compartments.

https://hl7.org/fhir/R4/http.html#search, https://hl7.org/fhir/R4/compartmentdefinition.html
"""

from typing import Any

import httpx
import pytest

TAG = "urn:test|system-search"


def _tagged(resource: dict[str, Any]) -> dict[str, Any]:
    system, code = TAG.split("|")
    return {**resource, "meta": {"tag": [{"system": system, "code": code}]}}


@pytest.fixture(scope="module", autouse=True)
def stored(server: Any) -> None:
    about = {"reference": "Patient/p1"}
    resources: list[dict[str, Any]] = [
        {"resourceType": "Patient", "id": "p1", "gender": "female"},
        {"resourceType": "Patient", "id": "p2", "gender": "male"},
        {"resourceType": "Practitioner", "id": "d1"},
        {
            "resourceType": "Encounter",
            "id": "e1",
            "status": "finished",
            "class": {"code": "AMB"},
            "subject": about,
            "participant": [{"individual": {"reference": "Practitioner/d1"}}],
        },
        {
            "resourceType": "Observation",
            "id": "o1",
            "status": "final",
            "code": {"coding": [{"system": "http://loinc.org", "code": "8302-2"}]},
            "subject": about,
            "encounter": {"reference": "Encounter/e1"},
        },
        {
            "resourceType": "Observation",
            "id": "o2",
            "status": "final",
            "code": {"coding": [{"system": "http://loinc.org", "code": "29463-7"}]},
            "subject": {"reference": "Patient/p2"},
            "performer": [about],  # a further compartment
        },
        {"resourceType": "Basic", "id": "b1", "code": {"text": "x"}, "subject": about},
        {"resourceType": "Flag", "id": "f1", "status": "active", "code": {"text": "x"},
         "subject": about},
    ]  # fmt: skip
    entries = [
        {
            "resource": _tagged(resource),
            "request": {"method": "PUT", "url": f"{resource['resourceType']}/{resource['id']}"},
        }
        for resource in resources
    ]
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
    with httpx.Client(base_url=server.fhir, timeout=30) as client:
        assert client.post("", json=bundle).status_code == 200


def _found(client: httpx.Client, address: str) -> list[str]:
    """What an address finds, page after page."""
    found: list[str] = []
    while address:
        answer = client.get(address)
        assert answer.status_code == 200, answer.text
        bundle = answer.json()
        found += [
            f"{entry['resource']['resourceType']}/{entry['resource']['id']}"
            for entry in bundle.get("entry", [])
        ]
        links = {link["relation"]: link["url"] for link in bundle["link"]}
        address = links.get("next", "")
    return found


ALL = {
    "Patient/p1", "Patient/p2", "Practitioner/d1", "Encounter/e1", "Observation/o1",
    "Observation/o2", "Basic/b1", "Flag/f1",
}  # fmt: skip
OF_P1 = {"Patient/p1", "Encounter/e1", "Observation/o1", "Observation/o2", "Basic/b1", "Flag/f1"}


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        (f"?_tag={TAG}", ALL),
        (f"?_tag={TAG}&_count=3", ALL),
        (f"?_tag={TAG}&_sort=_lastUpdated&_count=1", ALL),
        (f"?_type=Observation,Basic&_tag={TAG}", {"Observation/o1", "Observation/o2", "Basic/b1"}),
        ("?_type=Observation,Encounter&status=final", {"Observation/o1", "Observation/o2"}),
        ("?_id=p1,o1,nobody", {"Patient/p1", "Observation/o1"}),
        ("?_type=Patient&gender=male", {"Patient/p2"}),
        ("Patient/p1/Observation", {"Observation/o1", "Observation/o2"}),
        ("Patient/p1/Observation?code=8302-2", {"Observation/o1"}),
        ("Patient/p1/*", OF_P1),
        ("Patient/p1/*?_count=2", OF_P1),
        ("Patient/p1/*?_type=Flag,Basic", {"Flag/f1", "Basic/b1"}),
        ("Patient/p2/*", {"Patient/p2", "Observation/o2"}),
        ("Patient/nobody/*", set()),
        ("Patient/p1/Patient", {"Patient/p1"}),
        ("Encounter/e1/Observation", {"Observation/o1"}),
        ("Encounter/e1/*", {"Encounter/e1", "Observation/o1"}),
        ("Practitioner/d1/Encounter", {"Encounter/e1"}),
        ("Practitioner/d1/Practitioner", {"Practitioner/d1"}),
    ],
)
def test_what_is_found(client: httpx.Client, address: str, expected: set[str]) -> None:
    found = _found(client, address)
    assert len(found) == len(set(found))
    assert set(found) == expected
    total = client.get(address + ("&" if "?" in address else "?") + "_summary=count").json()[
        "total"
    ]
    assert total == len(expected)


@pytest.mark.parametrize(
    ("address", "form", "expected"),
    [
        ("_search", {"_tag": TAG, "_type": "Flag"}, ["Flag/f1"]),
        ("Patient/p1/Observation/_search", {"code": "8302-2"}, ["Observation/o1"]),
        ("Patient/p1/*/_search", {"_type": "Basic"}, ["Basic/b1"]),
    ],
)
def test_a_form_asks_the_same(
    client: httpx.Client, address: str, form: dict[str, str], expected: list[str]
) -> None:
    bundle = client.post(address, data=form).json()
    here = [f"{e['resource']['resourceType']}/{e['resource']['id']}" for e in bundle["entry"]]
    assert here == expected
    assert "_search" not in bundle["link"][0]["url"]


@pytest.mark.parametrize(
    ("address", "status", "reason"),
    [
        ("?code=x", 400, "is not one that"),
        ("?_type=Nonsense", 400, "_type names a type"),
        ("?_type=Observation&_sort=date", 400, "takes _lastUpdated alone"),
        ("Patient/p1/Organization", 404, "no compartment of Patient with Organization"),
        ("Patient/p1/Nonsense", 404, "no compartment"),
        ("Observation/o1/Patient", 404, "no compartment of Observation"),
        ("Patient/p1/Observation?_type=Flag", 400, "_type"),
    ],
)
def test_what_is_refused(client: httpx.Client, address: str, status: int, reason: str) -> None:
    answer = client.get(address)
    assert answer.status_code == status
    assert reason in answer.json()["issue"][0]["diagnostics"]


def test_a_page_of_one_compartment_is_none_of_another(client: httpx.Client) -> None:
    """https://hl7.org/fhir/R4/http.html#paging"""
    bundle = client.get("Encounter/e1/*?_count=1").json()
    (page,) = [link["url"] for link in bundle["link"] if link["relation"] == "next"]
    answer = client.get(page.replace("Encounter/e1", "Encounter/e2"))
    assert answer.status_code == 400


def test_the_pages_lead_both_ways(client: httpx.Client) -> None:
    first = client.get("Patient/p1/*?_count=2").json()
    links = {link["relation"]: link["url"] for link in first["link"]}
    assert set(links) == {"self", "next"}
    second = client.get(links["next"]).json()
    links = {link["relation"]: link["url"] for link in second["link"]}
    assert set(links) == {"self", "first", "previous", "next"}
    assert client.get(links["previous"]).json()["entry"] == first["entry"]
    assert client.get(links["first"]).json()["entry"] == first["entry"]


def _lenient(client: httpx.Client, address: str) -> dict[str, Any]:
    answer = client.get(address, headers={"Prefer": "handling=lenient"})
    assert answer.status_code == 200, answer.text
    bundle: dict[str, Any] = answer.json()
    return bundle


@pytest.mark.parametrize("types", ["Patient,Observation", "Observation,Patient"])
def test_what_one_of_the_types_does_not_have_is_left_out_for_all_and_told(
    client: httpx.Client, types: str
) -> None:
    """https://hl7.org/fhir/R4/search.html#errors: `gender` narrows no Observation, so what comes
    is everyone's, and the link self must not say otherwise."""
    bundle = _lenient(client, f"?_type={types}&_tag={TAG}&gender=male")
    modes = [entry["search"]["mode"] for entry in bundle["entry"]]
    assert modes == ["match"] * 4 + ["outcome"]
    assert bundle["total"] == 4
    assert "gender" in bundle["entry"][-1]["resource"]["issue"][0]["diagnostics"]
    assert "gender" not in bundle["link"][0]["url"]


def test_a_lenient_client_keeps_what_was_understood_on_the_next_page(client: httpx.Client) -> None:
    """Of two parameters of a name the one that was left out alone is gone from the links."""
    address = f"?_type=Observation&_tag={TAG}&_count=1&_include=Observation:subject"
    first = _lenient(client, f"{address}&_include=Observation:nonsense")
    links = {link["relation"]: link["url"] for link in first["link"]}
    assert "Observation:nonsense" not in links["self"]
    for bundle in (first, client.get(links["next"]).json()):
        modes = [entry["search"]["mode"] for entry in bundle["entry"]]
        assert modes[:2] == ["match", "include"]


@pytest.mark.parametrize("segment", ["%22%3E%20", "a%2Fb", "%3F_id=1", "%25"])
def test_a_link_leads_to_where_it_was_asked_for(client: httpx.Client, segment: str) -> None:
    """https://hl7.org/fhir/R4/search.html#conformance: self is what was searched"""
    bundle = client.get(f"Patient/{segment}/Observation?_count=5").json()
    assert (
        bundle["link"][0]["url"]
        .upper()
        .endswith(f"Patient/{segment}/Observation?_count=5".replace("=1/", "%3D1/").upper())
    )
