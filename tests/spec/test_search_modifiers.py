"""https://hl7.org/fhir/R4/search.html#modifiers: each type of parameter with each of its modifiers.

Each table has what the modifier finds, what it does not, and resources without a value at all.
"""

import unicodedata
from typing import Any

import pytest

from ehr_server.access import directories
from ehr_server.errors import Invalid
from searching import Record

covers = pytest.mark.covers

LOINC, LOCAL = "http://loinc.org", "http://benhvien.vn/xn"
CATEGORY = "http://terminology.hl7.org/CodeSystem/observation-category"
CATEGORIES = "http://hl7.org/fhir/ValueSet/observation-category"
CLINICAL = "http://terminology.hl7.org/CodeSystem/condition-clinical"
GENDERS = "http://hl7.org/fhir/ValueSet/administrative-gender"
KIND = "http://terminology.hl7.org/CodeSystem/v2-0203"
UNIT = {"system": "http://unitsofmeasure.org", "code": "mg"}
MRN, CCCD = "http://benhvien.vn/mrn", "http://cccd.vn"


def _patient(id_: str, **rest: Any) -> dict[str, Any]:
    return {"resourceType": "Patient", "id": id_, **rest}


def _observation(id_: str, code: dict[str, Any], **rest: Any) -> dict[str, Any]:
    return {"resourceType": "Observation", "id": id_, "status": "final", "code": code, **rest}


def _value_set(id_: str, url: str | None) -> dict[str, Any]:
    address = {"url": url} if url else {}
    return {"resourceType": "ValueSet", "id": id_, "status": "draft", **address}


def _condition(id_: str, status: str | None) -> dict[str, Any]:
    clinical = {"clinicalStatus": {"coding": [{"system": CLINICAL, "code": status}]}}
    return {
        "resourceType": "Condition", "id": id_, "subject": {"reference": "Patient/hoa"},
        **(clinical if status else {"verificationStatus": {"coding": [{
            "system": "http://terminology.hl7.org/CodeSystem/condition-ver-status",
            "code": "entered-in-error",
        }]}}),
    }  # fmt: skip


def _charge(id_: str, **rest: Any) -> dict[str, Any]:
    return {
        "resourceType": "ChargeItem", "id": id_, "status": "billable", "code": {"text": "x"},
        "subject": {"reference": "Patient/hoa"}, **rest,
    }  # fmt: skip


def _kind(code: str, text: str) -> dict[str, Any]:
    return {"coding": [{"system": KIND, "code": code}], "text": text}


def _identified(system: str, value: str) -> dict[str, Any]:
    return {"identifier": {"system": system, "value": value}}


RECORD = [
    _patient(
        "hoa",
        name=[{"family": "Nguyễn", "given": ["Thị", "Hoa"]}],
        gender="female",
        birthDate="1990-05-20",
        identifier=[{"system": MRN, "value": "12345", "type": _kind("MR", "Số bệnh án")}],
        managingOrganization=_identified(MRN, "BV-1"),
        meta={"tag": [{"system": LOCAL, "code": "vip"}]},
    ),
    _patient(
        "nam",
        name=[{"family": "NGUYEN", "given": ["Nam, Jr"]}],
        gender="male",
        identifier=[{"system": CCCD, "value": "12345", "type": _kind("SS", "CCCD")}],
        managingOrganization={"reference": "Organization/bv"},
    ),
    _patient("none"),
    {"resourceType": "Organization", "id": "bv", "name": "Bệnh viện Bạch Mai"},
    {
        "resourceType": "Practitioner", "id": "bs",
        "identifier": [{"system": MRN, "value": "A-7", "type": _kind("MD", "Chứng chỉ")}],
    },
    {"resourceType": "Group", "id": "hoa", "type": "person", "actual": True},
    # codes
    _observation(
        "blood",
        {
            "coding": [
                {"system": LOINC, "code": "718-7", "display": "Hemoglobin [Mass/volume] in Blood"},
                {"system": LOCAL, "code": "HGB", "display": "Huyết sắc tố"},
            ]
        },
        category=[{"coding": [{"system": CATEGORY, "code": "laboratory"}]}],
        subject={"reference": "Patient/hoa"},
        valueQuantity={"value": 120, **UNIT},
        effectiveDateTime="2024-03-05",
    ),
    _observation(
        "text",
        {"text": "Hemoglobin, đo tại nhà"},
        category=[{"coding": [{"system": LOCAL, "code": "home"}]}],
        subject={"reference": "Group/hoa"},
        valueString="Bình thường",
    ),
    _observation(
        "both",
        {"coding": [{"system": LOINC, "code": "85354-9"}]},
        category=[
            {"coding": [{"system": LOCAL, "code": "home"}]},
            {"coding": [{"system": CATEGORY, "code": "vital-signs"}]},
        ],
        subject={"display": "một người"},
        component=[
            {"code": {"coding": [{"system": LOINC, "code": "8480-6", "display": "Tâm thu"}]},
             "valueQuantity": {"value": 120, **UNIT}},
        ],
    ),
    _observation("bare", {"text": "x"}, subject=_identified(MRN, "12345")),
    # a tree of codes
    *(_condition(status, status) for status in ("active", "recurrence", "relapse", "resolved")),
    _condition("unknown", None),
    # addresses
    _value_set("fhir", "http://acme.org/fhir"),
    _value_set("one", "http://acme.org/fhir/ValueSet/1"),
    _value_set("two", "http://acme.org/fhir/ValueSet/2"),
    _value_set("other", "http://acme.org/fhirfly"),
    _value_set("oid", "urn:oid:1.2.3"),
    _value_set("deeper-oid", "urn:oid:1.2.3.4"),
    _value_set("nameless", None),
    # numbers and places
    _charge("dear", factorOverride=2),
    _charge("cheap"),
    {"resourceType": "Location", "id": "here", "position": {"latitude": 21, "longitude": 105.8}},
    {"resourceType": "Location", "id": "nowhere"},
]  # fmt: skip


