"""_include and _revinclude over HTTP: https://hl7.org/fhir/R4/search.html#revinclude"""

from typing import Any

import httpx
import pytest

from api.patients import resident, weight
from servers import serving

_MANY = 1001


@pytest.fixture
def patient(client: httpx.Client) -> str:
    """A patient with three weights: `Patient/…`."""
    id_ = client.post("/Patient", json=resident()).json()["id"]
    for value in ("50.5", "51.5", "52.5"):
        body = weight(f"Patient/{id_}") | {"valueQuantity": {"value": float(value)}}
        assert client.post("/Observation", json=body).status_code == 201
    return f"Patient/{id_}"


def _found(bundle: dict[str, Any], mode: str) -> list[dict[str, Any]]:
    return [one["resource"] for one in bundle.get("entry", ()) if one["search"]["mode"] == mode]


def _get(client: httpx.Client, address: str, **headers: str) -> dict[str, Any]:
    answer = client.get(address, headers=headers)
    assert answer.status_code == 200, answer.text
    bundle: dict[str, Any] = answer.json()
    return bundle


def test_they_stand_behind_the_matches_and_are_not_counted(
    client: httpx.Client, patient: str
) -> None:
    address = f"/Observation?subject={patient}&_include=Observation:subject"
    bundle = _get(client, address)
    assert bundle["total"] == 3
    assert [one["search"]["mode"] for one in bundle["entry"]] == ["match"] * 3 + ["include"]
    last = bundle["entry"][-1]
    assert last["fullUrl"].endswith(f"/fhir/{patient}")
    assert last["resource"] == client.get(f"/{patient}").json()


def test_self_shows_what_was_asked(client: httpx.Client, patient: str) -> None:
    address = (
        f"/Observation?subject={patient}&_include=Observation:subject:Patient"
        "&_include:iterate=Patient:organization&_revinclude=Provenance:target"
    )
    (link,) = _get(client, address)["link"]
    assert link["relation"] == "self"
    assert link["url"].endswith(address)


def test_each_page_stands_alone(client: httpx.Client, patient: str) -> None:
    """ "Each page of search results should include the matching includes"."""
    address = f"/Observation?subject={patient}&_include=Observation:subject&_count=2"
    seen = []
    while address:
        bundle = _get(client, address)
        assert bundle["total"] == 3
        seen += [one["id"] for one in _found(bundle, "match")]
        assert [one["id"] for one in _found(bundle, "include")] == [patient.partition("/")[2]]
        links = {one["relation"]: one["url"] for one in bundle["link"]}
        assert all("_include=Observation:subject" in url for url in links.values())
        address = links.get("next", "")
    assert len(set(seen)) == 3


def test_no_page_has_no_includes(client: httpx.Client, patient: str) -> None:
    for name in ("_count=0", "_summary=count"):
        address = f"/Observation?subject={patient}&_include=Observation:subject&{name}"
        bundle = _get(client, address)
        assert bundle["total"] == 3
        assert "entry" not in bundle


def test_those_that_refer_come_along(client: httpx.Client, patient: str) -> None:
    id_ = patient.partition("/")[2]
    bundle = _get(client, f"/Patient?_id={id_}&_revinclude=Observation:patient")
    assert bundle["total"] == 1
    assert [one["id"] for one in _found(bundle, "match")] == [id_]
    assert len(_found(bundle, "include")) == 3


def test_a_form_is_as_good_as_an_address(client: httpx.Client, patient: str) -> None:
    form = {"subject": patient, "_include": ["Observation:subject", "Observation:encounter"]}
    bundle = client.post("/Observation/_search", data=form).json()
    assert len(_found(bundle, "match")) == 3
    assert len(_found(bundle, "include")) == 1


