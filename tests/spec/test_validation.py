"""What a resource may not be, rule by rule, each with its section of the standard.

`REFUSED` has the section, the resource, and the code and place of the one finding expected.
"""

from decimal import Decimal
from typing import Any

import pytest

from ehr_server.validation import check

_R4 = "https://hl7.org/fhir/R4/"
_XHTML = '<div xmlns="http://www.w3.org/1999/xhtml">'
_EXTENSION = {"url": "http://example.org/e", "valueString": "x"}
_ACTIVE = {
    "coding": [
        {"system": "http://terminology.hl7.org/CodeSystem/condition-clinical", "code": "active"}
    ]
}


def _patient(**elements: Any) -> dict[str, Any]:
    return {"resourceType": "Patient", **elements}


def _observation(**elements: Any) -> dict[str, Any]:
    code = {"coding": [{"system": "http://loinc.org", "code": "8867-4"}]}
    return {"resourceType": "Observation", "status": "final", "code": code, **elements}


def _condition(**elements: Any) -> dict[str, Any]:
    return {"resourceType": "Condition", "subject": {"reference": "Patient/1"}, **elements}


def _bundle(**entry: Any) -> dict[str, Any]:
    return {"resourceType": "Bundle", "type": "collection", "entry": [entry]}


ACCEPTED = [
    _patient(),
    _patient(name=[{"family": "Nguyễn", "given": ["Thị", "Hoa"]}], birthDate="1990-02-28"),
    _patient(name=[{"given": ["a", None], "_given": [None, {"extension": [_EXTENSION]}]}]),
    _patient(_birthDate={"extension": [_EXTENSION]}),
    _patient(birthDate="1990", _birthDate={"id": "b"}),
    _patient(extension=[{"url": "a", "extension": [_EXTENSION]}]),
    _patient(extension=[{"url": "a", "_valueString": {"extension": [_EXTENSION]}}]),
    _patient(text={"status": "generated", "div": f"{_XHTML}<p class='a'>x &amp; y</p></div>"}),
    _patient(generalPractitioner=[{"reference": "Practitioner?identifier=http://x.vn|7"}]),
    _patient(generalPractitioner=[{"reference": "urn:uuid:c757873d-ec9a-4326-a141-556f43239520"}]),
    _patient(generalPractitioner=[{"reference": "Practitioner/1/_history/2"}]),
    _patient(
        contained=[{"resourceType": "Practitioner", "id": "p"}],
        generalPractitioner=[{"reference": "#p"}],
    ),
    _observation(valueQuantity={"value": Decimal("107.50"), "unit": "mmHg"}),
    _observation(valueQuantity={"value": Decimal("1E+300")}),
    _observation(_status={"extension": [_EXTENSION]}),
    _observation(valueInteger=-5),
    {
        key: of
        for key, of in _observation(_status={"extension": [_EXTENSION]}).items()
        if key != "status"
    },
    _condition(clinicalStatus=_ACTIVE),
    _bundle(fullUrl="urn:uuid:x", resource=_patient()),
]

