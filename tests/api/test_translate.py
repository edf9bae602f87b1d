"""ConceptMap/$translate: https://hl7.org/fhir/R4/conceptmap-operation-translate.html"""

from typing import Any

import httpx
import pytest

from api.terms import parameters, refused, said

HERE, THERE = "http://x.org/here", "http://x.org/there"


def _map(**more: Any) -> dict[str, Any]:
    group = {
        "source": HERE,
        "target": THERE,
        "element": [
            {"code": "a", "target": [{"code": "1", "display": "One", "equivalence": "wider"}]},
            {"code": "b", "target": [{"equivalence": "unmatched"}]},
        ],
        **more,
    }
    return {
        "resourceType": "ConceptMap",
        "url": "http://x.org/map",
        "status": "draft",
        "group": [group],
    }


def _asked(client: httpx.Client, code: str, map_: dict[str, Any], **more: Any) -> dict[str, Any]:
    coding = {"system": more.pop("system", HERE), "code": code}
    sent = parameters(conceptMap__resource=map_, coding__valueCoding=coding, **more)
    return said(client.post("/ConceptMap/$translate", json=sent))


def test_a_code_that_is_mapped(shared_client: httpx.Client) -> None:
    found = _asked(shared_client, "a", _map())
    assert found["result"] is True
    assert found["match"] == [
        {
            "equivalence": "wider",
            "concept": {"system": THERE, "code": "1", "display": "One"},
            "source": "http://x.org/map",
        }
    ]


def test_unmatched_is_no_translation(shared_client: httpx.Client) -> None:
    found = _asked(shared_client, "b", _map())
    assert (found["result"], found["match"][0]["equivalence"]) == (False, "unmatched")
    assert _asked(shared_client, "c", _map())["result"] is False
    assert _asked(shared_client, "a", _map(), system="http://x.org/x")["result"] is False


def test_in_reverse_wider_is_narrower(shared_client: httpx.Client) -> None:
    found = _asked(shared_client, "1", _map(), system=THERE, reverse__valueBoolean=True)
    assert found["match"][0]["concept"] == {"system": HERE, "code": "a"}
    assert found["match"][0]["equivalence"] == "narrower"


def test_the_target_system_can_be_asked_for(shared_client: httpx.Client) -> None:
    assert _asked(shared_client, "a", _map(), targetsystem__valueUri=THERE)["result"] is True
    assert _asked(shared_client, "a", _map(), targetsystem__valueUri=HERE)["result"] is False


@pytest.mark.parametrize(
    ("rule", "code"), [({"mode": "provided"}, "c"), ({"mode": "fixed", "code": "other"}, "other")]
)
def test_what_is_not_mapped(shared_client: httpx.Client, rule: dict[str, str], code: str) -> None:
    """ConceptMap.group.unmapped"""
    found = _asked(shared_client, "c", _map(unmapped=rule))
    assert found["match"][0]["concept"] == {"system": THERE, "code": code}


def test_a_loaded_map_and_all_loaded_maps(shared_client: httpx.Client) -> None:
    asked = {
        "url": "http://hl7.org/fhir/ConceptMap/cm-composition-status-v3",
        "system": "http://hl7.org/fhir/composition-status",
        "code": "final",
    }
    found = said(shared_client.get("/ConceptMap/$translate", params=asked))
    assert found["result"] is True
    code = found["match"][0]["concept"]["code"]
    del asked["url"]
    everywhere = said(shared_client.get("/ConceptMap/$translate", params=asked))
    assert code in [one["concept"]["code"] for one in everywhere["match"] if "concept" in one]


def test_a_map_stored_here(shared_client: httpx.Client) -> None:
    id_ = shared_client.post("/ConceptMap", json=_map()).json()["id"]
    asked = {"system": HERE, "code": "a"}
    found = said(shared_client.get(f"/ConceptMap/{id_}/$translate", params=asked))
    assert found["result"] is True


@pytest.mark.parametrize(
    ("asked", "status"),
    [
        ({"url": "http://x.org/nothing", "system": HERE, "code": "a"}, 404),
        ({"code": "a"}, 400),
        ({"system": HERE}, 400),
        ({"system": HERE, "code": "a", "reverse": "x"}, 400),
    ],
)
def test_refusals(shared_client: httpx.Client, asked: dict[str, str], status: int) -> None:
    assert refused(shared_client.get("/ConceptMap/$translate", params=asked))[0] == status
