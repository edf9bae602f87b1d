"""What becomes of each datatype under a policy: a row for each thing that a person may be told by.

https://hl7.org/fhir/R4/datatypes.html; what stands for what is gone:
https://hl7.org/fhir/R4/extension-data-absent-reason.html.
"""

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from ehr_server.deidentify import POLICY_TAG, policy
from ehr_server.fhir import json

KEY = bytes(range(32))
RESEARCH = policy("research").of(KEY, year=2026)
STATISTICS = policy("statistics").of(KEY, year=2026)
VN = "http://fhir.hl7.org.vn/core/sid/"
MASKED = {
    "extension": [
        {
            "url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason",
            "valueCode": "masked",
        }
    ]
}


def _patient(**elements: Any) -> dict[str, Any]:
    left = RESEARCH({"resourceType": "Patient", "id": "a", **elements}, "a")
    assert left is not None
    return left


def _observation(**elements: Any) -> dict[str, Any]:
    source = {
        "resourceType": "Observation",
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": "8302-2"}], "text": "cao"},
        **elements,
    }
    left = RESEARCH(source, "a")
    assert left is not None
    return left


def _number(system: str | None, value: str) -> Any:
    identifier = {"value": value} if system is None else {"system": system, "value": value}
    return _patient(identifier=[identifier])["identifier"][0]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ((f"{VN}cccd", "001174000456"), (f"{VN}cccd", "001 174 000 456")),
        (
            (f"{VN}cccd", "001174000456"),
            ("http://fhir.ehealth.gov.vn/core/sid/national_id", "001174000456"),
        ),
        ((f"{VN}cccd", "001174000456"), (f"{VN}cmnd", "001174000456")),
        ((f"{VN}bhyt", "GD4010199990001"), (f"{VN}bhyt", "gd 4 01 0199990001")),
        ((f"{VN}bhyt", "GD4010199990001"), (f"{VN}bhxh", "0199990001")),
    ],
)
def test_one_number_has_one_pseudonym(one: tuple[str, str], other: tuple[str, str]) -> None:
    assert _number(*one) == _number(*other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ((f"{VN}cccd", "001174000456"), (f"{VN}cccd", "001174000457")),
        ((f"{VN}mrn", "17"), (f"{VN}ma-lk", "17")),
        (("http://a.example/n", "17"), ("http://b.example/n", "17")),
        ((None, "17"), ("http://b.example/n", "17")),
    ],
)
def test_two_numbers_have_two(one: Any, other: Any) -> None:
    assert _number(*one)["value"] != _number(*other)["value"]


def test_a_reference_leads_to_the_new_id() -> None:
    own = _patient()["id"]
    left = _observation(subject={"reference": "Patient/a/_history/3", "display": "Lan"})
    assert left["subject"] == {"reference": f"Patient/{own}"}
    assert _patient()["id"] != RESEARCH({"resourceType": "Practitioner", "id": "a"}, None)["id"]  # type: ignore[index]


@pytest.mark.parametrize(
    ("elements", "name", "left"),
    [
        ({"name": [{"text": "Lan"}]}, "name", None),
        ({"telecom": [{"value": "0912345678"}]}, "telecom", None),
        ({"photo": [{"data": "aGk="}]}, "photo", None),
        ({"text": {"status": "generated", "div": "<div>Lan</div>"}}, "text", None),
        ({"gender": "female"}, "gender", "female"),
        ({"birthDate": "1901-02-03"}, "birthDate", "1936"),  # over 89 in 2026: told as one
        ({"_birthDate": {"extension": [{"url": "http://x.example"}]}}, "_birthDate", None),
        ({"multipleBirthInteger": 4}, "multipleBirthInteger", None),
        ({"extension": [{"url": "http://x.example/e", "valueString": "Lan"}]}, "extension", None),
        (
            {"address": [{"line": ["12 Hàng Bạc"], "state": "TP. Hồ Chí Minh", "country": "VN"}]},
            "address",
            [{"state": "Thành phố Hồ Chí Minh", "country": "VN"}],
        ),
        ({"address": [{"text": "12 Hàng Bạc", "state": "nhà ông Ba"}]}, "address", None),
        (
            {"maritalStatus": {"coding": [{"system": "http://x.example", "code": "M"}]}},
            "maritalStatus",
            None,
        ),
    ],
)
def test_what_is_left_of_a_patient(elements: dict[str, Any], name: str, left: Any) -> None:
    assert _patient(**elements).get(name) == left


@pytest.mark.parametrize(
    ("elements", "name", "left"),
    [
        (
            {"valueQuantity": {"value": Decimal("107.50"), "unit": "mg/dL"}},
            "valueQuantity",
            {"value": Decimal("107.50"), "unit": "mg/dL"},
        ),
        ({"valueQuantity": {"value": 1, "unit": "Lan"}}, "valueQuantity", None),
        (
            {"valueQuantity": {"value": 93, "system": "http://unitsofmeasure.org", "code": "a"}},
            "valueQuantity",
            {"value": 90, "unit": "a", "system": "http://unitsofmeasure.org", "code": "a"},
        ),
        ({"valueString": "Lan"}, "valueString", None),
        ({"valueInteger": 912345678}, "valueInteger", None),
        ({"note": [{"text": "Lan"}]}, "note", None),
        (
            {"performer": [{"display": "BS. Lan"}, {"reference": "#gone"}]},
            "performer",
            None,
        ),
    ],
)
def test_what_is_left_of_an_observation(elements: dict[str, Any], name: str, left: Any) -> None:
    assert _observation(**elements).get(name) == left


