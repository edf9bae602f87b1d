"""What cannot be understood is refused: https://hl7.org/fhir/R4/search.html#errors"""

from dataclasses import replace
from zoneinfo import ZoneInfo

import pytest

from ehr_server.definitions.catalog import shipped
from ehr_server.errors import Invalid
from ehr_server.search.parse import parse, parse_criteria
from ehr_server.search.query import Query
from ehr_server.search.rules import Rules
from ehr_server.terminology import Terminology

covers = pytest.mark.covers

RULES = Rules(ZoneInfo("Asia/Ho_Chi_Minh"), "http://here/fhir", terminology=Terminology(shipped()))
LENIENT = replace(RULES, lenient=True)


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
        ("Patient", "name", ",".join("a" * 10_000), "has 10000 values"),
        ("Patient", "name", " ".join("abcdefghijk"), "has 11 words; at most 10"),
        ("Patient", "general-practitioner", "Patient/1", "cannot refer to Patient"),
        ("Patient", "general-practitioner", "Nonsense/1", "FHIR does not have"),
        ("Patient", "general-practitioner", "a b", "is not a reference"),
        ("Observation", "value-quantity", "5.4|mg", "is neither a number nor"),
        ("Observation", "value-quantity", "5.4|http://unitsofmeasure.org|mg|", "neither a number"),
        ("Observation", "value-quantity", "5.4|http://unitsofmeasure.org|", "no unit"),
        ("Observation", "value-quantity", "gt", "is not a number"),
        ("Observation", "value-quantity", "0x10", "is not a number"),
        ("Observation", "value-quantity", "9" * 400, "is not a number"),
        ("ChargeItem", "factor-override", "gt", "is not a number"),
        ("Observation", "status", "http://hl7.org/fhir/observation-status|", "no code"),
        ("DocumentReference", "contenttype", "urn:ietf:bcp:13|text/plain", "leaves open"),
        ("ValueSet", "url", "\\", "backslash"),
        # backslashes and bars that leave something open
        ("Patient", "name", "a\\,b\\", "backslash"),
        ("Patient", "identifier", "a|b|c|d", "more than one |"),
        ("Observation", "code-value-quantity", "a\\$1", "must have 2 parts"),
        # SQL is text like any other, and no date
        ("Patient", "birthdate", "2020'; drop table resource; --", "is not a date"),
        ("Patient", "_sort", "name; drop table resource", "cannot be searched by"),
        ("Patient", "name'--", "a", "is not one that Patient has"),
        # what `_filter` alone may ask
        ("Encounter", "date", "po2024", "is not a date"),
        ("Encounter", "date", "co2024", "is not a date"),
        ("Patient", "name:equals", "a", "which FHIR does not know"),
        ("Patient", "name:ends-with", "a", "which FHIR does not know"),
        # not yet
        ("Patient", "_list", "$current-problems", "not supported yet"),
        ("QuestionnaireResponse", "questionnaire.title", "a", "not supported yet"),
        ("QuestionnaireResponse", "_filter", "questionnaire.title eq a", "not supported yet"),
        ("Questionnaire", "_has:QuestionnaireResponse:questionnaire:_id", "a", "not supported yet"),
        ("Patient", "_query", "a", "not supported yet"),
        ("Patient", "_containedType", "container", "is not one that Patient has"),
        # what shapes the answer
        ("Patient", "_count", "-1", "whole number"),
        ("Patient", "_count", "many", "whole number"),
        ("Patient", "_total", "some", "none, estimate or accurate"),
        ("Patient", "_count:x", "1", "takes no modifier"),
        ("Patient", "_summary", "yes", "true, text, data, count or false"),
        ("Patient", "_elements", "name,nick", "names nick, which Patient does not have"),
        ("Patient", "_elements", "", "names nothing"),
        ("Patient", "_sort", "-nonsense", "cannot be searched by"),
        ("Patient", "_sort", "", "cannot be searched by"),
        ("Patient", "_sort", ",".join(["name"] * 6), "more than 5 keys"),
        ("Patient", "_sort:desc", "name", "takes no modifier"),
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