def check(here: Record, address: str, ids: set[str]) -> None:
    found = here.ids(address)
    assert set(found) == ids
    assert len(found) == len(ids)
    assert here.run(here.query(f"{address}&_count=0")).total == len(ids)


@covers("string", ":exact")
@pytest.mark.parametrize(
    ("address", "ids"),
    [
        ("Patient?family:exact=Nguyễn", {"hoa"}),
        (f"Patient?family:exact={unicodedata.normalize('NFD', 'Nguyễn')}", {"hoa"}),
        # "the match needs to be exact, no partial matches, case sensitive and accent-sensitive"
        ("Patient?family:exact=nguyễn", set()),
        ("Patient?family:exact=Nguyen", set()),
        ("Patient?family:exact=Nguyễ", set()),
        ("Patient?family:exact=NGUYEN", {"nam"}),
        ("Patient?family:exact=Nguyễn,NGUYEN", {"hoa", "nam"}),
        ("Patient?name:exact=Hoa", {"hoa"}),
        ("Patient?name:exact=Thị&name:exact=Hoa", {"hoa"}),
        ("Patient?given:exact=Nam\\, Jr", {"nam"}),
        ("Organization?name:exact=Bệnh viện Bạch Mai", {"bv"}),
        ("Organization?name:exact=Bệnh viện", set()),
        ("Observation?value-string:exact=Bình thường", {"text"}),
        ("Observation?value-string:exact=bình thường", set()),
    ],
)
def test_exact_minds_case_and_accents_and_takes_the_whole(
    here: Record, address: str, ids: set[str]
) -> None:
    check(here, address, ids)


@covers("string", ":contains")
@pytest.mark.parametrize(
    ("address", "ids"),
    [
        # "case-insensitive and combining characters are ignored, matching anywhere in the string"
        ("Patient?family:contains=guy", {"hoa", "nam"}),
        ("Patient?family:contains=UYỄ", {"hoa", "nam"}),
        ("Patient?family:contains=uyen", {"hoa", "nam"}),
        ("Patient?family:contains=nguyen", {"hoa", "nam"}),
        ("Patient?family:contains=nguyenx", set()),
        ("Patient?name:contains=oa", {"hoa"}),
        ("Patient?name:contains=o", {"hoa"}),
        ("Patient?name:contains=am\\, j", {"nam"}),
        ("Patient?name:contains=oa,jr", {"hoa", "nam"}),
        ("Patient?name:contains=oa&name:contains=jr", set()),
        ("Organization?name:contains=vien bach", {"bv"}),
        ("Organization?name:contains=vien mai", set()),
        ("Organization?name:contains=%25", set()),
        ("Observation?value-string:contains=thuong", {"text"}),
    ],
)
def test_contains_looks_anywhere_in_a_text(here: Record, address: str, ids: set[str]) -> None:
    check(here, address, ids)


