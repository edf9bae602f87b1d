"""The door for invariants: what it refuses, what it leaves to the library, how long it takes."""

import time
from typing import Any

import pytest

from ehr_server.fhirpath import FHIRPathError, compile_invariant
from ehr_server.fhirpath.errors import Unsupported
from ehr_server.fhirpath.foreign import compile_invariant as compile_foreign

PATIENT: dict[str, Any] = {"resourceType": "Patient", "id": "p", "name": [{"family": "An"}] * 2}


@pytest.mark.parametrize("pattern", ["(a+)+$", "^(a|aa)+$", "(a*)*b"])
def test_no_pattern_stops_the_server(pattern: str) -> None:
    holds = compile_invariant(f"matches('{pattern}')", "string")
    before = time.process_time()
    assert holds("a" * 100_000 + "!") is False
    assert time.process_time() - before < 0.1


def test_no_pattern_stops_the_library() -> None:
    holds = compile_invariant(
        "text.matches('^(a+)+$') or name.where($index = 5).exists()", "Patient"
    )
    before = time.process_time()
    assert holds({**PATIENT, "text": "a" * 10_000 + "!"}) in (False, None)
    assert time.process_time() - before < 1


@pytest.mark.parametrize(
    ("expression", "at"),
    [
        ("name.", 5),
        ("name.where(use = ", 17),
        ("colour.exists()", 0),
        ("name.frobnicate()", 5),
        ("id.matches('(?=a)b')", 3),
        ("id.matches('(a)\\\\1')", 3),
        ("id.matches('(')", 3),
        ("id.matches(id)", 11),
        ("id.replaceMatches('(a+)+', '')", 3),
        ("name.where($index = 0).given.all(matches('(?=a)b'))", 33),
        ("%unknown.exists()", 0),
    ],
)
def test_what_is_refused_and_where(expression: str, at: int) -> None:
    with pytest.raises(FHIRPathError) as caught:
        compile_invariant(expression, "Patient")
    assert caught.value.at == at


def test_the_library_changes_no_resource_and_prints_nothing(
    capsys: pytest.CaptureFixture[str],
) -> None:
    resource = {**PATIENT, "gender": "male"}
    holds = compile_invariant("name.where($index = 1).trace('x', family).exists()", "Patient")
    assert holds(resource) is True
    assert resource == {**PATIENT, "gender": "male"}
    assert capsys.readouterr().out == ""


def test_what_the_library_cannot_answer_is_unknown() -> None:
    holds = compile_invariant("name.aggregate($total + $this.family, 0) = 1", "Patient")
    assert holds(PATIENT) is None


@pytest.mark.parametrize(
    "expression",
    [
        "descendants().family.count() = 2",
        "children().exists()",
        "name.family.first() & 'x' = 'Anx'",
    ],
)
def test_the_library_says_the_same(expression: str) -> None:
    reason = Unsupported("", 0)
    ours = compile_invariant(expression, "Patient")
    assert ours(PATIENT) is compile_foreign(expression, "Patient", reason)(PATIENT) is True