@pytest.mark.parametrize(
    ("type_name", "name", "value", "reason"),
    [
        # one that FHIR does not know, one of another type of parameter
        ("Patient", "name:nonsense", "a", ":nonsense, which FHIR does not know"),
        ("Patient", "name:", "a", "empty modifier"),
        ("Patient", "name:not", "a", ":not, which is not one for a string"),
        ("Patient", "name:iterate", "a", ":iterate, which is not one for a string"),
        ("Patient", "gender:exact", "male", ":exact, which is not one for a token"),
        ("Patient", "birthdate:not", "2020", ":not, which is not one for a date"),
        ("Patient", "organization:contains", "x", ":contains, which is not one for a reference"),
        ("Observation", "value-quantity:below", "1", ":below, which is not one for a quantity"),
        ("ChargeItem", "factor-override:above", "1", ":above, which is not one for a number"),
        ("ValueSet", "url:contains", "a", ":contains, which is not one for a uri"),
        ("Location", "near:exact", "1|2", ":exact, which is not one for a special"),
        ("Observation", "code-value-quantity:missing", "true", "a composite takes none"),
        # :missing
        ("Patient", "name:missing", "maybe", "neither true nor false"),
        ("Patient", "name:missing", "TRUE", "neither true nor false"),
        ("Patient", "name:missing", "", "neither true nor false"),
        # :above and :below of a hierarchy
        ("Observation", "subject:below", "1", "takes one resource such as"),
        ("Observation", "subject:above", "Patient/1", "Patient is no part of another Patient"),
        ("Encounter", "location:below", "Location/1/_history/2", "takes one resource such as"),
        # :[type]
        ("Observation", "subject:Practitioner", "1", "cannot refer to Practitioner"),
        ("Observation", "subject:Nonsense", "1", ":Nonsense, which FHIR does not know"),
        ("Observation", "subject:Patient", "Group/1", "names another type"),
        # :in, :not-in, :above, :below
        ("Observation", "code:in", "http://x.org/vs", "value set that is not loaded"),
        ("Observation", "code:not-in", "http://x.org/vs", "value set that is not loaded"),
        ("Observation", "code:above", "718-7", "needs system|code"),
        ("Observation", "code:below", "http://loinc.org|", "needs system|code"),
        ("Observation", "code:below", "http://x.org|a", "system that is not loaded"),
        ("Observation", "code:below", "http://x.org|a|b", "more than one |"),
        ("ValueSet", "url:below", "abc", "takes a whole address"),
        ("ValueSet", "url:above", "abc", "takes a whole address"),
        # :text, :of-type, :identifier
        ("Observation", "code:text", "\u0301", "nothing to search for"),
        ("Patient", "identifier:of-type", "a|b", "must be system|code|value"),
        ("Patient", "identifier:of-type", "a|b|", "must be system|code|value"),
        ("Patient", "identifier:of-type", "a|b|c|d", "must be system|code|value"),
        ("Patient", "gender:of-type", "a|b|c", "for identifiers alone"),
        ("Patient", "organization:identifier", "a|b|c", "more than one |"),
        ("Patient", "organization:identifier", "", "empty value"),
    ],
)
def test_a_modifier_that_makes_no_sense_is_refused_even_when_lenient(
    type_name: str, name: str, value: str, reason: str
) -> None:
    for rules in (RULES, LENIENT):
        with pytest.raises(Invalid) as refusal:
            read(type_name, (name, value), rules=rules)
        (issue,) = refusal.value.issues
        assert issue.code == "invalid"
        assert reason in issue.text
        assert issue.vi


@pytest.mark.parametrize(
    ("type_name", "name", "value", "reason"),
    [
        # https://hl7.org/fhir/R4/search.html#chaining
        ("Observation", "subject.nonsense", "a", "goes on to nonsense, which nothing"),
        ("Observation", "subject:Patient.value-quantity", "1", "is not one that Patient has"),
        ("Observation", "subject:Practitioner.name", "a", "to which subject cannot refer"),
        ("Observation", "code.name", "a", "from code, which is no reference"),
        ("Observation", "nonsense.name", "a", "is not one that Observation has"),
        ("Observation", "subject.name:nonsense", "a", "which FHIR does not know"),
        ("Observation", "subject.birthdate", "x", "is not a date"),
        ("Observation", "subject.", "a", "ends in a dot"),
        ("Patient", "link." * 11 + "name", "a", "more than 10 links"),
        ("Patient", "_has:Patient:link:" * 11 + "name", "a", "more than 10 links"),
        # https://hl7.org/fhir/R4/search.html#has
        ("Patient", "_has:", "a", "must be _has:Type:reference:parameter"),
        ("Patient", "_has:Observation:patient", "a", "must be _has:Type:reference:parameter"),
        ("Patient", "_has::patient:code", "a", "must be _has:Type:reference:parameter"),
        ("Patient", "_has:Nonsense:patient:code", "a", "a type that FHIR does not have"),
        ("Patient", "_has:Observation:code:code", "a", "from code, which is no reference"),
        ("Patient", "_has:Observation:nonsense:code", "a", "is not one that Observation has"),
        ("Patient", "_has:Observation:encounter:code", "a", "which cannot refer to Patient"),
        ("Patient", "_has:Observation:patient:nonsense", "a", "is not one that Observation has"),
        # https://hl7.org/fhir/R4/search.html#combining
        ("Observation", "code-value-quantity", "a", "must have 2 parts"),
        ("Observation", "code-value-quantity", "a$1$2", "must have 2 parts"),
        ("Observation", "code-value-quantity", "$1", "must have 2 parts"),
        ("Observation", "code-value-quantity", "a$", "must have 2 parts"),
        ("Observation", "component-code-value-quantity", "a$x", "is not a number"),
        ("Group", "characteristic-value", "a", "must have 2 parts"),
        ("MolecularSequence", "chromosome-window-coordinate", "1$2", "must have 3 parts"),
        # https://hl7.org/fhir/R4/location.html#positional
        ("Location", "near", "91|0", "must be latitude|longitude"),
        ("Location", "near", "0|181", "must be latitude|longitude"),
        ("Location", "near", "nan|2", "must be latitude|longitude"),
        ("Location", "near", "1", "must be latitude|longitude"),
        ("Location", "near", "1|2|3|km|5", "must be latitude|longitude"),
        ("Location", "near", "1|2|-3|km", "must be latitude|longitude"),
        ("Location", "near", "1|2|3|kg", "no length"),
        # https://hl7.org/fhir/R4/search.html#list and https://hl7.org/fhir/R4/search_filter.html
        ("Patient", "_list", "", "empty value"),
        ("Patient", "_list:not", "1", "takes no modifier"),
        ("Patient", "_filter", "name", "at character 5"),
        ("Patient", "_filter", "(name eq a", "at character 11"),
        ("Patient", "_filter", "nonsense eq a", "names nonsense"),
        ("Patient", "_filter", "birthdate eq x", "is not a date"),
        ("Patient", "_filter", "name ss a", "where it means nothing"),
        ("Patient", "_filter", "general-practitioner.birthdate eq 2020", "goes on to birthdate"),
        # https://hl7.org/fhir/R4/search.html#revinclude
        ("Patient", "_include", "organization", "must be Type:reference"),
        ("Patient", "_include", "Patient:name", "which is no reference"),
        ("Patient", "_include", "Observation:subject:Practitioner", "cannot refer"),
        ("Patient", "_include:again", "Patient:organization", "takes :iterate alone"),
    ],
)
def test_what_leads_nowhere_is_refused(type_name: str, name: str, value: str, reason: str) -> None:
    with pytest.raises(Invalid) as refusal:
        read(type_name, (name, value))
    (issue,) = refusal.value.issues
    assert issue.text.startswith(f"The search parameter {name} ")
    assert reason in issue.text
    assert issue.vi


