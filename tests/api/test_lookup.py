"""CodeSystem/$lookup: https://hl7.org/fhir/R4/codesystem-operation-lookup.html"""

from typing import Any

import httpx
import pytest

from api.terms import parameters, refused, said

SYSTEM = "http://hl7.org/fhir/observation-status"


def _properties(found: dict[str, Any]) -> list[tuple[str, Any]]:
    return [(one["code"], one["value"]) for one in found.get("property", ())]


def test_what_the_system_says_of_a_code(shared_client: httpx.Client) -> None:
    answer = shared_client.get("/CodeSystem/$lookup", params={"system": SYSTEM, "code": "amended"})
    found = said(answer)
    assert (found["name"], found["version"], found["display"]) == (
        "ObservationStatus",
        "4.0.1",
        "Amended",
    )
    assert ("child", "corrected") in _properties(found)
    assert ("inactive", False) in _properties(found)


def test_by_post_with_a_coding_and_the_properties_wanted(shared_client: httpx.Client) -> None:
    sent = parameters(
        coding__valueCoding={"system": SYSTEM, "code": "corrected"}, property__valueCode="parent"
    )
    found = said(shared_client.post("/CodeSystem/$lookup", json=sent))
    assert _properties(found) == [("parent", "amended")]


def test_a_system_or_code_that_is_not_there_is_404(shared_client: httpx.Client) -> None:
    asked = {"system": "http://loinc.org", "code": "8480-6"}
    status, code, text = refused(shared_client.get("/CodeSystem/$lookup", params=asked))
    assert (status, code) == (404, "not-found")
    assert "http://loinc.org" in text
    asked = {"system": SYSTEM, "code": "nothing"}
    status, code, text = refused(shared_client.get("/CodeSystem/$lookup", params=asked))
    assert (status, code) == (404, "not-found")
    assert "nothing" in text


@pytest.mark.parametrize(
    ("asked", "named"),
    [
        ({"code": "final"}, "system"),
        ({"system": SYSTEM}, "code"),
        ({"system": SYSTEM, "code": "final", "date": "2020"}, "date"),
        ({"coding": "final"}, "coding"),
    ],
)
def test_a_bad_parameter_is_400_and_named(
    shared_client: httpx.Client, asked: dict[str, str], named: str
) -> None:
    status, _, text = refused(shared_client.get("/CodeSystem/$lookup", params=asked))
    assert status == 400
    assert named in text
