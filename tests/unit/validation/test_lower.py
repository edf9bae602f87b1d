"""Expressions as schemas: each says of a value what the compiled expression says."""

from typing import Any

import pytest
from jsonschema_rs import Draft4Validator

from ehr_server.fhirpath import compile_path
from ehr_server.validation.lower import lowered

_ITEMS: list[dict[str, Any]] = [
    {},
    {"a": 1},
    {"status": "final"},
    {"status": "draft"},
    {"_status": {"extension": []}},
    {"valueString": "x"},
    {"_valueString": {"extension": []}, "dataAbsentReason": {"text": "x"}},
    {"dataAbsentReason": {"text": "x"}},
    {"status": "final", "valueString": "x", "dataAbsentReason": {"text": "x"}},
    {"code": {"coding": [{"code": "a"}, {"code": "b", "system": "s"}]}},
    {"code": {"coding": [{"code": "a", "system": "s"}]}},
    {"code": {"text": "x"}},
]


@pytest.mark.parametrize(
    "expression",
    [
        "status.exists()",
        "status.empty()",
        "status.exists().not()",
        "value.empty() or dataAbsentReason.empty()",
        "status = 'final'",
        "status != 'final'",
        "status in ('final' | 'amended')",
        "status.startsWith('fin')",
        "status.contains('in').not()",
        "Observation.status = 'final' implies value.exists()",
        "value.exists() xor dataAbsentReason.exists()",
        "value.exists() = dataAbsentReason.exists()",
        "code.coding.exists()",
        "code.coding.where(system = 's' and code = 'a').exists()",
        "code.coding.where(system = 's' and code = 'a').empty() or value.exists()",
    ],
)
def test_schema_and_closure_agree(expression: str) -> None:
    schema = lowered(expression, "Observation")
    assert schema is not None
    validator = Draft4Validator(schema)
    evaluate = compile_path(expression, "Observation")
    for item in _ITEMS:
        resource = {"resourceType": "Observation", **item}
        assert validator.is_valid(resource) == (evaluate(resource) != [("boolean", False)]), item


@pytest.mark.parametrize(
    "expression", ["component.code = code", "value = 1 'mg'", "component.select(code).isDistinct()"]
)
def test_what_a_schema_cannot_say(expression: str) -> None:
    assert lowered(expression, "Observation") is None


@pytest.mark.parametrize(
    ("pattern", "passing", "failing"),
    [
        (r"^a.c$", "a\nc", "ac"),  # N1 section 6.6.5: in single line mode, a dot is any character
        (r"^[A-Z](\[x])?$", "A[x]", "A[x"),  # a bracket that closes none
    ],
)
def test_a_pattern_is_the_same_in_both(pattern: str, passing: str, failing: str) -> None:
    expression = f"language.matches('{pattern.replace(chr(92), chr(92) * 2)}')"
    schema = lowered(expression, "Observation")
    assert schema is not None
    evaluate = compile_path(expression, "Observation")
    for text, is_kept in ((passing, True), (failing, False)):
        resource = {"resourceType": "Observation", "language": text}
        assert evaluate(resource) == [("boolean", is_kept)]
        assert Draft4Validator(schema).is_valid(resource) is is_kept


@pytest.mark.parametrize("pattern", ["(?i)a", "a(?=b)", "^a{,3}$", "("])
def test_a_pattern_that_the_engine_does_not_hold_is_no_schema(pattern: str) -> None:
    assert lowered(f"language.matches('{pattern}')", "Observation") is None