def test_a_value_that_is_gone_is_told_to_be_masked() -> None:
    """obs-6, and https://hl7.org/fhir/R4/valueset-data-absent-reason.html: masked."""
    assert _observation(valueString="Lan")["dataAbsentReason"]["coding"][0]["code"] == "masked"
    assert "dataAbsentReason" not in _observation(valueBoolean=True)


def test_what_must_be_there_is_masked() -> None:
    source = {"resourceType": "Observation", "status": "final", "code": {"text": "cân của Lan"}}
    left = RESEARCH(source, "a")
    assert left is not None
    assert left["code"] == MASKED


def test_a_modifier_that_is_not_known_takes_its_element_along() -> None:
    """extensibility.html#modifierExtension: who does not know it must not go on."""
    unknown = {"modifierExtension": [{"url": "http://x.example/not", "valueBoolean": True}]}
    assert RESEARCH({"resourceType": "Patient", "id": "a", **unknown}, "a") is None
    assert RESEARCH({"resourceType": "Patient", "implicitRules": "http://x.example"}, "a") is None


def test_labels_and_the_policy_are_told() -> None:
    meta = _patient(
        meta={
            "versionId": "3",
            "lastUpdated": "2026-01-01T00:00:00Z",
            "source": "http://x.example",
            "profile": ["http://x.example/p"],
            "tag": [{"system": "http://x.example", "code": "Lan"}],
        }
    )["meta"]
    assert set(meta) == {"security", "tag"}
    assert [(one["code"]) for one in meta["security"]] == ["PSEUDED"]
    assert meta["tag"] == [{"system": POLICY_TAG, "code": "research"}]


def test_outside_a_compartment_dates_are_years() -> None:
    location = {"resourceType": "Location", "id": "l", "status": "active"}
    organization = {"resourceType": "PractitionerRole", "id": "r"}
    left = RESEARCH(organization | {"period": {"start": "2020-05-06", "end": "2021"}}, None)
    assert left is not None
    assert left["period"] == {"start": "2020", "end": "2021"}
    assert RESEARCH(location, None) is not None


@pytest.mark.parametrize(
    ("start", "end"),
    [
        ("2024-05", "2024-05-10"),
        ("2024-05-31", "2024-05"),
        ("2024", "2024-01-01"),
        ("2024-12-31", "2024"),
        ("2024-02-29", "2024-02-29T23:59:59+07:00"),
    ],
)
def test_no_period_ends_before_it_begins(start: str, end: str) -> None:
    for person in map(str, range(60)):
        source = {"resourceType": "Encounter", "period": {"start": start, "end": end}}
        left = RESEARCH(source, person)
        assert left is not None
        period = left["period"]
        size = min(len(period["start"]), len(period["end"]), 10)
        assert period["start"][:size] <= period["end"][:size]
        assert (len(period["start"]), len(period["end"])) == (len(start), len(end))


def test_restricted_resources_need_the_right() -> None:
    hiv = {
        "resourceType": "Condition",
        "code": {"coding": [{"system": "http://hl7.org/fhir/sid/icd-10", "code": "B24"}]},
        "subject": {"reference": "Patient/a"},
    }
    asked: list[str] = []
    allowed = policy("research").of(
        KEY, year=2026, may_tell=lambda reason: not asked.append(reason)
    )
    assert RESEARCH(hiv, "a") is None
    assert allowed(hiv, "a") is not None
    assert asked == ["HIV"]


def test_what_the_code_says_is_a_name_or_a_day_of_birth_is_left_out() -> None:
    code = {"coding": [{"system": "http://loinc.org", "code": "21112-8"}]}
    source = {"resourceType": "Observation", "code": code, "valueDateTime": "1985-03-14"}
    assert RESEARCH(source, "a") is None


def test_statistics_group_diagnoses_and_have_no_numbers() -> None:
    source = {
        "resourceType": "Condition",
        "identifier": [{"value": "17"}],
        "code": {"coding": [{"system": "http://hl7.org/fhir/sid/icd-10", "code": "E11.9"}]},
        "subject": {"reference": "Patient/a"},
        "recordedDate": "2024-05-06T07:08:09+07:00",
    }
    left = STATISTICS(source, "a")
    assert left is not None
    assert left["code"]["coding"][0]["code"] == "E11"
    assert left["recordedDate"] == "2024"
    assert "identifier" not in left


def test_the_years_of_great_age_depend_on_the_year_of_the_export_alone() -> None:
    source = {"resourceType": "Patient", "id": "a", "birthDate": "1930-01-01"}
    for year in (2026, 2027):
        left = policy("research").of(KEY, year=year)(source, "a")
        assert left is not None
        assert left["birthDate"] == str(year - 90)


def test_dates_beyond_the_calendar_are_gone() -> None:
    left = _observation(effectiveDateTime=date.min.isoformat())
    assert "effectiveDateTime" not in left
    assert json.write(left)
