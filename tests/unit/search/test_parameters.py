"""https://hl7.org/fhir/R4/searchparameter-registry.html"""

import pytest

from ehr_server.definitions import definitions
from ehr_server.search.parameters import STANDARD, TYPES
from ehr_server.search.types.registry import SEARCH_TYPES


def _sources(type_name: str, code: str) -> dict[str, tuple[str, ...]]:
    return {
        source.parameter.code: source.targets for source in STANDARD.of(type_name).by_code[code]
    }


@pytest.mark.parametrize(
    ("type_name", "code", "sources"),
    [
        ("Observation", "combo-code", {"code", "component-code"}),
        ("Observation", "combo-value-concept", {"value-concept", "component-value-concept"}),
        ("Observation", "combo-value-quantity", {"value-quantity", "component-value-quantity"}),
        (
            "Observation",
            "combo-data-absent-reason",
            {"data-absent-reason", "component-data-absent-reason"},
        ),
        ("Patient", "phonetic", {"name"}),
        ("Coverage", "patient", {"beneficiary"}),
        ("AllergyIntolerance", "code", {"code"}),  # two paths, but no others have them
    ],
)
def test_values_are_kept_once(type_name: str, code: str, sources: set[str]) -> None:
    assert _sources(type_name, code).keys() == sources


def test_a_patient_is_a_subject_of_that_type() -> None:
    assert _sources("Observation", "patient") == {"subject": ("Patient",)}
    assert _sources("Encounter", "practitioner") == {"participant": ("Practitioner",)}


def test_every_parameter_with_values_has_a_place_for_them() -> None:
    count = 0
    for type_name in definitions().resource_types:
        here = STANDARD.of(type_name)
        for code, definition in definitions().search_parameters[type_name].items():
            if definition.type in TYPES and definition.expression is not None:
                assert here.by_code[code], (type_name, code)
                count += 1
        numbers = [parameter.number for parameter in here.indexed]
        assert len(numbers) == len(set(numbers))
    assert count > 2_500
    assert SEARCH_TYPES.keys() == {*TYPES, "composite", "fulltext"}


@pytest.mark.parametrize(
    ("type_name", "date", "code"),
    [
        ("Observation", "date", "code"),
        ("Condition", "onset-date", "code"),
        ("Immunization", "date", "vaccine-code"),
        ("MedicationRequest", "authoredon", "code"),
        ("Patient", "birthdate", None),
        ("Appointment", "date", None),
        ("Organization", None, None),
    ],
)
def test_a_main_date_and_a_main_code_lie_on_the_row(
    type_name: str, date: str | None, code: str | None
) -> None:
    here = STANDARD.of(type_name)
    assert (here.main_date and here.main_date.code) == date
    assert (here.main_code and here.main_code.code) == code


@pytest.mark.parametrize(
    ("type_name", "codes"),
    [
        ("Observation", ["subject", "performer"]),
        ("Coverage", ["beneficiary", "policy-holder", "subscriber", "payor"]),
        ("Appointment", ["actor"]),
        ("Patient", []),
        ("Practitioner", []),
    ],
)
def test_whose_record_it_is_comes_first(type_name: str, codes: list[str]) -> None:
    compartment = STANDARD.of(type_name).compartment
    assert [parameter.code for parameter in compartment] == codes


def test_only_who_stands_alone_tells_where_a_resource_lies() -> None:
    homes = {
        type_name: [p.code for p in STANDARD.of(type_name).compartment if p.is_home]
        for type_name in ("Observation", "Coverage", "Appointment", "Group")
    }
    assert homes == {
        "Observation": ["subject"], "Coverage": ["beneficiary"], "Appointment": [], "Group": [],
    }  # fmt: skip