def test_a_deleted_resource_does_not_come(
    client: httpx.Client, patient: str, module_database: str
) -> None:
    (one, *_) = _found(_get(client, f"/Observation?subject={patient}"), "match")
    basic = {
        "resourceType": "Basic",
        "code": {"text": "x"},
        "subject": {"reference": f"Observation/{one['id']}"},
    }
    id_ = client.post("/Basic", json=basic).json()["id"]
    address = f"/Basic?_id={id_}&_include=Basic:subject"
    assert len(_found(_get(client, address), "include")) == 1
    # Only where references are accepted unchecked may what is referred to go.
    with (
        serving(module_database, references="accept") as unchecked,
        httpx.Client(base_url=unchecked.fhir) as other,
    ):
        assert other.delete(f"/Observation/{one['id']}").status_code == 204
    bundle = _get(client, address)
    assert len(bundle["entry"]) == 1


def test_elements_are_those_of_the_matches(client: httpx.Client, patient: str) -> None:
    """https://hl7.org/fhir/R4/search.html#elements: "does not apply to included resources"."""
    address = f"/Observation?subject={patient}&_include=Observation:subject&_elements="
    bundle = _get(client, address + "status")
    assert all("valueQuantity" not in one for one in _found(bundle, "match"))
    (included,) = _found(bundle, "include")
    assert included == client.get(f"/{patient}").json()
    (named,) = _found(_get(client, address + "status,Patient.gender"), "include")
    assert named["gender"] == "female"
    assert "name" not in named


def test_a_summary_is_one_of_all(client: httpx.Client, patient: str) -> None:
    address = f"/Observation?subject={patient}&_include=Observation:subject&_summary="
    (included,) = _found(_get(client, address + "true"), "include")
    assert included["meta"]["tag"][-1]["code"] == "SUBSETTED"
    answer = client.get(address + "text")
    assert answer.status_code == 400
    assert "goes with no _include" in answer.text


def test_what_is_too_much_is_cut_and_told_in_both_languages(
    client: httpx.Client, patient: str
) -> None:
    entries = [
        {
            "resource": {
                "resourceType": "Basic",
                "code": {"text": "x"},
                "subject": {"reference": patient},
            },
            "request": {"method": "POST", "url": "Basic"},
        }
        for _ in range(_MANY)
    ]
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
    assert client.post("/", json=bundle).status_code == 200
    address = f"/Patient?_id={patient.partition('/')[2]}&_revinclude=Basic:patient"
    found = _get(client, address, **{"Accept-Language": "en"})
    assert found["total"] == 1
    assert len(_found(found, "include")) == _MANY - 1
    (outcome,) = _found(found, "outcome")
    (issue,) = outcome["issue"]
    assert (issue["severity"], issue["code"]) == ("warning", "too-costly")
    assert "_revinclude=Basic:patient" in issue["details"]["text"]
    found = _get(client, address, **{"Accept-Language": "vi"})
    (outcome,) = _found(found, "outcome")
    assert "Chưa kèm theo đủ" in outcome["issue"][0]["details"]["text"]


@pytest.mark.parametrize(
    ("parameter", "reason"),
    [
        ("_include:foo=Observation:subject", "_include:foo has the modifier :foo"),
        ("_include=Nonsense:subject", "_include names a type that FHIR does not have"),
        ("_include=Observation:nonsense", "_include goes on from nonsense"),
        ("_include=Observation:code", "_include goes on from code, which is no reference"),
        ("_include=Observation:subject:Practitioner", "_include goes on to Practitioner"),
        ("_revinclude=*", "_revinclude is *, which would look through all types"),
    ],
)
def test_what_names_no_reference_is_refused(
    client: httpx.Client, parameter: str, reason: str
) -> None:
    answer = client.get(f"/Observation?{parameter}")
    assert answer.status_code == 400
    assert reason in answer.json()["issue"][0]["diagnostics"]


def test_a_lenient_client_is_told_what_was_left_out(client: httpx.Client, patient: str) -> None:
    address = f"/Observation?subject={patient}&_include=Observation:nonsense"
    bundle = _get(client, address, Prefer="handling=lenient")
    assert len(_found(bundle, "match")) == 3
    (outcome,) = _found(bundle, "outcome")
    assert "_include" in outcome["issue"][0]["diagnostics"]
