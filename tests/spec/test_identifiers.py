"""Identifiers of people and facilities in Viet Nam: what is said about which number, and how hard.

https://hl7.org/fhir/R4/datatypes.html#Identifier. The rules are those of Decree 137/2015/NĐ-CP
Article 13 (personal number), Decree 70/2024/NĐ-CP Article 11 (numbers issued anew), Decision
1351/QĐ-BHXH (insurance card), Decree 188/2025/NĐ-CP Article 10 (the three forms of an insurance
number), Decision 384/QĐ-BYT (codes of facilities) and GS1 (check digit). All numbers are made up.
"""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaign import Plan, bundles
from ehr_server.identity.kinds import KINDS
from ehr_server.issue import Issue
from ehr_server.validation.identifiers import are_sound, findings

_HL7_VN = "http://fhir.hl7.org.vn/core/sid/"
CCCD, CMND, BHYT, BHXH = (f"{_HL7_VN}{name}" for name in ("cccd", "cmnd", "bhyt", "bhxh"))
PASSPORT, FACILITY, GLN = (f"{_HL7_VN}{name}" for name in ("passport", "ma-cskcb", "gln"))
MOH_CCCD = "http://fhir.ehealth.gov.vn/core/sid/national_id"
HIV_CCCD = "https://basespecs.vn/NamingSystem/NationalID"

Told = tuple[str, str]  # severity and rule


def _patient(*identifiers: dict[str, Any], **elements: Any) -> dict[str, Any]:
    return {"resourceType": "Patient", "identifier": list(identifiers), **elements}


def _one(system: str, value: str, **elements: Any) -> dict[str, Any]:
    return _patient({"system": system, "value": value}, **elements)


def _told(resource: dict[str, Any]) -> list[Told]:
    found = findings(resource)
    assert are_sound(resource) == (not found)
    return [(issue.severity, issue.rule) for issue in found]


@pytest.mark.parametrize(
    ("value", "gender", "born", "told"),
    [
        ("001085012345", "male", "1985-03-15", []),
        ("079175001234", "female", "1975", []),
        ("001055000123", "male", "1955-06", []),  # a man of 70
        ("001174000456", "female", "1974-05-02", []),  # a woman of 51
        ("001324000789", "female", "2024-01-31", []),  # a girl of 2024
        ("079200000123", "male", "2000-12-01", []),
        ("001085012345", "unknown", "1985", []),
        ("001085012345", "other", "1985", []),
        ("001085012345", None, None, []),
        ("01112303122", "male", "1980", [("error", "cccd-shape")]),  # 11 digits, as published
        ("0010850123450", None, None, [("error", "cccd-shape")]),
        ("001 085 012 345", None, None, [("warning", "cccd-spelling")]),
        ("00108501234O", None, None, [("error", "cccd-letter")]),
        ("٠٠١٠٨٥٠١٢٣٤٥", None, None, [("error", "cccd-shape")]),
        ("", None, None, [("error", "cccd-shape")]),
        ("003085012345", "male", "1985", [("warning", "cccd-province")]),
        ("115085012345", "male", "1985", [("warning", "cccd-province")]),  # may be a country
        ("001085012345", "female", "1985", [("warning", "cccd-gender")]),
        ("001085012345", "male", "1956", [("warning", "cccd-birthdate")]),
        ("001085012345", None, "2085-01-01", [("warning", "cccd-birthdate")]),
        (
            "003085012345",
            "female",
            "1986",
            [
                ("warning", "cccd-province"),
                ("warning", "cccd-gender"),
                ("warning", "cccd-birthdate"),
            ],
        ),
    ],
)
@pytest.mark.parametrize("system", [CCCD, MOH_CCCD, HIV_CCCD])
def test_personal_numbers(
    system: str, value: str, gender: str | None, born: str | None, told: list[Told]
) -> None:
    person = {"gender": gender, "birthDate": born}
    resource = _one(system, value, **{key: of for key, of in person.items() if of is not None})
    assert _told(resource) == told


@pytest.mark.parametrize(
    ("prefix", "year"),
    [("015", 1990), ("080", 1985), ("091", 2026), ("024", 2025), ("010", 2026)],
)
def test_codes_of_before_and_since_the_reform_are_both_valid(prefix: str, year: int) -> None:
    century = 0 if year < 2000 else 2
    resource = _one(CCCD, f"{prefix}{century}{year % 100:02d}000123", birthDate=str(year))
    assert _told(resource) == []


