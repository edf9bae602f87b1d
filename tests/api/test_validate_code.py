"""ValueSet/$validate-code and CodeSystem/$validate-code:
https://hl7.org/fhir/R4/valueset-operation-validate-code.html"""

from typing import Any

import httpx
import pytest

from api.terms import parameters, refused, said

STATUS = "http://hl7.org/fhir/ValueSet/observation-status"
SYSTEM = "http://hl7.org/fhir/observation-status"
CLASSES = "http://terminology.hl7.org/CodeSystem/v3-ActCode"


def _set(client: httpx.Client, **asked: Any) -> Any:
    return said(client.get("/ValueSet/$validate-code", params={"url": STATUS, **asked}))


def test_a_code_that_is_in_the_value_set(shared_client: httpx.Client) -> None:
    found = _set(shared_client, system=SYSTEM, code="final")
    assert found == {"result": True, "display": "Final"}


def test_a_display_is_compared_without_case(shared_client: httpx.Client) -> None:
    assert _set(shared_client, system=SYSTEM, code="final", display="FINAL")["result"] is True
    found = _set(shared_client, system=SYSTEM, code="final", display="Finished")
    assert found["result"] is False
    assert found["display"] == "Final"
    assert "Final" in found["message"]


@pytest.mark.parametrize(
    ("asked", "mended"),
    [
        ({"system": SYSTEM, "code": "Final"}, "final"),
        ({"system": SYSTEM, "code": "finall"}, "final"),
        ({"system": "http://x.org/s", "code": "final"}, SYSTEM),
        ({"system": "http://x.org/s", "code": "qqq"}, "registered"),
    ],
)
def test_a_message_that_mends(
    shared_client: httpx.Client, asked: dict[str, str], mended: str
) -> None:
    found = _set(shared_client, **asked)
    assert found["result"] is False
    assert mended in found["message"]
    vietnamese = shared_client.get(
        "/ValueSet/$validate-code",
        params={"url": STATUS, **asked},
        headers={"Accept-Language": "vi"},
    )
    assert "không có" in said(vietnamese)["message"]


def test_of_a_concept_one_right_coding_is_enough(shared_client: httpx.Client) -> None:
    codings = [{"system": "http://x.org/s", "code": "1"}, {"system": SYSTEM, "code": "final"}]
    sent = parameters(
        url__valueUri=STATUS, codeableConcept__valueCodeableConcept={"coding": codings}
    )
    assert said(shared_client.post("/ValueSet/$validate-code", json=sent))["result"] is True
    sent = parameters(url__valueUri=STATUS, coding__valueCoding=codings[0])
    assert said(shared_client.post("/ValueSet/$validate-code", json=sent))["result"] is False


def test_what_is_not_loaded_is_not_checked(shared_client: httpx.Client) -> None:
    asked = {
        "url": "http://hl7.org/fhir/ValueSet/observation-codes",
        "system": "http://loinc.org",
        "code": "8480-6",
    }
    answer = shared_client.get("/ValueSet/$validate-code", params=asked)
    status, code, text = refused(answer)
    assert (status, code) == (422, "not-found")
    assert "http://loinc.org" in text
    asked["url"] = "http://x.org/nothing"
    assert refused(shared_client.get("/ValueSet/$validate-code", params=asked))[0] == 404


def test_an_abstract_code_only_where_it_is_allowed(shared_client: httpx.Client) -> None:
    asked = {"url": CLASSES, "code": "_ActEncounterCode", "abstract": "false"}
    found = said(shared_client.get("/CodeSystem/$validate-code", params=asked))
    assert found["result"] is False
    asked["abstract"] = "true"
    assert said(shared_client.get("/CodeSystem/$validate-code", params=asked))["result"] is True
    of_set = {
        "url": "http://terminology.hl7.org/ValueSet/v3-ActCode",
        "system": CLASSES,
        "code": "_ActEncounterCode",
    }
    for abstract in ("true", "false"):
        asked = {**of_set, "abstract": abstract}
        found = said(shared_client.get("/ValueSet/$validate-code", params=asked))
        assert found["result"] is (abstract == "true")


def test_a_value_set_stored_here_or_sent_along(shared_client: httpx.Client) -> None:
    own = {
        "resourceType": "ValueSet",
        "status": "draft",
        "compose": {"include": [{"system": "http://x.org/s", "concept": [{"code": "a"}]}]},
    }
    id_ = shared_client.post("/ValueSet", json=own).json()["id"]
    asked = {"system": "http://x.org/s", "code": "a"}
    answer = shared_client.get(f"/ValueSet/{id_}/$validate-code", params=asked)
    assert said(answer)["result"] is True
    sent = parameters(
        valueSet__resource=own, system__valueUri="http://x.org/s", code__valueCode="b"
    )
    found = said(shared_client.post("/ValueSet/$validate-code", json=sent))
    assert found["result"] is False
    assert "a" in found["message"]


def test_a_code_system(shared_client: httpx.Client) -> None:
    asked = {"url": SYSTEM, "code": "final"}
    found = said(shared_client.get("/CodeSystem/$validate-code", params=asked))
    assert found == {"result": True, "display": "Final"}
    asked["code"] = "finall"
    found = said(shared_client.get("/CodeSystem/$validate-code", params=asked))
    assert found["result"] is False
    assert "Did you mean final?" in found["message"]
    sent = parameters(coding__valueCoding={"system": SYSTEM, "code": "final"})
    assert said(shared_client.post("/CodeSystem/$validate-code", json=sent))["result"] is True
    asked["url"] = "http://loinc.org"
    assert refused(shared_client.get("/CodeSystem/$validate-code", params=asked))[0] == 404


def test_a_code_system_stored_here_or_sent_along(shared_client: httpx.Client) -> None:
    own = {
        "resourceType": "CodeSystem",
        "url": "http://x.org/own",
        "status": "draft",
        "content": "complete",
        "concept": [{"code": "a", "display": "Mã A"}],
    }
    id_ = shared_client.post("/CodeSystem", json=own).json()["id"]
    answer = shared_client.get(f"/CodeSystem/{id_}/$validate-code", params={"code": "a"})
    assert said(answer) == {"result": True, "display": "Mã A"}
    sent = parameters(codeSystem__resource=own, code__valueCode="b")
    assert said(shared_client.post("/CodeSystem/$validate-code", json=sent))["result"] is False


@pytest.mark.parametrize(
    ("path", "asked", "named"),
    [
        ("ValueSet", {"url": STATUS, "code": "final"}, "system"),
        ("ValueSet", {"url": STATUS}, "code"),
        ("ValueSet", {"code": "final", "system": SYSTEM}, "url"),
        ("ValueSet", {"url": STATUS, "context": "x", "code": "a", "system": "b"}, "context"),
        ("CodeSystem", {"code": "final"}, "url"),
        ("CodeSystem", {"url": SYSTEM, "code": "final", "abstract": "maybe"}, "abstract"),
        ("CodeSystem", {"url": SYSTEM, "code": "final", "system": SYSTEM}, "system"),
    ],
)
def test_a_bad_parameter_is_400_and_named(
    shared_client: httpx.Client, path: str, asked: dict[str, str], named: str
) -> None:
    answer = shared_client.get(f"/{path}/$validate-code", params=asked)
    status, _, text = refused(answer)
    assert status == 400
    assert named in text
