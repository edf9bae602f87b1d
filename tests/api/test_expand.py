"""ValueSet/$expand: https://hl7.org/fhir/R4/valueset-operation-expand.html"""

from typing import Any

import httpx
import pytest

from api.terms import parameters, refused

STATUS = "http://hl7.org/fhir/ValueSet/observation-status"
MARITAL = "http://hl7.org/fhir/ValueSet/marital-status"
ROLE = "http://terminology.hl7.org/ValueSet/v3-PersonalRelationshipRoleType"


def _expansion(answer: httpx.Response) -> Any:
    assert answer.status_code == 200, answer.text
    return answer.json()["expansion"]


def _codes(answer: httpx.Response) -> list[str]:
    return [one["code"] for one in _expansion(answer).get("contains", ())]


def test_a_loaded_value_set_by_url(shared_client: httpx.Client) -> None:
    answer = shared_client.get("/ValueSet/$expand", params={"url": STATUS})
    found = answer.json()
    assert (found["resourceType"], found["url"]) == ("ValueSet", STATUS)
    assert "compose" not in found
    expansion = found["expansion"]
    assert expansion["total"] == 8
    assert expansion["contains"][0] == {
        "system": "http://hl7.org/fhir/observation-status",
        "code": "registered",
        "display": "Registered",
    }
    assert {"timestamp", "identifier"} <= expansion.keys()
    used = {"name": "version", "valueUri": "http://hl7.org/fhir/observation-status|4.0.1"}
    assert used in expansion["parameter"]


def test_the_answer_is_a_valid_value_set(shared_client: httpx.Client) -> None:
    asked = {"url": ROLE, "count": 5, "filter": "gr", "excludeNested": "false"}
    found = shared_client.get("/ValueSet/$expand", params=asked).json()
    checked = shared_client.post("/ValueSet/$validate", json=found)
    severities = {one["severity"] for one in checked.json()["issue"]}
    assert not severities & {"error", "fatal"}, checked.text


def test_parameters_can_be_posted(shared_client: httpx.Client) -> None:
    sent = parameters(url__valueUri=STATUS, count__valueInteger=2, offset__valueInteger=1)
    answer = shared_client.post("/ValueSet/$expand", json=sent)
    assert _codes(answer) == ["preliminary", "final"]


def test_pages_give_all_of_it(shared_client: httpx.Client) -> None:
    whole = _codes(shared_client.get("/ValueSet/$expand", params={"url": MARITAL}))
    pages = [
        _codes(
            shared_client.get(
                "/ValueSet/$expand", params={"url": MARITAL, "count": 3, "offset": offset}
            )
        )
        for offset in range(0, len(whole) + 3, 3)
    ]
    assert [code for page in pages for code in page] == whole
    assert pages[-1] == []
    none = shared_client.get("/ValueSet/$expand", params={"url": MARITAL, "count": 0})
    assert (_expansion(none)["total"], _codes(none)) == (len(whole), [])


def test_filter_finds_by_the_beginnings_of_words(shared_client: httpx.Client) -> None:
    asked = {"url": MARITAL, "filter": "NEV marr"}
    assert _codes(shared_client.get("/ValueSet/$expand", params=asked)) == ["S"]
    asked["filter"] = "arried"
    assert _codes(shared_client.get("/ValueSet/$expand", params=asked)) == []


def test_a_value_set_sent_along(shared_client: httpx.Client) -> None:
    system = "http://hl7.org/fhir/observation-status"
    final = {"property": "concept", "op": "is-a", "value": "amended"}
    own = {
        "resourceType": "ValueSet",
        "status": "draft",
        "compose": {"include": [{"system": system, "filter": [final]}]},
    }
    answer = shared_client.post("/ValueSet/$expand", json=parameters(valueSet__resource=own))
    assert _codes(answer) == ["amended", "corrected"]
    sent = parameters(valueSet__resource=own, includeDefinition__valueBoolean=True)
    assert shared_client.post("/ValueSet/$expand", json=sent).json()["compose"] == own["compose"]


def test_a_value_set_stored_here(shared_client: httpx.Client) -> None:
    own = {
        "resourceType": "ValueSet",
        "status": "draft",
        "compose": {"include": [{"system": "http://x.org/s", "concept": [{"code": "a"}]}]},
    }
    id_ = shared_client.post("/ValueSet", json=own).json()["id"]
    assert _codes(shared_client.get(f"/ValueSet/{id_}/$expand")) == ["a"]
    assert _codes(shared_client.post(f"/ValueSet/{id_}/$expand")) == ["a"]
    assert shared_client.get(f"/ValueSet/{id_}").status_code == 200
    assert shared_client.get(f"/ValueSet/{id_}/_history").status_code == 200
    assert shared_client.get("/ValueSet/nothing/$expand").status_code == 404