@pytest.mark.parametrize(
    ("system", "value", "told"),
    [
        (CMND, "012345678", []),
        (CMND, "001085012345", []),
        (CMND, "01234567", [("error", "cmnd-shape")]),
        (CCCD, "012345678", [("error", "cccd-system")]),
        # Three forms of an insurance number live in parallel.
        (BHYT, "GD4010112345678", []),
        (BHYT, "0112345678", []),
        (BHYT, "001085012345", []),
        (BHYT, "gd4010112345678", [("warning", "bhyt-spelling")]),
        (BHYT, "GD6010112345678", [("error", "bhyt-shape")]),
        (BHYT, "GD401011234567", [("error", "bhyt-shape")]),
        (BHYT, "01112303122", [("error", "bhyt-shape")]),
        (BHYT, "ZZ4010112345678", [("warning", "bhyt-group")]),
        (BHYT, "003085012345", [("warning", "cccd-province")]),
        # Level 4 is not what pensioners have, but a published example has it.
        (BHYT, "HT4790123456789", [("information", "bhyt-level")]),
        (BHYT, "TE1010112345678", []),
        (BHYT, "HN2010112345678", []),
        (BHYT, "QN5970112345678", []),
        (BHXH, "0112345678", []),
        (BHXH, "011234567", [("error", "bhxh-shape")]),
        (BHXH, "GD4010112345678", [("error", "bhxh-system")]),
        (BHXH, "001085012345", [("error", "bhxh-system")]),
        (PASSPORT, "B1234567", []),
        (PASSPORT, "b1234567", [("warning", "passport-spelling")]),
        (PASSPORT, "B1234", [("error", "passport-shape")]),
        (FACILITY, "79088", []),
        (FACILITY, "01557", []),
        (FACILITY, "1557", [("error", "facility-shape")]),
        (FACILITY, "8934285071993", [("error", "facility-system")]),
        (GLN, "8934285071993", []),
        (GLN, "8934286056913", []),
        (GLN, "8934285008135", []),
        (GLN, "8934285071994", [("error", "gln-check-digit")]),
        (GLN, "8934285017993", [("error", "gln-check-digit")]),
        (GLN, "4012345000009", [("error", "gln-shape")]),
        (GLN, "79088", [("error", "gln-system")]),
        (f"{_HL7_VN}ma-lk", "01557.2026.0000456", []),
        (f"{_HL7_VN}ma-lk", "x" * 101, [("error", "ma-lk-shape")]),
        (f"{_HL7_VN}cchn", "000101/HNO-CCHN", []),
        (f"{_HL7_VN}mrn", " ", [("error", "mrn-shape")]),
        ("http://example.org/sid/cccd", "whatever", []),
    ],
)
def test_numbers_of_other_kinds(system: str, value: str, told: list[Told]) -> None:
    assert _told(_one(system, value)) == told


def test_an_insurance_number_that_is_a_personal_number_tells_of_the_person_too() -> None:
    resource = _one(BHYT, "001085012345", gender="female", birthDate="1985")
    assert _told(resource) == [("warning", "cccd-gender")]


@pytest.mark.parametrize(
    ("system", "value", "told"),
    [
        (CCCD, "003085012345", []),
        (CCCD, "001185012345", []),
        (CCCD, "01112303122", [("warning", "cccd-shape")]),
        (BHYT, "ZZ4010112345678", []),
        (GLN, "8934285071994", [("warning", "gln-check-digit")]),
        (GLN, "79088", [("warning", "gln-system")]),
    ],
)
def test_old_numbers_are_asked_for_their_shape_alone_and_never_refused(
    system: str, value: str, told: list[Told]
) -> None:
    """Decree 70/2024/NĐ-CP Article 11: after a correction of sex or year, a new number is issued
    and the old one kept; of identifier-use `old`."""
    identifier = {"use": "old", "system": system, "value": value}
    assert _told(_patient(identifier, gender="male", birthDate="1985")) == told


def test_a_new_number_beside_the_old_one() -> None:
    old = {"use": "old", "system": CCCD, "value": "001085012345"}
    new = {"use": "official", "system": CCCD, "value": "001185067890"}
    assert _told(_patient(old, new, gender="female", birthDate="1985")) == []


def test_a_value_may_be_missing_with_a_reason() -> None:
    """https://hl7.org/fhir/R4/extension-data-absent-reason.html"""
    reason = {
        "url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason",
        "valueCode": "temp-unknown",
    }
    assert _told(_patient({"system": CCCD, "_value": {"extension": [reason]}})) == []
    assert _told(_patient({"system": CCCD})) == []
    assert _told(_patient({"value": "1"})) == []
    assert _told({"resourceType": "Patient"}) == []


def test_whoever_has_a_number_is_compared_with_it() -> None:
    """RelatedPerson, Practitioner and Person have a sex and a date of birth as a Patient has."""
    parent = {**_one(CCCD, "001085012345", gender="female"), "resourceType": "RelatedPerson"}
    assert _told(parent) == [("warning", "cccd-gender")]


@pytest.mark.parametrize(
    ("resource", "told", "place"),
    [
        (
            _patient({"system": "x", "value": "1"}, {"system": CCCD, "value": "1"}),
            "cccd-shape",
            "Patient.identifier[1].value",
        ),
        (
            {"resourceType": "Composition", "identifier": {"system": CCCD, "value": "1"}},
            "cccd-shape",
            "Composition.identifier.value",
        ),
        (
            {"resourceType": "Organization", "identifier": [{"system": GLN, "value": "79088"}]},
            "gln-system",
            "Organization.identifier[0].system",
        ),
        (
            _one(CCCD, "001085012345", gender="female"),
            "cccd-gender",
            "Patient.identifier[0].value",
        ),
    ],
)
def test_where_it_is(resource: dict[str, Any], told: str, place: str) -> None:
    (found,) = findings(resource)
    assert (found.rule, found.expression) == (told, (place,))


