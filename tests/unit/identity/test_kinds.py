"""The kinds of identifier: https://hl7.org/fhir/R4/datatypes.html#Identifier"""

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import pytest

from ehr_server.fhir import json
from ehr_server.identity import provinces
from ehr_server.identity.kinds import KINDS, kind_named, kind_of
from ehr_server.identity.numbers import (
    LEVEL_OF_GROUP,
    InsuranceCard,
    PersonalNumber,
    has_gs1_check_digit,
    insurance_card,
    personal_number,
)
from ehr_server.layout import folder

_HL7_VN = "http://fhir.hl7.org.vn/core/sid/"
_MOH = "http://fhir.ehealth.gov.vn/core/sid/"
_OURS = folder("profiles") / "vn"
_HIV = "https://basespecs.vn/NamingSystem/"


@pytest.mark.parametrize(
    ("name", "systems"),
    [
        ("cccd", (f"{_HL7_VN}cccd", f"{_MOH}national_id", f"{_HIV}NationalID")),
        (
            "cmnd",
            (
                f"{_HL7_VN}cmnd",
                f"{_MOH}citizen_id",
                f"{_HIV}NationalID9",
                "hhttps://basespecs.vn/NamingSystem/NationalID9",
            ),
        ),
        ("bhyt", (f"{_HL7_VN}bhyt", f"{_MOH}insurance_number", f"{_HIV}InsuranceNumbers")),
        ("bhxh", (f"{_HL7_VN}bhxh",)),
        ("passport", (f"{_HL7_VN}passport", f"{_MOH}passport_number", f"{_HIV}PassportNumbers")),
        ("facility", (f"{_HL7_VN}ma-cskcb", f"{_MOH}provider-code")),
        ("gln", (f"{_HL7_VN}gln",)),
        ("licence", (f"{_HL7_VN}cchn",)),
        ("ma-lk", (f"{_HL7_VN}ma-lk", f"{_MOH}VisitNumber")),
        ("mrn", (f"{_HL7_VN}mrn", f"{_MOH}patient-internal-id")),
        (
            "driver",
            (
                f"{_MOH}driver-license-number",
                f"{_MOH}driver_license_number",
                f"{_HIV}DriverID",
            ),
        ),
    ],
)
def test_several_systems_are_one_kind_and_the_first_is_written(
    name: str, systems: tuple[str, ...]
) -> None:
    kind = kind_named(name)
    assert kind.systems == systems
    assert kind.system == systems[0]
    assert {kind_of(system) for system in systems} == {kind}


def test_an_unknown_system_is_of_no_kind() -> None:
    assert kind_of("http://example.org/sid/cccd") is None
    with pytest.raises(KeyError):
        kind_named("vneid")


def test_no_two_kinds_have_a_name_or_a_system_in_common() -> None:
    names = [kind.name for kind in KINDS]
    systems = [system for kind in KINDS for system in kind.systems]
    assert len(names) == len(set(names))
    assert len(systems) == len(set(systems))
    assert {name for kind in KINDS for name in kind.taken_for} <= set(names)


@pytest.mark.parametrize(
    "path", sorted(_OURS.glob("NamingSystem/*.json")), ids=lambda path: path.stem
)
def test_our_naming_systems_say_the_same(path: Path) -> None:
    """https://hl7.org/fhir/R4/namingsystem.html: the preferred uri is the one that is written."""
    uris = [one for one in json.read(path.read_bytes())["uniqueId"] if one["type"] == "uri"]
    (kind,) = {kind_of(one["value"]) for one in uris}
    assert kind is not None
    assert {one["value"] for one in uris} == set(kind.systems)
    assert [one["value"] for one in uris if one.get("preferred")] == [kind.system]


@pytest.mark.parametrize(
    ("name", "codes"),
    [
        ("province-2008", provinces.BEFORE_REFORM),
        ("province-2025", provinces.SINCE_REFORM),
        ("bhyt-card-group", LEVEL_OF_GROUP),
    ],
)
def test_our_code_systems_have_the_same_codes(name: str, codes: Mapping[str, str]) -> None:
    system = json.read((_OURS / "CodeSystem" / f"{name}.json").read_bytes())
    assert {concept["code"] for concept in system["concept"]} == set(codes)


def test_a_kind_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        KINDS[0].name = "other"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("cccd", ["001085012345"], ["01112303122", "0010850123456", "00108501234a", ""]),
        ("cmnd", ["012345678", "001085012345"], ["01234567", "0123456789"]),
        (
            "bhyt",
            ["GD4010112345678", "0112345678", "001085012345"],
            ["GD6010112345678", "gd4010112345678", "GD401011234567", "01123456789"],
        ),
        ("bhxh", ["0112345678"], ["011234567", "GD4010112345678"]),
        ("passport", ["B12345", "B1234567", "C12345678"], ["B1234", "b1234567", "C123456789"]),
        ("facility", ["79088", "01557"], ["7908", "790888", "K9088"]),
        ("gln", ["8934285071993", "8934285071994"], ["4012345000009", "79088"]),
        ("licence", ["000101/HNO-CCHN"], ["", "  "]),
        ("ma-lk", ["01557.2026.0000456", "x" * 100], ["", " ", "x" * 101]),
        ("mrn", ["7"], ["", " "]),
        ("driver", ["790123456789"], ["", " "]),
    ],
)
def test_shapes(name: str, good: list[str], bad: list[str]) -> None:
    kind = kind_named(name)
    assert [value for value in good if not kind.has_shape(value)] == []
    assert [value for value in bad if kind.has_shape(value)] == []


