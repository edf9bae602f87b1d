"""Resources like those of the standard, and what a reader of a part of them sees.

https://hl7.org/fhir/R4/search.html#summary and https://hl7.org/fhir/R4/search.html#elements
"""

from decimal import Decimal
from typing import Any

import pytest

from ehr_server.definitions.subset import Subset, elements, subset
from ehr_server.fhir import bundle, json
from ehr_server.validation.gate import is_valid

Resource = dict[str, Any]

TRUE, TEXT, DATA = Subset("true"), Subset("text"), Subset("data")
_TAG = {"system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue", "code": "SUBSETTED"}
_META = {"versionId": "2", "lastUpdated": "2026-01-02T03:04:05Z"}
_MARKED = {**_META, "tag": [_TAG]}
_DIV = '<div xmlns="http://www.w3.org/1999/xhtml">An</div>'
_TEXT = {"status": "generated", "div": _DIV}
_UNKNOWN = {
    "url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason",
    "valueCode": "unknown",
}


def _whole(type_name: str, **rest: Any) -> Resource:
    return {"resourceType": type_name, "id": "x", "meta": _META, "text": _TEXT, **rest}


def _part(type_name: str, **rest: Any) -> Resource:
    return {"resourceType": type_name, "id": "x", "meta": _MARKED, **rest}


_PATIENT = {
    "identifier": [{"use": "usual", "system": "urn:oid:1.2.36.146.595.217.0.1", "value": "12345"}],
    "active": True,
    "name": [{"use": "official", "family": "Chalmers", "given": ["Peter", "James"]}],
    "_birthDate": {"extension": [_UNKNOWN]},
}
_PATIENT_BESIDE = {
    "extension": [{"url": "http://example.org/e", "valueString": "x"}],
    "maritalStatus": {"text": "Married"},
    "contact": [{"name": {"family": "du Marché"}}],
    "photo": [{"contentType": "image/gif", "data": "R0lG"}],
}
_CODE = {"coding": [{"system": "http://loinc.org", "code": "85354-9"}]}
_SYSTOLIC = {"coding": [{"system": "http://loinc.org", "code": "8480-6"}]}
_PRESSURE = {"value": Decimal("107.50"), "unit": "mmHg"}
_OBSERVATION = {
    "status": "final",
    "code": _CODE,
    "subject": {"reference": "Patient/x"},
    "effectiveDateTime": "2012-09-17",
    "component": [{"code": _SYSTOLIC, "valueQuantity": _PRESSURE}],
}
_LOW = [{"text": "low"}]
_REQUEST = {
    "status": "active",
    "intent": "order",
    "medicationCodeableConcept": {"text": "Warfarin"},
    "subject": {"reference": "Patient/x"},
}

