"""What cannot be understood is refused: https://hl7.org/fhir/R4/search.html#errors"""

from zoneinfo import ZoneInfo

import pytest

from ehr_server.errors import Invalid
from ehr_server.search.parse import parse, parse_criteria
from ehr_server.search.query import Query
from ehr_server.search.rules import Rules

RULES = Rules(ZoneInfo("Asia/Ho_Chi_Minh"), "http://here/fhir")
LENIENT = Rules(ZoneInfo("Asia/Ho_Chi_Minh"), "http://here/fhir", lenient=True)


def read(type_name: str, *pairs: tuple[str, str], rules: Rules = RULES) -> Query:
    return parse(type_name, pairs, rules)


@pytest.mark.parametrize(
    ("type_name", "name", "value", "reason"),
    [
        ("Patient", "birthdate", "2023-02-30", "not in the calendar"),
        ("Patient", "birthdate", "gt", "is not a date"),
        ("Patient", "birthdate", "xx2020", "is not a date"),
        ("Patient", "birthdate", "gtlt2020", "is not a date"),
        ("Patient", "birthdate", "2020,", "empty value"),
        ("Patient", "birthdate", "", "empty value"),
        ("Encounter", "date", "2024-03-05T12", "is not a date"),
        ("Patient", "identifier", "a|b|c", "more than one |"),
        ("Patient", "identifier", "|", "neither a system nor a code"),
        ("Patient", "active", "yes", "true nor false"),
        ("Patient", "active", "|true", "takes no system"),
        ("Patient", "phone", "phone|1", "takes no system"),
        ("Patient", "name", "\u0301", "nothing to search for"),
        ("Patient", "name", "a\\", "backslash"),
        ("Patient", "name", "a\\n", "backslash"),
        ("Patient", "name", "a\x00", "control character"),
        ("Patient", "name", "a\ud800", "control character"),
        ("Patient", "name", ",".join("a" * 1001), "at most 1000"),
        ("Patient", "general-practitioner", "Patient/1", "cannot refer to Patient"),
        ("Patient", "general-practitioner", "Nonsense/1", "FHIR does not have"),
        ("Patient", "general-practitioner", "Practitioner/1/_history/2", "names a version"),
        ("Patient", "general-practitioner", "a b", "is not a reference"),
        ("Observation", "value-quantity", "5.4|mg", "is neither a number nor"),
        ("Observation", "value-quantity", "5.4|http://unitsofmeasure.org|", "no unit"),
        ("Observation", "value-quantity", "gt", "is not a number"),
        ("Observation", "value-quantity", "0x10", "is not a number"),
        ("Observation", "value-quantity", "9" * 400, "is not a number"),
        ("Observation", "status", "http://hl7.org/fhir/observation-status|", "no code"),
        ("DocumentReference", "contenttype", "urn:ietf:bcp:13|text/plain", "leaves open"),
        ("ValueSet", "url", "\\", "backslash"),
        # not yet
        ("Patient", "name:exact", "a", "modifier :exact, which is not supported yet"),
        ("Observation", "subject:Patient", "1", "modifier :Patient, which is not supported yet"),
        ("Patient", "name:exactly", "a", "modifier :exactly, which FHIR does not know"),
        ("Observation", "subject.name", "a", "chain"),
        ("Observation", "subject:Patient.name", "a", "chain"),
        ("Patient", "_has:Observation:patient:code", "a", "chain"),
        ("Observation", "code-value-quantity", "a$1", "composite"),
        ("Patient", "_text", "a", "not supported yet"),
        ("Patient", "_include", "Patient:organization", "not supported yet"),
        ("Patient", "_elements", "name", "not supported yet"),
        # what shapes the answer
        ("Patient", "_count", "-1", "whole number"),
        ("Patient", "_count", "many", "whole number"),
        ("Patient", "_total", "some", "none, estimate or accurate"),
        ("Patient", "_summary", "true", "can only be"),
        ("Patient", "_sort", "gender", "can be sorted by"),
        ("Patient", "_sort", "-nonsense", "cannot be searched by"),
        ("Patient", "_sort", "", "cannot be searched by"),
        ("Patient", "_sort", ",".join(["name"] * 6), "more than 5 keys"),
    ],
)
def test_what_is_malformed_is_refused_with_its_name_and_the_reason(
    type_name: str, name: str, value: str, reason: str
) -> None:
    with pytest.raises(Invalid) as refusal:
        read(type_name, (name, value))
    (issue,) = refusal.value.issues
    assert issue.text.startswith(f"The search parameter {name} ")
    assert reason in issue.text
    assert issue.vi
    assert issue.vi.startswith(f"Tham số tìm kiếm {name} ")


def test_every_fault_is_named() -> None:
    with pytest.raises(Invalid) as refusal:
        read("Patient", ("nmae", "a"), ("name", "b"), ("birthdate", "x"), ("_sort", "y"), ("z", ""))
    faults = [issue.text.split()[3] for issue in refusal.value.issues]
    assert faults == ["nmae", "birthdate", "_sort", "z"]


def test_a_result_parameter_comes_once() -> None:
    with pytest.raises(Invalid, match="_count comes more than once"):
        read("Patient", ("_count", "1"), ("_count", "1"))


def test_lenient_handling_leaves_out_what_is_unknown_and_nothing_else() -> None:
    pairs = (("nmae", "a"), ("name", "b"), ("_include", "x"), ("_format", "json"))
    query = read("Patient", *pairs, rules=LENIENT)
    assert query.ignored == ("nmae", "_include")
    assert [condition.name for condition in query.conditions] == ["name"]
    for pair in (("birthdate", "x"), ("name:exactly", "x"), ("name:exact", "x"), ("_count", "x")):
        with pytest.raises(Invalid):
            read("Patient", pair, rules=LENIENT)


def test_a_page_is_no_larger_than_allowed() -> None:
    assert read("Patient").count == 50
    assert read("Patient", ("_count", "100000")).count == 1000
    assert read("Patient", ("_count", "0")).count == 0
    assert read("Patient", ("_summary", "count"), ("_count", "10")).count == 0


@pytest.mark.parametrize("criteria", ["", "?", "_count=1", "_sort=name", "identifier=a&_count=1"])
def test_criteria_say_which_one_is_meant(criteria: str) -> None:
    with pytest.raises(Invalid, match="Criteria must say"):
        parse_criteria("Patient", criteria, RULES.zone)


def test_criteria_are_read_as_a_search_is() -> None:
    query = parse_criteria("Patient", "identifier=http%3A%2F%2Fa%7Cb", RULES.zone, RULES.base)
    assert query.conditions == read("Patient", ("identifier", "http://a|b")).conditions
