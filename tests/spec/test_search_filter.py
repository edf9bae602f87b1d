"""https://hl7.org/fhir/R4/search_filter.html: what a filter finds, beside the ordinary searches.

The grammar is in test_filter_grammar.py, the operators by themselves in test_filter_operators.py.
"""

from typing import Any

import pytest

from searching import Record

covers = pytest.mark.covers

LOINC, UCUM = "http://loinc.org", "http://unitsofmeasure.org"
CLINICAL = "http://terminology.hl7.org/CodeSystem/condition-clinical"
GENDERS = "http://hl7.org/fhir/ValueSet/administrative-gender"


def _patient(id_: str, **rest: Any) -> dict[str, Any]:
    return {"resourceType": "Patient", "id": id_, **rest}


def _condition(id_: str, status: str, patient: str, **rest: Any) -> dict[str, Any]:
    return {
        "resourceType": "Condition", "id": id_, "subject": {"reference": f"Patient/{patient}"},
        "clinicalStatus": {"coding": [{"system": CLINICAL, "code": status}]}, **rest,
    }  # fmt: skip


def _observation(id_: str, code: str, patient: str, **value: Any) -> dict[str, Any]:
    return {
        "resourceType": "Observation", "id": id_, "status": "final",
        "code": {"coding": [{"system": LOINC, "code": code}]},
        "subject": {"reference": f"Patient/{patient}"}, **value,
    }  # fmt: skip


def _mg(value: int) -> dict[str, Any]:
    return {"valueQuantity": {"value": value, "system": UCUM, "code": "mg"}}


RECORD = [
    _patient("peter", name=[{"family": "Nguyễn", "given": ["Peter"]}], gender="male",
             birthDate="2014-10-10", active=True),
    _patient("pete", name=[{"family": "Lê", "given": ["Pete"]}], gender="male",
             birthDate="2014-10"),
    _patient("anna", name=[{"family": "Trần", "given": ["Anna"]}], gender="female",
             birthDate="1980-01-01", deceasedDateTime="2024-03-05"),
    _patient("blank"),
    _condition("acute", "active", "peter", onsetPeriod={"start": "2024-01-01", "end": "2024-02"}),
    _condition("again", "relapse", "anna", onsetDateTime="2024-01-15"),
    _condition("gone", "resolved", "anna"),
    _observation("light", "29463-7", "peter", **_mg(10)),
    _observation("heavy", "29463-7", "anna", **_mg(90)),
    _observation("said", "8661-1", "anna", valueString="Đau đầu dữ dội"),
    {"resourceType": "ValueSet", "id": "set", "status": "draft", "url": "http://x.org/vs"},
    {"resourceType": "ValueSet", "id": "other", "status": "draft", "url": "http://x.org/vs2"},
    {"resourceType": "ChargeItem", "id": "twice", "status": "billable", "code": {"text": "x"},
     "subject": {"reference": "Patient/peter"}, "factorOverride": 2},
]  # fmt: skip
EVERYONE = {"peter", "pete", "anna", "blank"}


def check(here: Record, type_name: str, text: str, ids: set[str]) -> None:
    address = f"{type_name}?_filter={text}"
    found = here.ids(address)
    assert set(found) == ids
    assert len(found) == len(ids)
    assert here.run(here.query(f"{address}&_count=0")).total == len(ids)


@covers("string", "_filter")
@pytest.mark.parametrize(
    ("type_name", "text", "ids"),
    [
        # never minding case
        ("Patient", 'given eq "peter"', {"peter"}),
        ("Patient", "given eq PETE", {"pete"}),
        ("Patient", 'given ne "peter"', {"pete", "anna", "blank"}),
        ("Patient", "given sw pet", {"peter", "pete"}),
        ("Patient", "given co ete", {"peter", "pete"}),
        ("Patient", "given ew ter", {"peter"}),
        ("Patient", "given ew pete", {"pete"}),
        ("Patient", "family eq nguyen", {"peter"}),
        ("Patient", "name co an", {"anna"}),
        ("Patient", "given pr true", {"peter", "pete", "anna"}),
        ("Patient", "given pr false", {"blank"}),
        ("Observation", "value-string co dau", {"said"}),
        ("Observation", "value-string ew doi", {"said"}),
        ("Observation", 'value-string eq "đau"', set()),
    ],
)
def test_texts(here: Record, type_name: str, text: str, ids: set[str]) -> None:
    check(here, type_name, text, ids)


@covers("token", "_filter")
@pytest.mark.parametrize(
    ("type_name", "text", "ids"),
    [
        ("Patient", "gender eq male", {"peter", "pete"}),
        ("Patient", "gender ne male", {"anna", "blank"}),
        ("Patient", f"gender in {GENDERS}", {"peter", "pete", "anna"}),
        ("Patient", f"gender ni {GENDERS}", {"blank"}),
        ("Patient", "gender pr false", {"blank"}),
        ("Patient", "active eq true", {"peter"}),
        ("Observation", "code eq loinc|29463-7", {"light", "heavy"}),
        ("Observation", f"code eq {LOINC}|29463-7", {"light", "heavy"}),
        ("Observation", "code eq snomed|29463-7", set()),
        ("Observation", "code ne loinc|29463-7", {"said"}),
        ("Condition", f"clinical-status ss {CLINICAL}|active", {"acute", "again"}),
        ("Condition", f"clinical-status sb {CLINICAL}|relapse", {"acute", "again"}),
        ("Condition", f"clinical-status sb {CLINICAL}|active", {"acute"}),
    ],
)
def test_codes(here: Record, type_name: str, text: str, ids: set[str]) -> None:
    check(here, type_name, text, ids)


