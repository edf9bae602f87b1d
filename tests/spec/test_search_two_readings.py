"""Where the database and a plain reading of the standard once differed: each case by its section.

The law itself is in tests/properties/test_search_law.py.
"""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from ehr_server.access import directories
from ehr_server.errors import Invalid
from ehr_server.validation.rulebook import Rulebook
from searching import Record, record

GENDER = "http://hl7.org/fhir/administrative-gender"
GENDERS = "http://hl7.org/fhir/ValueSet/administrative-gender"
ABSENT_REASONS = "http://hl7.org/fhir/ValueSet/data-absent-reason"


def _observation(id_: str, **rest: Any) -> dict[str, Any]:
    return {
        "resourceType": "Observation", "id": id_, "status": "final", "code": {"text": "x"}, **rest,
    }  # fmt: skip


def _group(id_: str, **rest: Any) -> dict[str, Any]:
    return {"resourceType": "Group", "id": id_, "type": "person", "actual": True, **rest}


def _characteristic(**value: Any) -> list[dict[str, Any]]:
    return [{"code": {"text": "x"}, "exclude": False, **value}]


def _gender(system: str) -> dict[str, Any]:
    return {"valueCodeableConcept": {"coding": [{"system": system, "code": "female"}]}}


RECORD = [
    {"resourceType": "Patient", "id": "an", "gender": "unknown", "telecom": [{"use": "home"}],
     "name": [{"text": "Nguyễn Văn An"}, {"text": "Tư Hoa"}]},
    {"resourceType": "Patient", "id": "self", "birthDate": "0001-01-01"},
    {"resourceType": "Patient", "id": "none"},
    _observation("performed", performer=[{"reference": "Patient/self"}]),
    _observation("about", subject={"reference": "Patient/an"}),
    _observation("of-group", subject={"reference": "Group/switch"}),
    _observation("known", subject={"identifier": {"system": "x:y", "value": "7"}}),
    _observation("wave", valueSampledData={
        "origin": {"value": 1}, "period": Decimal(1), "dimensions": 1, "data": "E"}),
    _observation("wave-part", component=[{"code": {"text": "x"}, "valueSampledData": {
        "origin": {"value": 1}, "period": Decimal(1), "dimensions": 1, "data": "E"}}]),
    _observation("last", effectiveDateTime="9999-12-31T23:59:59Z", issued="2024-01-01T00:00:00Z"),
    _observation("march", effectiveDateTime="9999-03"),
    _observation("ages", effectivePeriod={"start": "0001-01-01", "end": "2024-01-01T00:00:00Z"}),
    _group("switch", characteristic=_characteristic(valueBoolean=True)),
    _group("standard", characteristic=_characteristic(**_gender(GENDER))),
    _group("local", characteristic=_characteristic(**_gender("http://benhvien.vn/gioi"))),
]  # fmt: skip


@pytest.fixture(scope="module")
def here(module_database: str) -> Iterator[Record]:
    with record(module_database, terminology=Rulebook().terminology) as found:
        found.put(*RECORD)
        yield found


@pytest.mark.parametrize(
    ("search", "ids"),
    [
        # https://hl7.org/fhir/R4/search.html#modifiers, :identifier
        ("Observation?subject:identifier=x:y|7", {"known"}),
        # #has: who refers by that parameter, not who lies in the record for another reason
        ("Patient?_has:Observation:patient:status=final", {"an"}),
        ("Patient?_has:Observation:subject:status=final", {"an"}),
        ("Patient?_has:Observation:performer:status=final", {"self"}),
        ("Group?_has:Observation:subject:status=final", {"switch"}),
        # #token: a code of another system is not in the value set, of whichever kind the value is
        (f"Group?value:in={GENDERS}", {"standard"}),
        (f"Group?value:not-in={GENDERS}", {"local", "switch"}),
        (f"Patient?gender:in={GENDERS}", {"an"}),
        (f"Patient?gender:in={ABSENT_REASONS}", set()),
        # #token: |code is for codings without a system; yes and no are none
        ("Group?value=true", {"switch"}),
        ("Group?value=|true", set()),
        # #missing: what cannot be compared is there all the same
        ("Observation?value-quantity:missing=false", {"wave"}),
        ("Observation?combo-value-quantity:missing=false", {"wave", "wave-part"}),
        # #date: the ends of the calendar
        ("Observation?date=9999-12-31T23:59:59Z", {"last"}),
        ("Observation?date=ge9999-12-31T23:59:59Z", {"last"}),
        ("Observation?date=9999-03", {"march"}),
        ("Observation?date=eb9999-04", {"march", "ages"}),
        ("Patient?birthdate=0001-01-01", {"self"}),
        ("Patient?birthdate=ne0001-01-01", set()),
        # #string: the words of a name may be in several names of the person
        ("Patient?name=hoa nguyen", {"an"}),
    ],
)
@pytest.mark.parametrize("reached_max", [0, directories.REACHED_MAX])
def test_both_readings_find(
    here: Record, search: str, ids: set[str], reached_max: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(directories, "REACHED_MAX", reached_max)
    assert set(here.ids(search)) == ids


def test_what_has_no_value_comes_after_the_last_day(here: Record) -> None:
    """https://hl7.org/fhir/R4/search.html#sort"""
    for first in ("_lastUpdated", "value-quantity"):  # the same of all
        found = here.ids(f"Observation?_sort={first},date")
        assert found[:3] == ["ages", "march", "last"]
        assert here.ids(f"Observation?_sort={first},-date")[:3] == found[2::-1]


@pytest.mark.parametrize(
    "search",
    [
        # https://hl7.org/fhir/R4/search.html#token: a hyphen alone is no telephone number
        "Patient?telecom=-",
        # #modifiers: what is of no code system is in no value set
        f"Patient?_id:in={GENDERS}",
        f"Patient?active:not-in={GENDERS}",
        f"Patient?phone:below={GENDER}|female",
    ],
)
def test_what_cannot_be_meant_is_refused(here: Record, search: str) -> None:
    with pytest.raises(Invalid):
        here.query(search)
