"""A query that names a Patient, made one about the person.

https://hl7.org/fhir/R4/search.html#reference
"""

from dataclasses import replace
from zoneinfo import ZoneInfo

import pytest

from ehr_server.search.match import matches
from ehr_server.search.parse import parse
from ehr_server.search.persons import named, widened
from ehr_server.search.rules import Rules

RULES = Rules(ZoneInfo("Asia/Ho_Chi_Minh"), "http://here/fhir")
OTHERS = {"1": ("2", "3"), "2": ("1", "3"), "3": ("1", "2")}


@pytest.mark.parametrize(
    ("type_name", "name", "value", "ids"),
    [
        ("Observation", "patient", "1", {"1"}),
        ("Observation", "subject", "Patient/1,Group/7", {"1"}),
        ("Observation", "subject", "1", {"1"}),
        ("Observation", "subject", "http://here/fhir/Patient/1", {"1"}),
        ("Observation", "subject", "Patient/1/_history/2", set()),
        ("Observation", "subject", "Group/1", set()),
        ("Observation", "encounter", "1", set()),
        ("Observation", "code", "1", set()),
        ("Observation", "encounter.patient", "1", {"1"}),
        ("Observation", "patient.name", "1", set()),
        ("Encounter", "_has:Observation:encounter:patient", "1", {"1"}),
        ("Observation", "_filter", "not (patient eq Patient/1)", {"1"}),
        ("Patient", "_id", "1", set()),
        ("Patient", "link", "Patient/1", set()),
        ("Patient", "general-practitioner", "Practitioner/1", set()),
    ],
)
def test_who_is_named(type_name: str, name: str, value: str, ids: set[str]) -> None:
    query = parse(type_name, [(name, value)], RULES)
    assert named(query) == ids
    if not ids:
        assert widened(query, OTHERS) == query


@pytest.mark.parametrize("asked", ["1", "2", "3"])
@pytest.mark.parametrize("about", ["1", "2", "3", "4"])
def test_all_records_of_the_person_are_meant(asked: str, about: str) -> None:
    resource = {
        "resourceType": "Observation",
        "id": "o",
        "status": "final",
        "subject": {"reference": f"Patient/{about}"},
    }
    is_meant = about != "4"
    plain = parse("Observation", [("patient", asked)], RULES)
    for query, expected in (
        (plain, is_meant),
        (parse("Observation", [("patient:Patient", asked)], RULES), is_meant),
        (parse("Observation", [("_filter", f"not (patient eq {asked})")], RULES), not is_meant),
        (replace(plain, criteria=(), compartment=(asked,)), is_meant),
    ):
        assert matches(widened(query, OTHERS), resource, RULES) is expected


def test_nobody_else_is_meant() -> None:
    query = parse("Observation", [("patient", "4")], RULES)
    assert widened(query, OTHERS) == query
    assert widened(query, {}) is query