@covers("token", ":text")
@pytest.mark.parametrize(
    ("address", "ids"),
    [
        # CodeableConcept.text or Coding.display, searched as a string is: from the beginning
        ("Observation?code:text=hemo", {"blood", "text"}),
        ("Observation?code:text=HEMOGLOBIN [mass", {"blood"}),
        ("Observation?code:text=huyet", {"blood"}),
        ("Observation?code:text=sac to", set()),
        ("Observation?code:text=718-7", set()),
        ("Observation?code:text=huyet,hemoglobin\\,", {"blood", "text"}),
        ("Observation?component-code:text=tam thu", {"both"}),
        ("Observation?combo-code:text=tam thu,huyet", {"both", "blood"}),
        # Identifier.type.text
        ("Patient?identifier:text=so benh an", {"hoa"}),
        ("Patient?identifier:text=cccd", {"nam"}),
        ("Practitioner?identifier:text=chung", {"bs"}),
        # a code has no text
        ("Patient?gender:text=female", set()),
    ],
)
def test_text_looks_at_what_a_code_is_called(here: Record, address: str, ids: set[str]) -> None:
    check(here, address, ids)


@covers("token", ":not")
@pytest.mark.parametrize(
    ("address", "ids"),
    [
        # "that do not have a matching item": also those that have none
        ("Patient?gender:not=female", {"nam", "none"}),
        ("Patient?gender:not=male,female", {"none"}),
        ("Patient?gender:not=male&gender:not=female", {"none"}),
        ("Patient?gender:not=other", {"hoa", "nam", "none"}),
        ("Patient?_tag:not=vip", {"nam", "none"}),
        ("Patient?_id:not=nam", {"hoa", "none"}),
        ("Patient?identifier:not=12345", {"none"}),
        (f"Patient?identifier:not={MRN}|12345", {"nam", "none"}),
        # of several codings one that matches is enough to be left out
        ("Observation?code:not=HGB", {"text", "both", "bare"}),
        (f"Observation?code:not={LOINC}|718-7", {"text", "both", "bare"}),
        (f"Observation?code:not={LOCAL}|718-7", {"blood", "text", "both", "bare"}),
        (f"Observation?category:not={LOCAL}|home", {"blood", "bare"}),
        ("Observation?combo-code:not=8480-6", {"blood", "text", "bare"}),
        ("Observation?code:not=718-7&category:not=home", {"bare"}),
    ],
)
def test_not_finds_what_has_no_such_code(here: Record, address: str, ids: set[str]) -> None:
    check(here, address, ids)


@covers("token", ":in")
@pytest.mark.parametrize(
    ("address", "ids"),
    [
        (f"Observation?category:in={CATEGORIES}", {"blood", "both"}),
        (f"Patient?gender:in={GENDERS}", {"hoa", "nam"}),
        (f"Observation?category:in={GENDERS}", set()),
        (f"Observation?category:in={GENDERS},{CATEGORIES}", {"blood", "both"}),
        (f"Observation?category:in={CATEGORIES}&category=home", {"both"}),
    ],
)
def test_in_finds_the_codes_of_a_value_set(here: Record, address: str, ids: set[str]) -> None:
    check(here, address, ids)


@covers("token", ":not-in")
@pytest.mark.parametrize(
    ("address", "ids"),
    [
        (f"Observation?category:not-in={CATEGORIES}", {"text", "bare"}),
        (f"Patient?gender:not-in={GENDERS}", {"none"}),
        (f"Observation?category:not-in={GENDERS}", {"blood", "text", "both", "bare"}),
    ],
)
def test_not_in_finds_what_has_no_code_of_a_value_set(
    here: Record, address: str, ids: set[str]
) -> None:
    check(here, address, ids)


@covers("token", ":below")
@pytest.mark.parametrize(
    ("address", "ids"),
    [
        (f"Condition?clinical-status:below={CLINICAL}|active", {"active", "recurrence", "relapse"}),
        (f"Condition?clinical-status:below={CLINICAL}|relapse", {"relapse"}),
        (f"Condition?clinical-status:below={CLINICAL}|inactive", {"resolved"}),
        (
            f"Condition?clinical-status:below={CLINICAL}|relapse,{CLINICAL}|inactive",
            {"relapse", "resolved"},
        ),
        ("Patient?gender:below=female", {"hoa"}),
    ],
)
def test_below_finds_a_code_and_what_it_subsumes(here: Record, address: str, ids: set[str]) -> None:
    check(here, address, ids)