REFUSED = [
    # json.html: names, arrays, objects, null
    ("json.html", _patient(familie="x"), "structure", "Patient.familie"),
    ("json.html", _patient(name=[{"familie": "x"}]), "structure", "Patient.name[0].familie"),
    ("json.html", _patient(fhir_comments=["x"]), "structure", "Patient.fhir_comments"),
    ("json.html", _patient(name={"family": "x"}), "structure", "Patient.name"),
    ("json.html", _patient(gender=["male"]), "structure", "Patient.gender"),
    ("json.html", _patient(name=[]), "structure", "Patient.name"),
    ("json.html", _patient(name=[{}]), "structure", "Patient.name[0]"),
    ("json.html", _patient(name=["x"]), "structure", "Patient.name[0]"),
    ("json.html", _patient(name=[None]), "structure", "Patient.name[0]"),
    ("json.html", _patient(birthDate=None), "structure", "Patient.birthDate"),
    ("json.html", _patient(birthDate=""), "structure", "Patient.birthDate"),
    ("json.html", _patient(active="true"), "value", "Patient.active"),
    ("json.html", _observation(valueInteger="2"), "value", "Observation.value"),
    ("json.html", _observation(valueInteger=Decimal("2.0")), "value", "Observation.value"),
    ("json.html", _observation(valueQuantity={"value": "3.1"}), "value", "Observation.value.value"),
    ("json.html#resources", {"name": []}, "required", "Resource"),
    ("json.html#resources", {"resourceType": "Patiant"}, "structure", "Resource"),
    ("json.html#resources", {"resourceType": ["Patient"]}, "structure", "Resource"),
    ("json.html#resources", ["Patient"], "structure", "Resource"),
    ("json.html#primitive", _patient(name=[{"given": ["a", None]}]), "structure",
     "Patient.name[0].given[1]"),
    ("json.html#primitive", _patient(name=[{"given": ["a", "b"], "_given": [None]}]), "structure",
     "Patient.name[0].given"),
    ("json.html#primitive", _patient(_birthDate={"id": "x"}), "structure", "Patient.birthDate"),
    ("json.html#primitive", _patient(_id={"id": "x"}), "structure", "Patient._id"),
    # conformance-rules.html#cardinality
    ("conformance-rules.html#cardinality",
     {"resourceType": "Observation", "code": {"text": "x"}}, "required", "Observation.status"),
    ("conformance-rules.html#cardinality",
     {"resourceType": "List", "status": "current", "mode": "working",
      "entry": [{"flag": {"text": "x"}}]}, "required", "List.entry[0].item"),
    # formats.html#choice
    ("formats.html#choice", _observation(valueString="x", valueBoolean=True), "structure",
     "Observation.value"),
    ("formats.html#choice", _observation(valueAddress={"text": "x"}), "structure",
     "Observation.valueAddress"),
    ("formats.html#choice", _observation(value="x"), "structure", "Observation.value"),
    # datatypes.html#primitive
    ("datatypes.html#date", _patient(birthDate="2023-02-29"), "value", "Patient.birthDate"),
    ("datatypes.html#dateTime", _observation(effectiveDateTime="2023-02-01T10:00:00"), "value",
     "Observation.effective"),
    ("datatypes.html#instant", _observation(issued="2023-02-01"), "value", "Observation.issued"),
    ("datatypes.html#code", _patient(communication=[{"language": {"coding": [{"code": " vi"}]}}]),
     "value", "Patient.communication[0].language.coding[0].code"),
    ("datatypes.html#uri", _patient(identifier=[{"system": "http://a b"}]), "value",
     "Patient.identifier[0].system"),
    ("datatypes.html#base64Binary",
     _patient(photo=[{"contentType": "image/png", "data": "aGVsbG8"}]), "value",
     "Patient.photo[0].data"),
    ("datatypes.html#integer", _observation(valueInteger=2**31), "value", "Observation.value"),
    ("datatypes.html#decimal", _observation(valueQuantity={"value": 10**400}), "value",
     "Observation.value.value"),
    ("datatypes.html#decimal", _observation(valueQuantity={"value": Decimal("1E+400")}), "value",
     "Observation.value.value"),
    ("datatypes.html#positiveInt", _patient(telecom=[{"system": "phone", "rank": 0}]), "value",
     "Patient.telecom[0].rank"),
    ("resource.html#id", _patient(id="a b"), "value", "Patient.id"),
    ("resource.html#id", _patient(id="x" * 65), "value", "Patient.id"),
    ("element.html#id", _patient(name=[{"id": "a b", "family": "x"}]), "value",
     "Patient.name[0].id"),
    # narrative.html#xhtml
    ("narrative.html#xhtml", _patient(text={"status": "generated", "div": "<div>x</div>"}),
     "value", "Patient.text.div"),
    ("narrative.html#xhtml",
     _patient(text={"status": "generated", "div": f"{_XHTML}<script>x</script></div>"}), "value",
     "Patient.text.div"),
    ("narrative.html#xhtml",
     _patient(text={"status": "generated", "div": f"{_XHTML}<p onclick='x'>x</p></div>"}), "value",
     "Patient.text.div"),
    ("narrative.html#xhtml",
     _patient(text={"status": "generated",
                    "div": f"{_XHTML}<a href='java&#115;cript:x'>x</a></div>"}), "value",
     "Patient.text.div"),
    # terminologies.html#required
    ("terminologies.html#required", _patient(gender="boy"), "code-invalid", "Patient.gender"),
    ("terminologies.html#required", _condition(clinicalStatus={"text": "active"}), "code-invalid",
     "Condition.clinicalStatus"),
    ("terminologies.html#required",
     _condition(clinicalStatus={"coding": [{"system": "http://x", "code": "active"}]}),
     "code-invalid", "Condition.clinicalStatus"),
    # extensibility.html#Extension
    ("extensibility.html#Extension", _patient(extension=[{"url": "a"}]), "invariant",
     "Patient.extension[0]"),
    ("extensibility.html#Extension",
     _patient(extension=[{"url": "a", "valueCode": "x", "extension": [_EXTENSION]}]), "invariant",
     "Patient.extension[0]"),
    ("extensibility.html#Extension", _patient(extension=[{"valueCode": "x"}]), "required",
     "Patient.extension[0].url"),
    # references.html
    ("references.html#literal", _observation(subject={"reference": "Medication/1"}), "value",
     "Observation.subject.reference"),
    ("references.html#literal", _observation(subject={"reference": "Patient"}), "value",
     "Observation.subject.reference"),
    ("references.html#literal", _observation(subject={"reference": "Foo/1"}), "value",
     "Observation.subject.reference"),
    ("references.html#contained", _observation(subject={"reference": "#p"}), "invariant",
     "Observation.subject.reference"),
    ("references.html#contained",
     _observation(contained=[{"resourceType": "Patient", "id": "p"}]), "invariant",
     "Observation.contained[0]"),
    ("references.html#contained",
     _observation(contained=[{"resourceType": "Patient", "id": "p", "gender": "boy"}],
                  subject={"reference": "#p"}), "code-invalid", "Observation.contained[0].gender"),
    # bundle.html
    ("bundle.html", _bundle(resource=_patient(name=[{"familie": "x"}])), "structure",
     "Bundle.entry[0].resource.name[0].familie"),
    ("bundle.html", _bundle(resource={"id": "x"}), "required", "Bundle.entry[0].resource"),
    ("bundle.html", _bundle(fullUrl="http://a/Patient/1/_history/2", resource=_patient()),
     "invariant", "Bundle.entry[0]"),
]  # fmt: skip


@pytest.mark.parametrize("resource", ACCEPTED)
def test_accepted(resource: dict[str, Any]) -> None:
    assert check(resource) == []


@pytest.mark.parametrize(
    ("section", "resource", "code", "place"),
    REFUSED,
    ids=[f"{section} {place} {at}" for at, (section, _, _, place) in enumerate(REFUSED)],
)
def test_refused(section: str, resource: Any, code: str, place: str) -> None:
    found = [(issue.code, issue.expression) for issue in check(resource)]
    assert found == [(code, (place,))], f"see {_R4}{section}"


def test_the_type_can_be_asked_for() -> None:
    assert check(_patient(), "Patient") == []
    (issue,) = check(_patient(), "Observation")
    assert issue.expression == ("Patient.resourceType",)
