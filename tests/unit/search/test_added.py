"""SearchParameters of one's own. https://hl7.org/fhir/R4/searchparameter.html"""

from dataclasses import replace
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from ehr_server.definitions import definitions
from ehr_server.search.added import Row, about, faults, needs_index, parameters, wanted
from ehr_server.search.index import index
from ehr_server.search.parameters import STANDARD, Parameters
from ehr_server.search.parse import parse
from ehr_server.search.rules import Rules
from ehr_server.search.unready import Unready

ZONE = ZoneInfo("Asia/Ho_Chi_Minh")


def definition(**changed: Any) -> dict[str, Any]:
    return {
        "resourceType": "SearchParameter",
        "url": "http://example.org/fhir/SearchParameter/x",
        "status": "active",
        "code": "x",
        "base": ["Patient"],
        "type": "token",
        "expression": "Patient.language",
    } | changed


def with_added(*several: dict[str, Any], building: bool = False) -> Parameters:
    found = [one for resource in several for one in wanted(resource)]
    rows = [Row(replace(one, number=10_000 + at), building) for at, one in enumerate(found)]
    return parameters(1, rows)


@pytest.mark.parametrize(
    ("expression", "base", "part"),
    [
        ("Patient.name | Person.name", "Person", "Person.name"),
        ("Resource.id", "Patient", "Patient.id"),
        ("DomainResource.text.status", "Patient", "Patient.text.status"),
        ("name.family", "Patient", "Patient.name.family"),
        ("(name | contact.name).family", "Patient", "(name | contact.name).family"),
        ("Patient.extension.where(url = 'a|b').value", "Patient", None),
        ("(Patient.deceased as dateTime)", "Patient", "Patient.deceased as dateTime"),
        ("%resource.language", "Patient", "%resource.language"),
        ("Observation.code", "Patient", ""),
    ],
)
def test_what_is_about_a_type(expression: str, base: str, part: str | None) -> None:
    assert about(expression, base) == (expression if part is None else part)


@pytest.mark.parametrize(
    ("base", "count"),
    [(["Patient", "Person"], 2), (["DomainResource"], 143), (["Resource"], 146)],
)
def test_each_type_gets_its_own(base: list[str], count: int) -> None:
    start = base[0] if len(base) == 1 else "Patient.language | Person.language"
    expression = start if "|" in start else f"{start}.language"
    found = wanted(definition(base=base, expression=expression))
    assert len({one.base for one in found}) == len(found) == count
    assert faults(definition(base=base, expression=expression)) == []


@pytest.mark.parametrize("status", ["draft", "retired", "unknown"])
def test_only_what_is_active_is_used(status: str) -> None:
    assert wanted(definition(status=status)) == ()
    assert faults(definition(status=status, expression="nonsense(")) == []
    assert len(wanted(definition(experimental=True))) == 1


def test_every_parameter_of_the_standard_may_be_sent_and_adds_nothing() -> None:
    for of_type in definitions().search_parameters.values():
        for one in of_type.values():
            sent = definition(
                code=one.code,
                base=[one.base],
                type=one.type,
                expression=one.expression or "",
                url=one.url,
            )
            assert wanted(sent) == ()
            assert faults(sent) == []


def test_the_standards_own_are_what_they_were() -> None:
    """Neither where they lie, nor their bits, nor what they share."""
    added = [
        definition(code="aaa", base=["Observation"], expression="Observation.code"),
        definition(code="date2", base=["Observation"], type="date", expression="effective"),
        definition(
            code="aab",
            base=["Observation"],
            type="reference",
            expression="Observation.subject.where(resolve() is Patient)",
        ),
        definition(
            code="aac",
            base=["Observation"],
            type="quantity",
            expression="(Observation.value as Quantity)",
        ),
        definition(
            code="aad",
            base=["Observation"],
            type="composite",
            expression="Observation.component",
            component=[
                {"definition": f"{_STANDARD}Observation-component-code", "expression": "code"},
                {
                    "definition": f"{_STANDARD}Observation-component-value-concept",
                    "expression": "value.as(CodeableConcept)",
                },
            ],
        ),
    ]
    assert [fault for one in added for fault in faults(one)] == []
    here, before = with_added(*added).of("Observation"), STANDARD.of("Observation")
    assert {code: here.by_code[code] for code in before.by_code} == before.by_code
    assert {code: here.composites[code] for code in before.composites} == before.composites
    assert here.indexed[: len(before.indexed)] == before.indexed
    assert len(here.indexed) == len(before.indexed) + len(added)
    assert (here.main_date, here.main_code) == (before.main_date, before.main_code)
    new = [one for one in here.indexed if one.number >= 10_000]
    assert {(one.place, one.bit, one.is_home) for one in new} == {("side", None, False)}