@covers("token", ":above")
@pytest.mark.parametrize(
    ("address", "ids"),
    [
        (f"Condition?clinical-status:above={CLINICAL}|relapse", {"active", "relapse"}),
        (f"Condition?clinical-status:above={CLINICAL}|active", {"active"}),
        (f"Condition?clinical-status:above={CLINICAL}|remission", set()),
    ],
)
def test_above_finds_a_code_and_what_subsumes_it(here: Record, address: str, ids: set[str]) -> None:
    check(here, address, ids)


@covers("token", ":of-type")
@pytest.mark.parametrize(
    ("address", "ids"),
    [
        (f"Patient?identifier:of-type={KIND}|MR|12345", {"hoa"}),
        (f"Patient?identifier:of-type={KIND}|SS|12345", {"nam"}),
        (f"Patient?identifier:of-type={KIND}|MR|1234", set()),
        (f"Patient?identifier:of-type={KIND}|PPN|12345", set()),
        ("Patient?identifier:of-type=http://x.org|MR|12345", set()),
        (
            f"Patient?identifier:of-type={KIND}|MR|12345,{KIND}|SS|12345",
            {"hoa", "nam"},
        ),
        (f"Practitioner?identifier:of-type={KIND}|MD|a-7", {"bs"}),
    ],
)
def test_of_type_finds_an_identifier_by_what_it_is(
    here: Record, address: str, ids: set[str]
) -> None:
    check(here, address, ids)


@covers("reference", ":[type]")
@pytest.mark.parametrize(
    ("address", "ids"),
    [
        ("Observation?subject=hoa", {"blood", "text"}),
        ("Observation?subject:Patient=hoa", {"blood"}),
        ("Observation?subject:Group=hoa", {"text"}),
        ("Observation?subject:Patient=Patient/hoa", {"blood"}),
        ("Observation?subject:Device=hoa", set()),
        ("Observation?subject:Patient=hoa,nam", {"blood"}),
        ("Patient?organization:Organization=bv", {"nam"}),
    ],
)
def test_a_type_says_what_an_id_is_of(here: Record, address: str, ids: set[str]) -> None:
    check(here, address, ids)


@covers("reference", ":identifier")
@pytest.mark.parametrize(
    ("address", "ids"),
    [
        # of the Reference itself, not of what it leads to
        (f"Observation?subject:identifier={MRN}|12345", {"bare"}),
        ("Observation?subject:identifier=12345", {"bare"}),
        (f"Observation?subject:identifier={MRN}|", {"bare"}),
        (f"Observation?subject:identifier={CCCD}|12345", set()),
        ("Observation?subject:identifier=|12345", set()),
        (f"Patient?organization:identifier={MRN}|bv-1", {"hoa"}),
        (f"Patient?organization:identifier={MRN}|bv-1,{MRN}|x", {"hoa"}),
        (f"Patient?organization:identifier={MRN}|bv-1&gender=male", set()),
    ],
)
def test_identifier_looks_at_that_of_the_reference(
    here: Record, address: str, ids: set[str]
) -> None:
    check(here, address, ids)


@covers("uri", ":below")
@pytest.mark.parametrize(
    ("address", "ids"),
    [
        ("ValueSet?url:below=http://acme.org/fhir/", {"fhir", "one", "two"}),
        ("ValueSet?url:below=http://acme.org/fhir", {"fhir", "one", "two"}),
        ("ValueSet?url:below=http://acme.org/fhir/ValueSet/1", {"one"}),
        ("ValueSet?url:below=http://acme.org", {"fhir", "one", "two", "other"}),
        ("ValueSet?url:below=http://acme.org/f", set()),
        ("ValueSet?url:below=http://acme.com", set()),
        # "only apply to URLs, and not URNs such as OIDs"
        ("ValueSet?url:below=urn:oid:1.2.3", {"oid"}),
    ],
)
def test_below_finds_the_addresses_under_one(here: Record, address: str, ids: set[str]) -> None:
    check(here, address, ids)


