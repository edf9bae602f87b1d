"""lowBoundary() and highBoundary(): the least and the most that a value may stand for.

http://hl7.org/fhirpath/#lowboundaryprecision-integer-decimal--date--datetime--time
"""

from typing import Any

import pytest

from ehr_server.fhirpath import compile_path


def _found(path: str, resource: dict[str, Any] | None = None) -> list[str]:
    resource = resource or {"resourceType": "Basic"}
    return [str(value) for _, value in compile_path(path, resource["resourceType"])(resource)]


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("1.0.lowBoundary(2)", "0.95"),
        ("1.0.highBoundary(2)", "1.05"),
        ("1.587.lowBoundary()", "1.58650000"),
        ("1.587.highBoundary(2)", "1.59"),
        ("(-1.587).lowBoundary(3)", "-1.588"),
        ("1.lowBoundary(1)", "0.5"),
        ("1.0.lowBoundary(40)", None),
        ("1.0.lowBoundary('x')", None),
        ("@2014.lowBoundary()", "2014-01-01"),
        ("@2014.highBoundary(6)", "2014-12"),
        ("@2012-02.highBoundary()", "2012-02-29"),
        ("@2014-01-01T08.lowBoundary()", "2014-01-01T08:00:00.000+14:00"),
        ("@2014-01-01T08:05+07:00.highBoundary()", "2014-01-01T08:05:59.999+07:00"),
        ("@2014-01-01T08:05:30.5Z.highBoundary()", "2014-01-01T08:05:30.599Z"),
        ("@2014-01-01T08:05Z.lowBoundary(8)", "2014-01-01"),
        ("@T10:30.lowBoundary()", "10:30:00.000"),
        ("@T10:30.highBoundary(9)", "10:30:59.999"),
        ("@T10:30.highBoundary(5)", None),
        ("'x'.lowBoundary()", None),
        ("(1.0 | 2.0).lowBoundary()", None),
    ],
)
def test_of_what_a_value_may_stand_for(path: str, value: str | None) -> None:
    assert _found(path) == ([] if value is None else [value])


def test_of_a_value_whose_type_is_told_only_when_it_runs() -> None:
    """What `children()` leads to tells its type itself."""
    patient = {"resourceType": "Patient", "birthDate": "1974"}
    assert _found("children().where($this is date).highBoundary()", patient) == ["1974-12-31"]


def test_of_a_period_its_ends() -> None:
    """SQL on FHIR asks for it: the shareable profile."""
    period = {"start": "2026-05", "end": "2026-05-31T08:00:00Z"}
    encounter = {"resourceType": "Encounter", "period": period}
    assert _found("period.lowBoundary()", encounter) == ["2026-05-01T00:00:00.000+14:00"]
    assert _found("period.highBoundary()", encounter) == ["2026-05-31T08:00:00.999Z"]
    assert _found("period.highBoundary()", {"resourceType": "Encounter"}) == []