def _coverage(system: str, value: str, subscriber: str) -> dict[str, Any]:
    identifier = [{"system": system, "value": value}]
    return {"resourceType": "Coverage", "identifier": identifier, "subscriberId": subscriber}


@pytest.mark.parametrize("subscriber", ["GD4010112345678", "0112345678", "001085012345"])
def test_the_subscriber_of_an_insurance_card(subscriber: str) -> None:
    assert _told(_coverage(BHYT, "GD4010112345678", subscriber)) == []


def test_a_subscriber_of_no_insurance_number() -> None:
    """https://hl7.org/fhir/R4/coverage-definitions.html#Coverage.subscriberId: only of a Coverage
    by an insurance card, as other insurers have numbers of their own."""
    (found,) = findings(_coverage(BHYT, "GD4010112345678", "GD401011234567"))
    assert (found.severity, found.rule) == ("error", "bhyt-shape")
    assert found.expression == ("Coverage.subscriberId",)
    assert not are_sound(_coverage(BHYT, "GD4010112345678", "GD401011234567"))
    assert _told(_coverage("http://example.org/policy", "1", "A-1")) == []


def test_texts_say_in_both_languages_how_to_mend_it() -> None:
    (shape,) = findings(_one(CCCD, "01112303122"))
    assert shape.text == "The personal identification number (CCCD) must have exactly 12 digits."
    assert shape.vi == "Số CCCD phải gồm đúng 12 chữ số."
    (mixed,) = findings(_one(GLN, "79088"))
    assert FACILITY in mixed.text
    assert mixed.vi is not None
    assert FACILITY in mixed.vi
    (mixed,) = findings(_one(FACILITY, "8934285071993"))
    assert GLN in mixed.text


@pytest.mark.parametrize(
    "resource",
    [
        {"resourceType": "Patient", "identifier": held}
        for held in (
            "001085012345",
            [None],
            [["x"]],
            [{"system": [CCCD], "value": "1"}],
            [{"system": CCCD, "value": 1}],
            [{"system": CCCD, "value": ["001085012345"]}],
        )
    ]
    + [
        _one(CCCD, "001085012345", gender=["male"], birthDate=1985),
        _one(CCCD, "001085012345", birthDate=["1985"]),
        {**_coverage(BHYT, "GD4010112345678", ""), "subscriberId": 7},
    ],
)
def test_what_is_not_well_formed_is_left_to_the_structural_check(resource: dict[str, Any]) -> None:
    assert findings(resource) == []
    are_sound(resource)  # may say no, may not fail


def test_nothing_is_said_about_the_residents_of_a_campaign() -> None:
    for bundle in bundles(Plan(residents=40, seed=1)):
        for entry in bundle["entry"]:
            assert _told(entry["resource"]) == []


_SYSTEMS = st.sampled_from([system for kind in KINDS for system in kind.systems] + ["http://x.vn"])
_VALUES = st.one_of(
    st.from_regex(
        r"0(01|03|79|15|96)[0-9](85|00|74)[0-9]{6}|[0-9]{5}|[0-9]{9,13}"
        r"|[A-Z]{2}[0-6][0-9]{12}|(HT|GD|TE|CC|QN|ZZ)[1-5][0-9]{12}|893428507199[0-9]",
        fullmatch=True,
    ),
    st.text(max_size=16),
)
_IDENTIFIERS = st.fixed_dictionaries(
    {"system": _SYSTEMS},
    optional={"value": _VALUES, "use": st.sampled_from(["official", "old", "temp"])},
)
_RESOURCES = st.fixed_dictionaries(
    {
        "resourceType": st.sampled_from(["Patient", "Coverage"]),
        "identifier": st.one_of(st.lists(_IDENTIFIERS, min_size=1, max_size=3), _IDENTIFIERS),
    },
    optional={
        "gender": st.sampled_from(["male", "female", "other", "unknown"]),
        "birthDate": st.sampled_from(["1985", "1985-03-15", "2000-01", "2074", "1974-05-02"]),
        "subscriberId": _VALUES,
    },
)


@given(_RESOURCES)
def test_the_quick_answer_and_the_findings_agree(resource: dict[str, Any]) -> None:
    assert are_sound(resource) == (findings(resource) == [])


@given(_RESOURCES)
def test_findings_are_whole_and_hold_no_number(resource: dict[str, Any]) -> None:
    held = resource["identifier"]
    values = [one.get("value", "") for one in (held if isinstance(held, list) else [held])]
    for found in findings(resource):
        assert _is_whole(found)
        said = f"{found.text} {found.vi}"
        assert not any(value in said for value in values if len(value) > 4 and value.isalnum())


def _is_whole(issue: Issue) -> bool:
    return bool(issue.rule and issue.text and issue.vi and issue.expression and issue.code)
