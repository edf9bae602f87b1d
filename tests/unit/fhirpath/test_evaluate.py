"""What the door gives back: pairs of type and value, and the keys that are read for them."""

from decimal import Decimal

import pytest

from ehr_server.definitions import definitions
from ehr_server.fhirpath import FHIRPathError, compile_path
from ehr_server.fhirpath.compile import compile_flow

OBSERVATION = {
    "resourceType": "Observation",
    "id": "o",
    "status": "final",
    "_status": {"extension": [{"url": "u", "valueCode": "c"}]},
    "code": {"coding": [{"system": "http://loinc.org", "code": "85354-9"}], "text": "BP"},
    "subject": {"reference": "Patient/1"},
    "effectiveDateTime": "2024-05-01",
    "component": [
        {"code": {"text": "systolic"}, "valueQuantity": {"value": Decimal("107.50")}},
        {"code": {"text": "BP"}, "valueString": "n/a"},
    ],
}


def test_a_choice_yields_the_type_it_has() -> None:
    assert compile_path("Observation.effective", "Observation")(OBSERVATION) == [
        ("dateTime", "2024-05-01")
    ]


def test_values_are_the_resources_own() -> None:
    found = compile_path("Observation.component.value", "Observation")(OBSERVATION)
    assert found == [("Quantity", {"value": Decimal("107.50")}), ("string", "n/a")]


def test_a_backbone_is_named_by_its_path() -> None:
    pairs = compile_path("Observation | Observation.component", "Observation")(OBSERVATION)
    assert [name for name, _ in pairs] == [
        "Observation",
        "Observation.component",
        "Observation.component",
    ]


def test_parts_of_a_composite_start_from_a_backbone() -> None:
    component = OBSERVATION["component"][0]  # type: ignore[index]
    evaluate = compile_path("value.as(Quantity)", "Observation.component")
    assert evaluate(component) == [("Quantity", {"value": Decimal("107.50")})]


def test_the_resource_is_given_where_the_value_lies_inside_one() -> None:
    evaluate = compile_path("%resource.subject.reference | value", "Observation.component")
    assert evaluate({"code": {}}, OBSERVATION) == [("string", "Patient/1")]


def test_expressions_about_another_type_yield_nothing() -> None:
    expression = "AllergyIntolerance.code | Observation.code.text"
    assert compile_path(expression, "Observation")(OBSERVATION) == [("string", "BP")]


def test_absent_primitives_are_left_out() -> None:
    name = {"given": ["Văn", None], "_given": [None, {"extension": [{"url": "u"}]}]}
    patient = {"resourceType": "Patient", "name": [name], "_birthDate": {"id": "b"}}
    assert compile_path("Patient.name.given", "Patient")(patient) == [("string", "Văn")]
    assert compile_path("Patient.birthDate", "Patient")(patient) == []


def test_extensions_of_primitives_are_found_beside_them() -> None:
    assert compile_path("status.extension('u').value", "Observation")(OBSERVATION) == [
        ("code", "c")
    ]
    name = {"given": ["Văn", None], "_given": [None, {"extension": [{"url": "u"}]}]}
    patient = {"resourceType": "Patient", "name": [name]}
    assert compile_path("name.given.extension.url", "Patient")(patient) == [("uri", "u")]


def test_what_a_bundle_holds_is_named_by_its_own_type() -> None:
    bundle = {"resourceType": "Bundle", "entry": [{"resource": OBSERVATION}, {}]}
    assert compile_path("Bundle.entry[0].resource", "Bundle")(bundle) == [
        ("Observation", OBSERVATION)
    ]
    assert compile_path("entry.resource as Patient", "Bundle")(bundle) == []
    assert compile_path("entry.resource.ofType(Observation).status", "Bundle")(bundle) == [
        ("code", "final")
    ]


@pytest.mark.parametrize(
    ("expression", "keys"),
    [
        ("Observation.subject", {"subject"}),
        (
            "Observation.effective",
            {"effectiveDateTime", "effectivePeriod", "effectiveTiming", "effectiveInstant"},
        ),
        ("(Observation.value as Quantity).unit", {"valueQuantity"}),
        ("Observation.code | Observation.component.code", {"code", "component"}),
        ("Observation.subject.where(resolve() is Patient)", {"subject"}),
        ("status.extension('u')", {"_status"}),
        ("code.coding.first().code", {"code"}),
        ("Observation", {"resourceType"}),
        ("Observation.subject.exists()", {"resourceType"}),
        ("Patient.name", set()),
    ],
)
def test_a_branch_knows_the_keys_that_it_reads(expression: str, keys: set[str]) -> None:
    flow = compile_flow(expression, "Observation", definitions())
    assert {key for branch in flow.branches for key in branch.keys} == keys


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        ("Observation.colour", "no element 'colour' in Observation at character 13"),
        ("Observation.status.text", "no element 'text' in code at character 20"),
        ("Observation.valueQuantity", "no element 'valueQuantity'"),
        ("code.frobnicate()", r"frobnicate\(\) is not supported"),
        ("code.where()", r"wrong number of arguments of where\(\)"),
        ("value.as(Foo)", "name of a type at character 10"),
        ("value is 3", "name of a type"),
        ("code[status]", "whole number"),
        ("$index", "not supported"),
        ("subject.resolve().name", "only be asked for its type"),
        ("extension(url)", "wants a string"),
        ("status.matches('(')", "not a regular expression"),
        ("status.matches('(?=a)')", "lookaround"),
        ("status.replaceMatches('(a+)+', '')", "does not hold this"),
    ],
)
def test_what_the_subset_does_not_hold_is_refused(expression: str, text: str) -> None:
    with pytest.raises(FHIRPathError, match=text):
        compile_path(expression, "Observation")


def test_an_unknown_type_is_refused() -> None:
    with pytest.raises(FHIRPathError, match="no type 'Nothing'"):
        compile_path("id", "Nothing")