def test_a_tree_where_nesting_is_asked_for(shared_client: httpx.Client) -> None:
    answer = shared_client.get(
        "/ValueSet/$expand", params={"url": STATUS, "excludeNested": "false"}
    )
    amended = next(one for one in _expansion(answer)["contains"] if one["code"] == "amended")
    assert [one["code"] for one in amended["contains"]] == ["corrected"]


def test_a_value_set_that_is_not_loaded_is_404(shared_client: httpx.Client) -> None:
    answer = shared_client.get("/ValueSet/$expand", params={"url": "http://x.org/nothing"})
    status, code, text = refused(answer)
    assert (status, code) == (404, "not-found")
    assert "http://x.org/nothing" in text


def test_a_system_that_is_not_loaded_is_said(shared_client: httpx.Client) -> None:
    url = "http://hl7.org/fhir/ValueSet/observation-codes"
    status, code, text = refused(shared_client.get("/ValueSet/$expand", params={"url": url}))
    assert (status, code) == (422, "not-found")
    assert "http://loinc.org" in text


def test_value_sets_that_include_themselves_are_refused(shared_client: httpx.Client) -> None:
    own = {
        "resourceType": "ValueSet",
        "url": "http://x.org/me",
        "status": "draft",
        "compose": {"include": [{"system": "http://x.org/s", "filter": [{}]}]},
    }
    answer = shared_client.post("/ValueSet/$expand", json=parameters(valueSet__resource=own))
    assert answer.status_code == 422  # a filter without property, op and value is no ValueSet


def test_too_many_codes_are_refused_with_the_way_out(shared_client: httpx.Client) -> None:
    concepts = [{"code": f"c{number}"} for number in range(10_001)]
    own = {
        "resourceType": "ValueSet",
        "status": "draft",
        "compose": {"include": [{"system": "http://x.org/s", "concept": concepts}]},
    }
    sent = parameters(valueSet__resource=own)
    status, code, text = refused(shared_client.post("/ValueSet/$expand", json=sent))
    assert (status, code) == (422, "too-costly")
    assert "count" in text
    assert "filter" in text
    sent["parameter"].append({"name": "count", "valueInteger": 3})
    answer = shared_client.post("/ValueSet/$expand", json=sent)
    assert (_codes(answer), _expansion(answer)["total"]) == (["c0", "c1", "c2"], 10_001)


@pytest.mark.parametrize(
    ("asked", "named"),
    [
        ({"url": STATUS, "count": "many"}, "count"),
        ({"url": STATUS, "count": "-1"}, "count"),
        ({"url": STATUS, "excludeNested": "yes"}, "excludeNested"),
        ({"url": STATUS, "colour": "red"}, "colour"),
        ({"url": STATUS, "valueSet": "x"}, "valueSet"),
        ({"context": "http://x.org/StructureDefinition/a#b"}, "context"),
        ({"url": STATUS, "date": "2020-01-01"}, "date"),
        ({}, "url"),
        ({"url": ""}, "url"),
        ({"url": [STATUS, STATUS]}, "url"),
    ],
)
def test_a_bad_parameter_is_400_and_named(
    shared_client: httpx.Client, asked: dict[str, Any], named: str
) -> None:
    status, _, text = refused(shared_client.get("/ValueSet/$expand", params=asked))
    assert status == 400
    assert named in text


@pytest.mark.parametrize(
    "body",
    [
        {"resourceType": "ValueSet", "status": "draft"},
        {"resourceType": "Parameters", "parameter": [{"valueUri": "x"}]},
        {"resourceType": "Parameters", "parameter": [{"name": "url", "valueUri": 1}]},
        {"resourceType": "Parameters", "parameter": [{"name": "url"}]},
        {"resourceType": "Parameters", "parameter": "url"},
    ],
)
def test_a_bad_body_is_400(shared_client: httpx.Client, body: dict[str, Any]) -> None:
    assert shared_client.post("/ValueSet/$expand", json=body).status_code == 400


def test_unknown_parameters_are_left_out_where_the_sender_prefers_it(
    shared_client: httpx.Client,
) -> None:
    answer = shared_client.get(
        "/ValueSet/$expand",
        params={"url": STATUS, "colour": "red"},
        headers={"Prefer": "handling=lenient"},
    )
    assert answer.status_code == 200