@pytest.mark.parametrize("name", ["cccd", "cmnd", "bhyt", "bhxh", "facility", "gln"])
def test_only_the_digits_0_to_9_are_digits(name: str) -> None:
    """Other scripts have digits too, and a line break at the end is one character more."""
    kind = kind_named(name)
    for length in (5, 9, 10, 12, 13, 15):
        assert not kind.has_shape("٣" * length)
        assert not kind.has_shape("1" * length + "\n")


@pytest.mark.parametrize(
    ("name", "value", "normal"),
    [
        ("cccd", " 001 085 012 345", "001085012345"),
        ("bhyt", "gd 4 01 01-1234-5678", "GD4010112345678"),
        ("passport", "b1234567", "B1234567"),
        ("licence", "000101/hno-cchn ", "000101/HNO-CCHN"),
        ("ma-lk", " 01557.2026.0000456", "01557.2026.0000456"),
        ("mrn", "a-1 ", "a-1"),
    ],
)
def test_normal_forms(name: str, value: str, normal: str) -> None:
    kind = kind_named(name)
    assert kind.normal(value) == normal
    assert kind.normal(normal) == normal


@pytest.mark.parametrize(
    ("value", "told", "province"),
    [
        ("001085012345", PersonalNumber("001", "male", 1985), "Hà Nội"),
        ("079175001234", PersonalNumber("079", "female", 1975), "Thành phố Hồ Chí Minh"),
        ("079200000123", PersonalNumber("079", "male", 2000), "Thành phố Hồ Chí Minh"),
        ("001324000789", PersonalNumber("001", "female", 2024), "Hà Nội"),
        ("034999000789", PersonalNumber("034", "female", 2399), None),
        ("003085012345", PersonalNumber("003", "male", 1985), None),
        ("115085012345", PersonalNumber("115", "male", 1985), None),
    ],
)
def test_what_a_personal_number_tells(
    value: str, told: PersonalNumber, province: str | None
) -> None:
    """Decree 137/2015/NĐ-CP Article 13: place, sex and century, year, six digits at random."""
    assert personal_number(value) == told
    assert told.province() == province


def test_what_is_no_personal_number_tells_nothing() -> None:
    assert personal_number("01112303122") is None


def test_what_an_insurance_card_tells() -> None:
    assert insurance_card("HT3790123456789") == InsuranceCard("HT", "3", "79", "0123456789")
    assert insurance_card("0123456789") is None
    assert insurance_card("001085012345") is None


def test_every_group_of_insured_has_a_level() -> None:
    """The groups by who pays: employer, insurance fund, budget, budget in part, household."""
    groups = """
        DN HX CH NN TK HC XK
        HT TB NO CT XB TN CS
        QN CA CY XN MS CC CK CB KC HD TE BT HN DT DK XD TS TC TQ TA TY TV HG LS PV
        CN HS SV GB
        GD
    """
    assert sorted(LEVEL_OF_GROUP) == sorted(groups.split())
    assert set(LEVEL_OF_GROUP.values()) == set("12345")
    assert [LEVEL_OF_GROUP[group] for group in ("TE", "HN", "HT", "GD", "QN")] == list("12345")


@pytest.mark.parametrize("gln", ["8934285071993", "8934286056913", "8934285008135"])
def test_the_check_digit_of_gs1(gln: str) -> None:
    """Three facilities' real numbers; every other last digit is wrong."""
    wrong = [gln[:-1] + digit for digit in "0123456789" if digit != gln[-1]]
    assert has_gs1_check_digit(gln)
    assert not any(has_gs1_check_digit(value) for value in wrong)


def test_63_provinces_and_then_34() -> None:
    """Decision 19/2025/QĐ-TTg: no new code was made, and seven codes changed their meaning."""
    before, since = provinces.BEFORE_REFORM, provinces.SINCE_REFORM
    assert (len(before), len(since), len(provinces.CODES)) == (63, 34, 63)
    changed = {code for code in since if since[code] != before[code]}
    assert changed == {"15", "24", "44", "52", "80", "82", "91"}


@pytest.mark.parametrize(
    ("code", "year", "name"),
    [
        ("15", 1990, "Yên Bái"),
        ("15", 2026, "Lào Cai"),
        ("15", 2025, None),
        ("01", 2025, "Hà Nội"),
        ("10", 2026, None),
        ("10", 2025, "Lào Cai"),
        ("03", 1990, None),
    ],
)
def test_a_code_means_the_province_of_its_time(code: str, year: int, name: str | None) -> None:
    assert provinces.province(code, year) == name