_STANDARD = "http://hl7.org/fhir/SearchParameter/"


def test_a_composite_of_what_stands_once_needs_no_index() -> None:
    once = definition(
        base=["Observation"],
        type="composite",
        expression="Observation",
        component=[
            {"definition": f"{_STANDARD}clinical-code", "expression": "code"},
            {"definition": f"{_STANDARD}clinical-date", "expression": "effective"},
        ],
    )
    assert faults(once) == []
    assert [needs_index(one) for one in wanted(once)] == [False]
    assert [needs_index(one) for one in wanted(definition())] == [True]


def test_values_of_another_number_are_others() -> None:
    """Rows that still hold values of a parameter that was replaced are not found by the new."""
    (one,) = wanted(definition())
    patient = {"resourceType": "Patient", "language": "vi"}
    found = [
        set(index(patient, Rules(ZONE, parameters=parameters(1, [row]))).toks)
        for row in (Row(replace(one, number=n), False) for n in (10_000, 10_001))
    ]
    standard = set(index(patient, Rules(ZONE)).toks)
    assert found[0] & found[1] == standard
    assert len(found[0] - standard) > 0


def test_what_is_being_built_is_indexed_and_not_searched_by() -> None:
    rules = Rules(ZONE, parameters=with_added(definition(), building=True))
    patient = {"resourceType": "Patient", "language": "vi"}
    assert len(index(patient, rules).toks) > len(index(patient, Rules(ZONE)).toks)
    for name, value in (("x", "vi"), ("x:missing", "true"), ("_sort", "x"), ("_filter", "x eq vi")):
        with pytest.raises(Unready) as refused:
            parse("Patient", [(name, value)], rules)
        assert "still being built" in refused.value.text
        assert "40 percent" in refused.value.told(40).text


def test_an_expression_that_fails_does_not_keep_a_resource_from_being_indexed(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """What the types let through may still fail on a value; the log names no value."""
    number = definition(type="number", expression="Patient.extension.value as decimal")
    rules = Rules(ZONE, parameters=with_added(number))
    patient = {"resourceType": "Patient", "extension": [{"url": "u", "valueDecimal": "secret"}]}
    assert index(patient, rules).quantities == []
    assert "Patient.x#10000" in caplog.text
    assert "secret" not in caplog.text


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"expression": "Patient.identifier", "type": "string"}, "Identifier"),
        ({"expression": "Patient.birthDate", "type": "string"}, "date"),
        ({"expression": "Patient.birthDate", "type": "token"}, "date"),
        ({"expression": "Patient.name.count()", "type": "token"}, "integer"),
        ({"expression": "Patient.link.other.resolve()", "type": "reference"}, "resolve"),
        ({"expression": "Patient.gender", "type": "quantity"}, "code"),
        ({"expression": "Patient.gender", "type": "reference"}, "code"),
        ({"expression": "Patient.name | Patient.nam", "type": "string"}, "'nam'"),
        ({"expression": "a" * 5_000}, "4000 characters"),
    ],
)
def test_what_leads_to_nothing_of_the_type_is_a_fault(changed: dict[str, Any], says: str) -> None:
    found = faults(definition(**changed))
    assert found
    assert says in found[0].text
    assert found[0].vi
