"""Contained resources: what leads where. https://hl7.org/fhir/R4/references.html#contained"""

from typing import Any

from ehr_server.validation import links


def _holder(*contained: dict[str, Any], **elements: Any) -> dict[str, Any]:
    return {"resourceType": "Observation", "contained": list(contained), **elements}


PATIENT = {"resourceType": "Patient", "id": "p"}


def test_a_link_and_its_target() -> None:
    resource = _holder(PATIENT, subject={"reference": "#p"})
    assert links.are_resolved(resource)
    assert links.dangling(resource) == []
    assert links.orphans(resource) == []


def test_a_link_to_nothing() -> None:
    resource = _holder(PATIENT, subject={"reference": "#p"}, focus=[{"reference": "#q"}])
    assert not links.are_resolved(resource)
    assert links.dangling(resource) == [".focus[0].reference"]


def test_a_text_that_begins_with_a_hash_is_no_link() -> None:
    resource = {"resourceType": "Patient", "address": [{"text": "#5 Lê Lợi"}]}
    assert links.dangling(resource) == []


def test_a_contained_resource_may_refer_to_its_holder_alone() -> None:
    back = {"resourceType": "Encounter", "id": "e", "reasonReference": [{"reference": "#"}]}
    assert links.orphans(_holder(back)) == []
    assert links.orphans(_holder(PATIENT)) == [0]


def test_a_contained_resource_may_refer_to_another() -> None:
    encounter = {"resourceType": "Encounter", "id": "e", "subject": {"reference": "#p"}}
    assert links.are_resolved(_holder(PATIENT, encounter, encounter={"reference": "#e"}))


def test_two_of_one_id() -> None:
    assert links.doubles(_holder(PATIENT, PATIENT, subject={"reference": "#p"})) == [1]
    assert not links.are_resolved(_holder(PATIENT, PATIENT, subject={"reference": "#p"}))
