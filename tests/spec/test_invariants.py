"""Invariants of the standard: a value that breaks each, and one that does not.

https://hl7.org/fhir/R4/conformance-rules.html#constraints. All of them are enforced, five with an
expression that is corrected.
"""

from decimal import Decimal
from typing import Any

import pytest

from ehr_server.definitions import definitions
from ehr_server.validation import check
from ehr_server.validation.rules import Severity, element_rules, rules
from ehr_server.validation.rules.corrected import CORRECTED

_CODE = {"coding": [{"system": "http://loinc.org", "code": "85354-9"}]}
_UCUM = "http://unitsofmeasure.org"
_CLINICAL = "http://terminology.hl7.org/CodeSystem/condition-clinical"
_VERIFICATION = "http://terminology.hl7.org/CodeSystem/condition-ver-status"


def _observation(**elements: Any) -> dict[str, Any]:
    return {"resourceType": "Observation", "status": "final", "code": _CODE, **elements}


def _condition(**elements: Any) -> dict[str, Any]:
    return {"resourceType": "Condition", "subject": {"reference": "Patient/1"}, **elements}


def _concept(system: str, code: str) -> dict[str, Any]:
    return {"coding": [{"system": system, "code": code}]}


def _patient(**elements: Any) -> dict[str, Any]:
    return {"resourceType": "Patient", **elements}


def _structure(*elements: dict[str, Any]) -> dict[str, Any]:
    """A StructureDefinition that narrows Patient; of each element what its path does not say."""
    named = [{"id": element["path"], **element} for element in elements]
    return {
        "resourceType": "StructureDefinition",
        "url": "http://example.org/p",
        "name": "P",
        "status": "draft",
        "kind": "resource",
        "abstract": False,
        "type": "Patient",
        "baseDefinition": "http://hl7.org/fhir/StructureDefinition/Patient",
        "derivation": "constraint",
        "differential": {"element": named},
    }


def _questionnaire(**item: Any) -> dict[str, Any]:
    item = {"linkId": "1", "type": "string", **item}
    return {"resourceType": "Questionnaire", "status": "draft", "item": [item]}


def _plan(**repeat: Any) -> dict[str, Any]:
    return _observation(effectiveTiming={"repeat": repeat})


def _capability(**elements: Any) -> dict[str, Any]:
    return {
        "resourceType": "CapabilityStatement",
        "status": "draft",
        "date": "2024",
        "kind": "requirements",
        "fhirVersion": "4.0.1",
        "format": ["json"],
        "document": [{"mode": "producer", "profile": "http://example.org/p"}],
        **elements,
    }


def _script(**elements: Any) -> dict[str, Any]:
    operation = {"encodeRequestUrl": True, "type": {"code": "read"}, **elements}
    return {
        "resourceType": "TestScript",
        "url": "http://example.org/t",
        "name": "T",
        "status": "draft",
        "test": [{"action": [{"operation": operation}]}],
    }


def _guide(resource: dict[str, Any], **elements: Any) -> dict[str, Any]:
    return {
        "resourceType": "ImplementationGuide",
        "url": "http://example.org/g",
        "name": "G",
        "status": "draft",
        "packageId": "g",
        "fhirVersion": ["4.0.1"],
        "definition": {"resource": [{"reference": {"reference": "Patient/1"}, **resource}]},
        **elements,
    }


def _bundle(type_: str, *entries: dict[str, Any], **elements: Any) -> dict[str, Any]:
    return {"resourceType": "Bundle", "type": type_, "entry": list(entries), **elements}