@covers("date", "_filter")
@pytest.mark.parametrize(
    ("type_name", "text", "ids"),
    [
        ("Patient", "birthdate eq 2014-10-10", {"peter"}),
        ("Patient", "birthdate eq 2014-10", {"peter", "pete"}),
        ("Patient", "birthdate ne 2014-10-10", {"pete", "anna"}),
        ("Patient", "birthdate ge 2014-10-10", {"peter", "pete"}),
        ("Patient", "birthdate gt 2014-10-10", {"pete"}),
        ("Patient", "birthdate lt 2014-10-10", {"pete", "anna"}),
        ("Patient", "birthdate le 2014-10-09", {"pete", "anna"}),
        ("Patient", "birthdate sa 2014-10-09", {"peter"}),
        ("Patient", "birthdate eb 2014", {"anna"}),
        ("Patient", "birthdate pr false", {"blank"}),
        # the periods overlap; the resource's contains the value
        ("Patient", "birthdate po 2014-10-10", {"peter", "pete"}),
        ("Patient", "birthdate co 2014-10-10", {"peter", "pete"}),
        ("Patient", "birthdate co 2014-10", {"pete"}),
        ("Condition", "onset-date po 2024-02", {"acute"}),
        ("Condition", "onset-date po 2024-01-15", {"acute", "again"}),
        ("Condition", "onset-date co 2024-01", {"acute"}),
        ("Patient", "death-date eq 2024-03-05", {"anna"}),
        ("Patient", "death-date co 2024-03-05", {"anna"}),
        ("Patient", "death-date po 2024", {"anna"}),
        ("Patient", "_lastUpdated gt 2020", EVERYONE),
    ],
)
def test_dates(here: Record, type_name: str, text: str, ids: set[str]) -> None:
    check(here, type_name, text, ids)


@pytest.mark.parametrize(
    ("type_name", "text", "ids"),
    [
        pytest.param(type_name, text, ids, marks=covers(kind, "_filter"))
        for kind, type_name, text, ids in [
            ("quantity", "Observation", "value-quantity gt 50|ucum|mg", {"heavy"}),
            ("quantity", "Observation", "value-quantity lt 0.05|ucum|g", {"light"}),
            ("quantity", "Observation", "value-quantity eq 10", {"light"}),
            ("quantity", "Observation", "value-quantity ne 10", {"heavy"}),
            ("quantity", "Observation", "value-quantity pr false", {"said"}),
            ("number", "ChargeItem", "factor-override ge 2", {"twice"}),
            ("number", "ChargeItem", "factor-override gt 2", set()),
            ("reference", "Observation", "subject re Patient/anna", {"heavy", "said"}),
            ("reference", "Observation", "patient eq peter", {"light"}),
            ("reference", "Observation", "encounter pr true", set()),
            ("uri", "ValueSet", "url eq http://x.org/vs", {"set"}),
            ("uri", "ValueSet", "url ne http://x.org/vs", {"other"}),
        ]
    ],
)
def test_other_types(here: Record, type_name: str, text: str, ids: set[str]) -> None:
    check(here, type_name, text, ids)


@covers("every", "_filter")
@pytest.mark.parametrize(
    ("type_name", "text", "ids"),
    [
        # https://hl7.org/fhir/R4/search_filter.html#bnf
        ("Patient", "given eq peter and birthdate ge 2014-10-10", {"peter"}),
        ("Patient", "given eq peter or given eq anna", {"peter", "anna"}),
        ("Patient", "not(gender eq male)", {"anna", "blank"}),
        ("Patient", "not(gender eq male or gender eq female)", {"blank"}),
        ("Patient", "gender eq male and not(active eq true)", {"pete"}),
        # from left to right, alike
        ("Patient", "given eq anna or given eq peter and gender eq male", {"peter"}),
        ("Patient", "given eq anna or (given eq peter and gender eq male)", {"anna", "peter"}),
        ("Patient", "(gender eq male or gender eq female) and deceased eq true", {"anna"}),
        # chains, with a condition on the way
        ("Observation", "subject.given eq peter", {"light"}),
        ("Observation", "subject[gender eq female].given pr true", {"heavy", "said"}),
        ("Observation", "subject.gender eq female and value-quantity pr true", {"heavy"}),
        ("Observation", "not(subject.gender eq female)", {"light"}),
        ("Condition", "patient.birthdate lt 2000", {"again", "gone"}),
    ],
)
def test_parts_are_joined(here: Record, type_name: str, text: str, ids: set[str]) -> None:
    check(here, type_name, text, ids)


@pytest.mark.parametrize(
    ("address", "ids"),
    [
        ("Patient?_filter=gender eq male&active=true", {"peter", "pete"}),
        ("Patient?_filter=gender eq male&_filter=birthdate eq 2014-10-10", {"peter"}),
        ("Patient?_filter=gender eq male&_sort=birthdate&_count=1", {"peter", "pete"}),
        ('Patient?_filter=given eq "a\' or 1=1 --"', set()),
    ],
)
def test_a_filter_goes_with_ordinary_parameters(here: Record, address: str, ids: set[str]) -> None:
    assert set(here.ids(address)) == ids