CASES: list[tuple[str, Subset, Resource, Resource]] = [
    (
        "true: an ordinary resource",
        TRUE,
        _whole("Patient", **_PATIENT, **_PATIENT_BESIDE),
        _part("Patient", **_PATIENT),
    ),
    (
        "true: inside backbones too",
        TRUE,
        _whole(
            "Observation",
            **_OBSERVATION
            | {"component": [{**_OBSERVATION["component"][0], "interpretation": _LOW}]},
            interpretation=_LOW,
            note=[{"text": "n"}],
        ),
        _part("Observation", **_OBSERVATION),
    ),
    (
        "true: a document without its bytes",
        TRUE,
        _whole(
            "DocumentReference",
            status="current",
            content=[
                {
                    "attachment": {"contentType": "application/pdf", "data": "JVBE", "title": "t"},
                    "format": {"code": "urn:ihe:pcc:handp:2008"},
                }
            ],
        ),
        _part(
            "DocumentReference",
            status="current",
            content=[
                {
                    "attachment": {"contentType": "application/pdf", "title": "t"},
                    "format": {"code": "urn:ihe:pcc:handp:2008"},
                }
            ],
        ),
    ),
    (
        "true: what is mandatory and not marked",
        TRUE,
        _whole(
            "AuditEvent",
            type={"code": "rest"},
            period={"start": "2026"},
            recorded="2026-01-02T03:04:05Z",
            agent=[{"requestor": True, "altId": "6580", "who": {"display": "An"}}],
            source={"observer": {"display": "s"}, "site": "Cloud"},
        ),
        _part(
            "AuditEvent",
            type={"code": "rest"},
            recorded="2026-01-02T03:04:05Z",
            agent=[{"requestor": True, "who": {"display": "An"}}],
            source={"observer": {"display": "s"}},
        ),
    ),
    (
        "true: without what is contained",
        TRUE,
        _whole(
            "Condition",
            contained=[{"resourceType": "Practitioner", "id": "p"}],
            clinicalStatus={
                "coding": [
                    {
                        "system": "http://terminology.hl7.org/CodeSystem/condition-clinical",
                        "code": "active",
                    }
                ]
            },
            subject={"reference": "Patient/x"},
            note=[{"text": "n", "authorReference": {"reference": "#p"}}],
        ),
        _part(
            "Condition",
            clinicalStatus={
                "coding": [
                    {
                        "system": "http://terminology.hl7.org/CodeSystem/condition-clinical",
                        "code": "active",
                    }
                ]
            },
            subject={"reference": "Patient/x"},
        ),
    ),
    (
        "text: the narrative and no more",
        TEXT,
        _whole("Patient", **_PATIENT, **_PATIENT_BESIDE),
        _part("Patient", text=_TEXT),
    ),
    (
        "text: what is mandatory, whole",
        TEXT,
        _whole("Observation", **_OBSERVATION),
        _part("Observation", text=_TEXT, status="final", code=_CODE),
    ),
    (
        "data: all but the narrative",
        DATA,
        _whole("Patient", **_PATIENT, **_PATIENT_BESIDE),
        _part("Patient", **_PATIENT, **_PATIENT_BESIDE),
    ),
    (
        "elements: the example of the standard",
        elements("identifier,active,link"),
        _whole("Patient", **_PATIENT, **_PATIENT_BESIDE),
        _part("Patient", identifier=_PATIENT["identifier"], active=True),
    ),
    (
        "elements: a date of which only an extension is there",
        elements("Patient.birthDate"),
        _whole("Patient", **_PATIENT),
        _part("Patient", active=True, _birthDate=_PATIENT["_birthDate"]),
    ),
    (
        "elements: a choice, and what is mandatory",
        elements("effective"),
        _whole("Observation", **_OBSERVATION),
        _part("Observation", status="final", code=_CODE, effectiveDateTime="2012-09-17"),
    ),
    (
        "elements: a request never loses its `not`",
        elements("authoredOn"),
        _whole("MedicationRequest", **_REQUEST, doNotPerform=True, note=[{"text": "n"}]),
        _part("MedicationRequest", **_REQUEST, doNotPerform=True),
    ),
]


@pytest.mark.parametrize(
    ("wanted", "whole", "part"), [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)
def test_what_is_left(wanted: Subset, whole: Resource, part: Resource) -> None:
    """Both are valid, and what is left is a fit entry of a Bundle."""
    found = subset(whole, wanted)
    assert found == part
    assert is_valid(whole)
    assert is_valid(found)
    assert bundle.identity(json.write(found)) == (whole["resourceType"], "x")


def test_decimals_keep_their_precision() -> None:
    whole = json.read_stored(json.write(_whole("Observation", **_OBSERVATION)))
    assert b'"value":107.50' in json.write(subset(whole, TRUE))


def test_resources_in_a_bundle_are_summaries_too() -> None:
    """`Bundle.entry.resource` is in the summary; each says that it is not whole."""
    patient = _whole("Patient", **_PATIENT, **_PATIENT_BESIDE)
    whole = {
        "resourceType": "Bundle",
        "id": "x",
        "type": "collection",
        "entry": [{"fullUrl": "http://example.org/Patient/x", "resource": patient}],
    }
    found = subset(whole, TRUE)
    assert found["meta"] == {"tag": [_TAG]}
    assert found["entry"] == [
        {"fullUrl": "http://example.org/Patient/x", "resource": _part("Patient", **_PATIENT)}
    ]
    assert subset(whole, DATA)["entry"] == whole["entry"]


def test_resources_in_parameters_at_every_depth() -> None:
    patient = _whole("Patient", **_PATIENT, **_PATIENT_BESIDE)
    inner = {"name": "b", "resource": patient}
    whole = {"resourceType": "Parameters", "parameter": [{"name": "a", "part": [inner]}]}
    found = subset(whole, TRUE)["parameter"][0]["part"][0]["resource"]
    assert found == _part("Patient", **_PATIENT)