_REQUEST = {"method": "GET", "url": "Patient/1"}
CASES = [  # key, a resource that breaks it, one that keeps it
    ("obs-3", _observation(referenceRange=[{"type": {"text": "x"}}]),
     _observation(referenceRange=[{"text": "x"}])),
    ("obs-6", _observation(valueString="x", dataAbsentReason={"text": "x"}),
     _observation(dataAbsentReason={"text": "x"})),
    ("obs-7", _observation(valueString="x", component=[{"code": _CODE}]),
     _observation(component=[{"code": _CODE}])),
    ("qty-3", _observation(valueQuantity={"value": 1, "code": "kg"}),
     _observation(valueQuantity={"value": 1, "code": "kg", "system": _UCUM})),
    ("rng-2", _observation(valueRange={"low": {"value": 2}, "high": {"value": Decimal("1.5")}}),
     _observation(valueRange={"low": {"value": 2, "unit": "g"}, "high": {"value": 1}})),
    ("per-1", _observation(effectivePeriod={"start": "2024-05", "end": "2024-04-30"}),
     _observation(effectivePeriod={"start": "2024-05-31", "end": "2024-05"})),
    ("per-1", _observation(effectivePeriod={"start": "2024-05-01T00:00:00Z",
                                            "end": "2024-05-01T06:00:00+07:00"}),
     _observation(effectivePeriod={"start": "2024-05-01T06:00:00+07:00",
                                   "end": "2024-05-01T00:00:60Z"})),
    ("cpt-2", _patient(telecom=[{"value": "x"}]),
     _patient(telecom=[{"value": "x", "system": "phone"}])),
    ("att-1", _patient(photo=[{"data": "aGVs"}]),
     _patient(photo=[{"data": "aGVs", "contentType": "image/png"}])),
    ("pat-1", _patient(contact=[{"gender": "female"}]),
     _patient(contact=[{"gender": "female", "name": {"text": "x"}}])),
    ("con-4", _condition(abatementString="x"),
     _condition(abatementString="x", clinicalStatus=_concept(_CLINICAL, "resolved"))),
    ("con-5", _condition(clinicalStatus=_concept(_CLINICAL, "active"),
                         verificationStatus=_concept(_VERIFICATION, "entered-in-error")),
     _condition(verificationStatus=_concept(_VERIFICATION, "entered-in-error"))),
    ("org-1", {"resourceType": "Organization", "active": True},
     {"resourceType": "Organization", "name": "x"}),
    ("org-3", {"resourceType": "Organization", "name": "x", "telecom": [{"use": "home"}]},
     {"resourceType": "Organization", "name": "x", "telecom": [{"use": "work"}]}),
    ("dom-4", _observation(contained=[{"resourceType": "Patient", "id": "p",
                                       "meta": {"versionId": "1"}}], subject={"reference": "#p"}),
     _observation(contained=[{"resourceType": "Patient", "id": "p",
                              "meta": {"source": "urn:x"}}], subject={"reference": "#p"})),
    ("app-3", {"resourceType": "Appointment", "status": "booked",
               "participant": [{"status": "accepted", "type": [{"text": "x"}]}]},
     {"resourceType": "Appointment", "status": "proposed",
      "participant": [{"status": "accepted", "type": [{"text": "x"}]}]}),
    ("sqty-1", {"resourceType": "Specimen", "container": [
        {"capacity": {"value": 1, "comparator": "<"}}]},
     {"resourceType": "Specimen", "container": [{"capacity": {"value": 1}}]}),
    ("drt-1", _condition(onsetAge={"value": 5, "code": "a", "system": _UCUM},
                         extension=[{"url": "a", "valueDuration": {"code": "h",
                                                                   "system": "http://x"}}]),
     _condition(extension=[{"url": "a", "valueDuration": {"value": 1, "code": "h",
                                                          "system": _UCUM}}])),
    ("age-1", _condition(onsetAge={"value": -5, "code": "a", "system": _UCUM}),
     _condition(onsetAge={"value": 5, "code": "a", "system": _UCUM})),
    ("bdl-1", _bundle("collection", {"resource": _patient()}, total=1),
     _bundle("searchset", {"resource": _patient()}, total=1)),
    ("bdl-3", _bundle("transaction", {"resource": _patient()}),
     _bundle("transaction", {"resource": _patient(), "request": _REQUEST})),
    ("bdl-7", _bundle("collection", *[{"fullUrl": "urn:uuid:x", "resource": _patient()}] * 2),
     _bundle("collection", {"fullUrl": "urn:uuid:x", "resource": _patient()},
             {"fullUrl": "urn:uuid:y", "resource": _patient()})),
    ("que-2", {"resourceType": "Questionnaire", "status": "draft", "item": [
        {"linkId": "1", "type": "group", "item": [{"linkId": "1", "type": "string"}]}]},
     {"resourceType": "Questionnaire", "status": "draft", "item": [
         {"linkId": "1", "type": "group", "item": [{"linkId": "1.1", "type": "string"}]}]}),
    ("sdf-8a", _structure({"path": "Person"}), _structure({"path": "Patient"})),
    ("sdf-8a", _structure({"path": "Patient"}, {"path": "Person.name"}),
     _structure({"path": "Patient"}, {"path": "Patient.name"})),
    ("sdf-9", _structure({"path": "Patient", "label": "x"}),
     _structure({"path": "Patient.name", "label": "x"})),
    ("eld-2", _structure({"path": "Patient.name", "min": 2, "max": "1"}),
     _structure({"path": "Patient.name", "min": 10, "max": "11"})),
    ("eld-3", _structure({"path": "Patient.name", "max": "-1"}),
     _structure({"path": "Patient.name", "max": "*"})),
    ("eld-6", _structure({"path": "Patient.multipleBirth", "fixedBoolean": True,
                          "type": [{"code": "boolean"}, {"code": "integer"}]}),
     _structure({"path": "Patient.active", "fixedBoolean": True, "type": [{"code": "boolean"}]})),
    ("eld-11", _structure({"path": "Patient.active", "type": [{"code": "boolean"}],
                           "binding": {"strength": "example"}}),
     _structure({"path": "Patient.gender", "type": [{"code": "code"}],
                 "binding": {"strength": "example"}})),
    ("eld-19", _structure({"path": "Patient.na(me"}), _structure({"path": "Patient.value[x]"})),
    ("que-7", _questionnaire(enableWhen=[{"question": "2", "operator": "exists",
                                          "answerInteger": 1}]),
     _questionnaire(enableWhen=[{"question": "2", "operator": "exists", "answerBoolean": True}])),
    ("que-12", _questionnaire(enableWhen=[{"question": "2", "operator": "=", "answerInteger": 1}]
                              * 2),
     _questionnaire(enableWhen=[{"question": "2", "operator": "=", "answerInteger": 1}])),
    ("que-13", _questionnaire(initial=[{"valueString": "x"}] * 2, repeats=False),
     _questionnaire(initial=[{"valueString": "x"}] * 2, repeats=True)),
    ("tim-9", _plan(offset=5, when=["AC", "CM"]), _plan(offset=5, when=["AC", "PC"])),
    ("cpb-2", _capability(), _capability(description="x")),
    ("cpb-7", _capability(description="x", document=[{"mode": "producer",
                                                      "profile": "http://p"}] * 2),
     _capability(description="x", document=[{"mode": mode, "profile": "http://p"}
                                            for mode in ("producer", "consumer")])),
    ("tst-7", _script(targetId="a", url="b"), _script(targetId="a")),
    ("ig-1", _guide({"groupingId": "x"}), _guide({})),
    ("ig-2", _guide({"fhirVersion": ["3.0.1"]}), _guide({"fhirVersion": ["4.0.1"]})),
    ("ctm-1", {"resourceType": "CareTeam", "participant": [
        {"onBehalfOf": {"reference": "Organization/o"}, "member": {"reference": "Patient/p"}}]},
     {"resourceType": "CareTeam", "participant": [
         {"onBehalfOf": {"reference": "Organization/o"}, "member": {"reference": member}}
         for member in ("Practitioner/p", "urn:uuid:0a1b")]}),
    ("ras-2", {"resourceType": "RiskAssessment", "status": "final", "subject": {
        "reference": "Patient/1"}, "prediction": [{"probabilityDecimal": Decimal("100.1")}]},
     {"resourceType": "RiskAssessment", "status": "final", "subject": {
         "reference": "Patient/1"}, "prediction": [{"probabilityDecimal": Decimal("99.9")}]}),
]  # fmt: skip

