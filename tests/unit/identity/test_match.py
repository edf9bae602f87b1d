"""Two records compared: https://hl7.org/fhir/R4/patient-operation-match.html"""

from typing import Any

import pytest

from ehr_server.identity.match import Likeness, compared, grade_of
from ehr_server.identity.traits import person
from ehr_server.identity.weights import DEFAULT, FIELDS, weights

TODAY = "2026-11-26"
CCCD = "http://fhir.hl7.org.vn/core/sid/cccd"
BHYT = "http://fhir.hl7.org.vn/core/sid/bhyt"
PASSPORT = "http://hl7.org/fhir/sid/passport-"
WARD = "http://fhir.hl7.org.vn/core/StructureDefinition/vn-ext-ward"


def patient(text: str = "Phạm Thị Ngọp", **more: Any) -> dict[str, Any]:
    return {
        "resourceType": "Patient",
        "name": [{"text": text}],
        "gender": "female",
        "birthDate": "1974-03-12",
        **more,
    }


def number(value: str, system: str = CCCD, **more: Any) -> dict[str, Any]:
    return {"identifier": [{"system": system, "value": value, **more}]}


def like(one: dict[str, Any], other: dict[str, Any]) -> Likeness:
    first, second = person(one, TODAY), person(other, TODAY)
    found = compared(first, second, weights())
    assert compared(second, first, weights()) == found
    return found


def born(one: str, other: str) -> str:
    return like(patient(birthDate=one), patient(birthDate=other)).levels["birth"]


@pytest.mark.parametrize(
    ("one", "other", "level"),
    [
        ("1974-03-12", "1974-03-12", "same"),
        ("1974-03-12", "1974-12-03", "swapped"),
        ("1974-03-12", "1974-03-17", "digit"),
        ("1974-03-12", "1947-03-12", "digit"),  # two exchanged
        ("1974-03-12", "1975-03-12", "digit"),
        ("1974-03-12", "1974", "partial"),
        ("1974-03-12", "1974-03", "partial"),
        ("1974", "1974", "partial"),
        ("1974-01-01", "1974-09-27", "partial"),  # stands for a day that nobody knew
        ("1974-03-12", "1974-09-27", "year"),
        ("1974-03", "1974-04", "year"),
        ("1974-03-12", "1981-09-27", "other"),
        ("1974", "1975", "other"),
    ],
)
def test_how_birth_dates_agree(one: str, other: str, level: str) -> None:
    assert born(one, other) == level


def test_a_field_that_one_lacks_says_nothing() -> None:
    bare = {"resourceType": "Patient", "name": [{"text": "Phạm Thị Ngọp"}]}
    assert set(like(patient(), bare).levels) == {"family", "middle", "given"}


def test_to_agree_on_a_rare_name_says_more() -> None:
    rare, common = patient("Quách Thị Ngọp"), patient("Nguyễn Thị Anh")
    assert like(rare, rare).bits > like(common, common).bits + 8


def test_a_live_number_makes_certain_whatever_is_missing() -> None:
    bare = {"resourceType": "Patient", **number("001174000456")}
    assert like(patient(**number("001174000456")), bare).grade == "certain"
    assert like(patient(**number("001174000456")), bare).score >= 0.9999


@pytest.mark.parametrize(
    ("other", "grade"),
    [
        (patient("Đỗ Thị Ngọp", birthDate="1981-09-27"), "certain"),  # the given name agrees
        (patient("Đỗ Thị Hoa"), "certain"),  # the birth date agrees
        (patient("Đỗ Thị Hoa", birthDate="2001-09-27"), "probable"),  # a daughter's record
        (patient("Đỗ Văn Hoa", birthDate="2001-09-27", gender="male"), "possible"),
    ],
)
def test_a_live_number_against_all_else(other: dict[str, Any], grade: str) -> None:
    found = like(patient(**number("001174000456")), {**other, **number("001174000456")})
    assert found.grade == grade


@pytest.mark.parametrize(
    "old", [{"use": "old"}, {"period": {"end": "2024-05-01"}}, {"period": {"end": "2024"}}]
)
def test_an_old_number_is_strong_but_makes_nothing_certain_by_itself(old: dict[str, Any]) -> None:
    bare = {"resourceType": "Patient", **number("001174000456", **old)}
    found = like(patient(**number("001174000456")), bare)
    assert found.levels["number"] == "card"
    assert found.grade != "certain"


