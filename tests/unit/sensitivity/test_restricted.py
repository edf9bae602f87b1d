"""What is restricted is told by labels and by codes:
https://hl7.org/fhir/R4/security-labels.html#core ."""

import pytest

from ehr_server.sensitivity import is_restricted

ACT = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
CONFIDENTIALITY = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
ICD = "http://hl7.org/fhir/sid/icd-10"


def _labelled(system: str, code: str) -> dict[str, object]:
    return {"resourceType": "Observation", "meta": {"security": [{"system": system, "code": code}]}}


def _coded(system: str, code: str) -> dict[str, object]:
    return {
        "resourceType": "Encounter",
        "reasonCode": [{"coding": [{"system": system, "code": code}]}],
    }


@pytest.mark.parametrize(
    ("resource", "reasons"),
    [
        (_labelled(CONFIDENTIALITY, "R"), ("R",)),
        (_labelled(CONFIDENTIALITY, "V"), ("V",)),
        (_labelled(CONFIDENTIALITY, "N"), ()),
        (_labelled(ACT, "HIV"), ("HIV",)),
        (_labelled(ACT, "PSY"), ("PSY",)),
        (_labelled("http://example.org/labels", "HIV"), ()),
        (_coded(ICD, "B20"), ("HIV",)),
        (_coded(ICD, "B24"), ("HIV",)),
        (_coded(ICD, "b23.8"), ("HIV",)),
        (_coded(ICD, "Z21"), ("HIV",)),
        (_coded(ICD, "B19"), ()),
        (_coded(ICD, "B25"), ()),
        (_coded("http://loinc.org", "B20"), ()),
        (_coded("http://loinc.org", "56888-1"), ("HIV",)),
        (_coded("http://loinc.org", "8302-2"), ()),
        (_coded("http://snomed.info/sct", "86406008"), ("HIV",)),
        (_coded("http://www.whocc.no/atc", "J05AR06"), ("HIV",)),
        (_coded("http://www.whocc.no/atc", "J05AF05"), ()),
    ],
)
def test_reasons(resource: dict[str, object], reasons: tuple[str, ...]) -> None:
    assert is_restricted(resource) == reasons


def test_contained_resources_count() -> None:
    outer = {"resourceType": "CarePlan", "contained": [_coded(ICD, "B22.0")]}
    assert is_restricted(outer) == ("HIV",)


def test_several_reasons_are_told_each_once() -> None:
    found = _labelled(ACT, "PSY") | {"code": {"coding": [{"system": ICD, "code": "B20"}] * 2}}
    assert is_restricted(found) == ("HIV", "PSY")