@pytest.mark.parametrize(
    ("type_name", "code"),
    [
        # what has no order, or lies in several places
        pytest.param("Patient", "gender", marks=covers("token", "_sort")),
        pytest.param("Patient", "_id", marks=covers("token", "_sort")),
        pytest.param("Patient", "link", marks=covers("reference", "_sort")),
        pytest.param("ValueSet", "url", marks=covers("uri", "_sort")),
        pytest.param("Location", "near", marks=covers("special", "_sort")),
        pytest.param("Observation", "code-value-quantity", marks=covers("composite", "_sort")),
        ("Observation", "combo-value-quantity"),
    ],
)
def test_what_cannot_be_sorted_by_is_refused(type_name: str, code: str) -> None:
    """ "Servers declare which they support": https://hl7.org/fhir/R4/search.html#sort"""
    for value in (code, f"-{code}", f"_lastUpdated,{code}"):
        with pytest.raises(Invalid, match=f"names {code}; only dates.* can be sorted by"):
            read(type_name, ("_sort", value))


@covers("result", "_contained")
@pytest.mark.parametrize("value", ["true", "both", "nonsense"])
def test_contained_resources_are_not_found_by_themselves(value: str) -> None:
    """https://hl7.org/fhir/R4/search.html#contained"""
    with pytest.raises(Invalid, match="contained resources, which is not supported yet"):
        read("Patient", ("_contained", value))
    assert read("Patient", ("_contained", "false")) == read("Patient")
    assert read("Patient", ("_contained", value), rules=LENIENT).ignored == (("_contained", value),)


def test_every_fault_is_named() -> None:
    with pytest.raises(Invalid) as refusal:
        read("Patient", ("nmae", "a"), ("name", "b"), ("birthdate", "x"), ("_sort", "y"), ("z", ""))
    faults = [issue.text.split()[3] for issue in refusal.value.issues]
    assert faults == ["nmae", "birthdate", "_sort", "z"]


def test_a_result_parameter_comes_once() -> None:
    with pytest.raises(Invalid, match="_count comes more than once"):
        read("Patient", ("_count", "1"), ("_count", "1"))


def test_lenient_handling_leaves_out_what_is_unknown_and_nothing_else() -> None:
    pairs = (("nmae", "a"), ("name", "b"), ("_query", "x"), ("_format", "json"))
    query = read("Patient", *pairs, rules=LENIENT)
    assert [name for name, _ in query.ignored] == ["nmae", "_query"]
    assert query.asked == (("name", "b"),)
    assert query.criteria == read("Patient", ("name", "b")).criteria
    for pair in (("birthdate", "x"), ("name:exactly", "x"), ("_include", "x"), ("_count", "x")):
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
        parse_criteria("Patient", criteria, RULES)


def test_criteria_that_are_not_utf8_find_nothing_else() -> None:
    """https://hl7.org/fhir/R4/http.html#ccreate: each attempt would create one more."""
    with pytest.raises(Invalid, match="UTF-8"):
        parse_criteria("Patient", "identifier=a%FF", RULES)


def test_criteria_are_read_as_a_search_is() -> None:
    query = parse_criteria("Patient", "identifier=http%3A%2F%2Fa%7Cb", RULES)
    assert query.criteria == read("Patient", ("identifier", "http://a|b")).criteria