def test_two_live_numbers_speak_against() -> None:
    ward = {"address": [{"extension": [{"url": WARD, "valueCoding": {"code": "08995"}}]}]}
    first = patient(**number("001174000456"), **ward)
    assert like(first, patient(**number("001174999999"), **ward)).grade in ("possible", "probable")
    year = patient(birthDate="1974", **number("001174999999"), **ward)
    assert like(first, year).grade == "possible"  # a namesake
    slip = like(first, patient(**number("001174000465"), **ward))
    assert slip.levels["number"] == "slip"
    assert slip.grade == "probable"


def test_a_card_holds_the_number_of_the_insured() -> None:
    card = patient(**number("GD4010123456789", BHYT))
    tail = patient(**number("0123456789", BHYT))
    assert like(card, tail).levels["number"] == "card"


def test_passports_of_two_countries_may_have_one_number() -> None:
    vietnamese = patient(**number("C1234567", f"{PASSPORT}VNM"))
    assert like(vietnamese, vietnamese).levels["number"] == "same"
    german = patient(**number("C1234567", f"{PASSPORT}DEU"))
    assert "number" not in like(vietnamese, german).levels


def test_kin_never_pass_possible() -> None:
    kin: dict[str, Any] = {
        "telecom": [{"system": "phone", "value": "0912345678"}],
        "contact": [
            {"relationship": [{"coding": [{"code": "MTH"}]}], "name": {"text": "Lò Thị Pâng"}}
        ],
        "address": [
            {
                "line": ["Số 1, Thôn A"],
                "extension": [{"url": WARD, "valueCoding": {"code": "08995"}}],
            }
        ],
    }
    twins = like(patient("Vàng Gia Bảo", **kin), patient("Vàng Gia Huy", **kin))
    assert (twins.levels["given"], twins.grade) == ("other", "possible")
    siblings = like(
        patient("Vàng Gia Bảo", **kin), patient("Vàng Gia Huy", birthDate="1971-08-25", **kin)
    )
    assert siblings.grade == "certainly-not"
    slip = like(patient("Vàng Gia Hân", **kin), patient("Vàng Gia Hâm", **kin))
    assert slip.grade == "probable"  # perhaps a slip, perhaps a twin: a human looks


def test_the_best_of_several_names_counts() -> None:
    two = patient(name=[{"text": "Maria Phạm"}, {"text": "Phạm Thị Ngọp"}])
    assert like(two, patient()).levels["given"] == "same"


def test_the_same_ward_is_not_enough_to_be_certain() -> None:
    ward = {"extension": [{"url": WARD, "valueCoding": {"code": "08995"}}]}
    here = patient(address=[ward])
    assert like(here, here).grade == "probable"
    at_home = patient(address=[{**ward, "line": ["Số 7, Thôn Bạch Trữ"]}])
    assert like(at_home, at_home).grade == "certain"


def test_scores_and_grades() -> None:
    assert [grade_of(score) for score in (1.0, 0.9999, 0.9998, 0.95, 0.9, 0.2, 0.1, 0.0)] == [
        "certain",
        "certain",
        "probable",
        "probable",
        "possible",
        "possible",
        "certainly-not",
        "certainly-not",
    ]


@pytest.mark.parametrize("field", FIELDS)
def test_the_shares_of_a_field_add_up_to_one(field: str) -> None:
    m = sum(shares[0] for key, shares in DEFAULT.items() if key[0] == field)
    u = sum(shares[1] for key, shares in DEFAULT.items() if key[0] == field)
    assert m == pytest.approx(1, abs=0.01)
    assert u == pytest.approx(1, abs=0.02)


def test_rows_of_a_site_replace_the_defaults_where_they_are_sound() -> None:
    table = weights((("sex", "same", 0.9, 0.45), ("sex", "x", 1, 1), ("sex", "other", 2, -1)))
    assert table.bits("sex", "same") == pytest.approx(1)
    assert table.shares["sex", "other"] == DEFAULT["sex", "other"]
    assert table.bits("given", "same", ("nam",)) == weights().bits("given", "same", ("nam",))


@pytest.mark.parametrize(
    "strange",
    [
        {},
        {"name": "Nam", "birthDate": 1974, "gender": [], "address": {}, "identifier": "x"},
        {"name": [None, 7, {"given": [1, None]}], "telecom": [{}], "contact": [{"name": []}]},
        {"identifier": [{"system": 3, "value": []}, {"period": []}], "extension": [{"url": 1}]},
    ],
)
def test_what_is_not_of_the_standards_form_is_read_as_nothing(strange: dict[str, Any]) -> None:
    assert like(strange, patient()).grade == "certainly-not"