_BY_THE_WALK = {"ele-1", "ext-1", "txt-1", "txt-2", "dom-3", "ref-1"}


@pytest.mark.parametrize(
    ("key", "breaks", "keeps"), CASES, ids=[f"{key} {at}" for at, (key, *_) in enumerate(CASES)]
)
def test_invariant(key: str, breaks: dict[str, Any], keeps: dict[str, Any]) -> None:
    (issue,) = check(breaks)
    assert issue.code == "invariant"
    assert f"({key})" in issue.text
    assert issue.vi is not None
    assert f"({key})" in issue.vi
    assert check(keeps) == []


def _constraints(severity: str) -> set[str]:
    types = definitions().types.values()
    own = (c for type_ in types for c in type_.constraints)
    of_elements = (c for t in types for e in t.elements.values() for c in e.constraints)
    return {c.key for c in (*own, *of_elements) if c.severity == severity}


def _enforced(severity: Severity) -> set[str]:
    keys: set[str] = set()
    for definition in definitions().types.values():
        keys |= {rule.key for rule in rules(definition.name, severity)}
        for element in definition.elements.values():
            for type_name in element.types:
                keys |= {rule.key for rule in element_rules(element, type_name, severity)}
    return keys


def test_all_are_enforced() -> None:
    assert _constraints("error") - _enforced("error") == _BY_THE_WALK


def test_warnings_can_be_asked_for() -> None:
    """All but cid-0, which asks for a name where there is none."""
    assert _constraints("warning") - _enforced("warning") == {"cid-0"}


def test_what_is_corrected() -> None:
    """The list of the invariants with a faulty expression: as published, and as enforced."""
    assert {key for _, key in CORRECTED} == {"eld-11", "eld-19", "que-7", "que-12", "tim-9"}
    for (type_name, key), correction in CORRECTED.items():
        (published,) = (c for c in definitions().types[type_name].constraints if c.key == key)
        assert published.expression == correction.published
        (rule,) = (rule for rule in rules(type_name) if rule.key == key)
        assert rule.expression == correction.expression
