"""Whose records are one's own: https://hl7.org/fhir/R4/relatedperson.html."""

from collections.abc import Iterator
from datetime import date
from typing import Any

import pytest

from api.patients import CCCD
from ehr_server.access.guardians import Reading, is_minor, records_of
from ehr_server.access.principal import Principal
from ehr_server.store import merged
from searching import Record, record

TODAY = date(2026, 11, 26)
NATIONAL = "http://fhir.ehealth.gov.vn/core/sid/national_id"
ROLES = "http://terminology.hl7.org/CodeSystem/v3-RoleCode"
MOTHER, FATHER, OLD, OTHER = "001190000107", "001089000108", "001190000109", "001190000110"


@pytest.mark.parametrize(
    ("birth", "expected"),
    [
        ("2008-11-26", False),  # comes of age today
        ("2008-11-27", True),
        ("2008-11-25", False),
        ("2026-11-26", True),
        ("9999-12-31", True),  # mistyped, which is no matter here
        ("2008-12", True),
        ("2008-11", False),  # born on the 1st, perhaps
        ("2009", True),
        ("2008", False),
        ("", False),
    ],
)
def test_a_child_is_one_until_the_first_day_that_it_can_be_of_age(
    birth: str, expected: bool
) -> None:
    assert is_minor(birth, TODAY) is expected


def test_who_is_born_on_a_leap_day_comes_of_age_the_day_before() -> None:
    assert is_minor("2008-02-29", date(2026, 2, 27))
    assert not is_minor("2008-02-29", date(2026, 2, 28))


def _patient(id_: str, birth: str, *numbers: dict[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = {"resourceType": "Patient", "id": id_}
    found |= {"birthDate": birth} if birth else {}
    return found | ({"identifier": list(numbers)} if numbers else {})


def _held(value: str, **more: str) -> dict[str, str]:
    return {"system": CCCD, "value": value, **more}


def _carer(id_: str, child: str, number: str, role: str = "MTH", **more: Any) -> dict[str, Any]:
    return {
        "resourceType": "RelatedPerson",
        "id": id_,
        "identifier": [{"system": NATIONAL, "value": number}],
        "patient": {"reference": f"Patient/{child}"},
        "relationship": [{"coding": [{"system": ROLES, "code": role}]}],
        **more,
    }


@pytest.fixture(scope="module")
def here(module_database: str) -> Iterator[Record]:
    with record(module_database) as found:
        found.put(
            _patient("mother", "1990", _held(OLD, use="old"), _held(MOTHER)),
            _patient("father", "1989", _held(FATHER)),
            _patient("other", "1990", _held(OTHER)),
            _patient("grown", "2008-11-26"),
            _patient("almost", "2008-11-27"),
            _patient("whose", ""),
            *(
                _patient(id_, "2020-05-05")
                for id_ in ("small", "small-again", "niece", "former", "past", "strangers")
            ),
        )
        found.put(
            _carer("m-small", "small", MOTHER),
            _carer("m-grown", "grown", MOTHER),
            _carer("m-almost", "almost", MOTHER, period={"end": "2026-11-26"}),
            _carer("m-niece", "niece", MOTHER, "AUNT"),
            _carer("m-former", "former", MOTHER, active=False),
            _carer("m-past", "past", MOTHER, period={"end": "2026-11-25"}),
            _carer("m-whose", "whose", MOTHER),
            _carer("o-strangers", "strangers", OLD),
            _carer("f-small", "small", FATHER, "FTH"),
        )
        with found.store.connection() as connection, connection.transaction():
            merged.join(connection, "small-again", "small", "p")
        yield found


def _of(here: Record, principal: Principal, today: date = TODAY) -> set[str]:
    with here.store.connection() as connection:
        return set(records_of(Reading(here.store, connection, here.rules), principal, today))


def _as_patient(id_: str) -> Principal:
    return Principal("app", id_, patient=id_)


def test_a_mother_sees_her_own_and_her_small_childrens(here: Record) -> None:
    assert _of(here, _as_patient("mother")) == {"mother", "small", "small-again", "almost"}


def test_a_father_sees_those_he_is_named_for(here: Record) -> None:
    assert _of(here, _as_patient("father")) == {"father", "small", "small-again"}


def test_a_birthday_ends_it(here: Record) -> None:
    assert "almost" not in _of(here, _as_patient("mother"), date(2026, 11, 27))
    assert "grown" not in _of(here, _as_patient("mother"), date(2026, 11, 26))
    assert "grown" in _of(here, _as_patient("mother"), date(2026, 11, 25))


def test_who_has_no_children_sees_their_own(here: Record) -> None:
    assert _of(here, _as_patient("other")) == {"other"}


def test_a_child_sees_its_own_whichever_record_is_named(here: Record) -> None:
    assert _of(here, _as_patient("small-again")) == {"small", "small-again"}


def test_a_user_who_is_a_patient_is_one(here: Record) -> None:
    assert _of(here, Principal("app", "x", user="Patient/father")) == _of(
        here, _as_patient("father")
    )


@pytest.mark.parametrize(
    ("user", "expected"),
    [
        ("RelatedPerson/m-small", {"small", "small-again"}),
        ("RelatedPerson/m-grown", set()),
        ("RelatedPerson/m-niece", set()),
        ("RelatedPerson/m-former", set()),
        ("RelatedPerson/nobody", set()),
        ("Practitioner/1", set()),
    ],
)
def test_a_related_person_sees_the_child_it_stands_by(
    here: Record, user: str, expected: set[str]
) -> None:
    assert _of(here, Principal("app", "x", user=user)) == expected


def test_a_number_that_went_out_of_use_opens_nothing(here: Record) -> None:
    assert "strangers" not in _of(here, _as_patient("mother"))
