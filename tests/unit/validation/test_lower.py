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