@covers("uri", ":above")
@pytest.mark.parametrize(
    ("address", "ids"),
    [
        ("ValueSet?url:above=http://acme.org/fhir/ValueSet/1/_history/5", {"fhir", "one"}),
        ("ValueSet?url:above=http://acme.org/fhir/ValueSet/2", {"fhir", "two"}),
        ("ValueSet?url:above=http://acme.org/fhirfly/x", {"other"}),
        ("ValueSet?url:above=http://acme.org", set()),
        ("ValueSet?url:above=urn:oid:1.2.3.4", {"deeper-oid"}),
    ],
)
def test_above_finds_the_addresses_over_one(here: Record, address: str, ids: set[str]) -> None:
    check(here, address, ids)


OBSERVATIONS = {"blood", "text", "both", "bare"}


@pytest.mark.parametrize(
    ("type_name", "code", "there"),
    [
        pytest.param("Patient", "name", {"hoa", "nam"}, marks=covers("string", ":missing")),
        pytest.param("Patient", "phonetic", {"hoa", "nam"}, marks=covers("string", ":missing")),
        pytest.param("Patient", "gender", {"hoa", "nam"}, marks=covers("token", ":missing")),
        pytest.param("Patient", "identifier", {"hoa", "nam"}, marks=covers("token", ":missing")),
        pytest.param("Patient", "_tag", {"hoa"}, marks=covers("token", ":missing")),
        pytest.param("Patient", "_id", {"hoa", "nam", "none"}, marks=covers("token", ":missing")),
        pytest.param("Observation", "component-code", {"both"}, marks=covers("token", ":missing")),
        pytest.param("Observation", "combo-code", OBSERVATIONS, marks=covers("token", ":missing")),
        pytest.param("Patient", "birthdate", {"hoa"}, marks=covers("date", ":missing")),
        pytest.param("Observation", "date", {"blood"}, marks=covers("date", ":missing")),
        pytest.param(
            "Patient", "_lastUpdated", {"hoa", "nam", "none"}, marks=covers("date", ":missing")
        ),
        pytest.param("ChargeItem", "factor-override", {"dear"}, marks=covers("number", ":missing")),
        pytest.param(
            "Observation", "value-quantity", {"blood"}, marks=covers("quantity", ":missing")
        ),
        pytest.param(
            "Observation", "component-value-quantity", {"both"},
            marks=covers("quantity", ":missing"),
        ),
        pytest.param(
            "Observation", "combo-value-quantity", {"blood", "both"},
            marks=covers("quantity", ":missing"),
        ),
        pytest.param("Observation", "subject", OBSERVATIONS, marks=covers("reference", ":missing")),
        # "patient" is a subject that is one
        pytest.param("Observation", "patient", {"blood"}, marks=covers("reference", ":missing")),
        pytest.param(
            "Patient", "organization", {"hoa", "nam"}, marks=covers("reference", ":missing")
        ),
        pytest.param(
            "ValueSet", "url", {"fhir", "one", "two", "other", "oid", "deeper-oid"},
            marks=covers("uri", ":missing"),
        ),
        pytest.param("Location", "near", {"here"}, marks=covers("special", ":missing")),
    ],
)  # fmt: skip
def test_missing_tells_who_has_a_value(
    here: Record, type_name: str, code: str, there: set[str]
) -> None:
    everyone = {one["id"] for one in RECORD if one["resourceType"] == type_name}
    check(here, f"{type_name}?{code}:missing=false", there)
    check(here, f"{type_name}?{code}:missing=true", everyone - there)


@pytest.mark.parametrize(
    ("address", "ids"),
    [
        ("Patient?gender:missing=false&name:exact=NGUYEN", {"nam"}),
        ("Patient?gender:not=female&name:missing=true", {"none"}),
        ("Patient?name:contains=uye&birthdate:missing=true", {"nam"}),
        ("Observation?code:text=hemo&subject:Patient=hoa", {"blood"}),
    ],
)
def test_modifiers_go_together(here: Record, address: str, ids: set[str]) -> None:
    check(here, address, ids)


@pytest.mark.parametrize("search", ["Patient?identifier=12345", "Observation?code:text=h"])
def test_a_value_that_leads_to_too_many_is_refused(
    here: Record, monkeypatch: pytest.MonkeyPatch, search: str
) -> None:
    monkeypatch.setattr(directories, "LOOKED_UP_MAX", 0)
    with pytest.raises(Invalid, match="leads to too many") as refusal:
        here.ids(search)
    assert refusal.value.issues[0].code == "too-costly"
