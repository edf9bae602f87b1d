"""CodeSystem/$subsumes: https://hl7.org/fhir/R4/codesystem-operation-subsumes.html"""

from typing import Any

import httpx
import pytest

from api.terms import parameters, refused, said

SYSTEM = "http://hl7.org/fhir/observation-status"


@pytest.mark.parametrize(
    ("a", "b", "outcome"),
    [
        ("amended", "amended", "equivalent"),
        ("amended", "corrected", "subsumes"),
        ("corrected", "amended", "subsumed-by"),
        ("final", "amended", "not-subsumed"),
    ],
)
def test_the_outcomes(shared_client: httpx.Client, a: str, b: str, outcome: str) -> None:
    asked = {"system": SYSTEM, "codeA": a, "codeB": b}
    found = said(shared_client.get("/CodeSystem/$subsumes", params=asked))
    assert found == {"outcome": outcome}
    sent = parameters(
        codingA__valueCoding={"system": SYSTEM, "code": a},
        codingB__valueCoding={"system": SYSTEM, "code": b},
    )
    assert said(shared_client.post("/CodeSystem/$subsumes", json=sent)) == {"outcome": outcome}


def test_of_a_system_stored_here(shared_client: httpx.Client) -> None:
    """Also a hierarchy that is said by the property `parent`."""
    parent = {"code": "parent", "valueCode": "wide"}
    own: dict[str, Any] = {
        "resourceType": "CodeSystem",
        "url": "http://x.org/own",
        "status": "draft",
        "content": "complete",
        "property": [{"code": "parent", "type": "code"}],
        "concept": [{"code": "narrow", "property": [parent]}, {"code": "wide"}],
    }
    asked = {"codeA": "wide", "codeB": "narrow"}
    id_ = shared_client.post("/CodeSystem", json=own).json()["id"]
    found = said(shared_client.get(f"/CodeSystem/{id_}/$subsumes", params=asked))
    assert found == {"outcome": "subsumes"}
    own["hierarchyMeaning"] = "part-of"
    id_ = shared_client.post("/CodeSystem", json=own).json()["id"]
    answer = shared_client.get(f"/CodeSystem/{id_}/$subsumes", params=asked)
    assert answer.status_code == 422


@pytest.mark.parametrize(
    ("asked", "status"),
    [
        ({"codeA": "a", "codeB": "b"}, 400),
        ({"system": SYSTEM, "codeA": "final"}, 400),
        ({"system": "http://x.org/nothing", "codeA": "a", "codeB": "b"}, 404),
        ({"system": SYSTEM, "codeA": "final", "codeB": "b"}, 404),
    ],
)
def test_refusals(shared_client: httpx.Client, asked: dict[str, str], status: int) -> None:
    assert refused(shared_client.get("/CodeSystem/$subsumes", params=asked))[0] == status
