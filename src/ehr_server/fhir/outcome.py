"""The OperationOutcome that carries findings to the sender.

https://hl7.org/fhir/R4/operationoutcome.html
"""

from collections.abc import Iterable
from typing import Any, Literal

from ehr_server.errors import Refusal
from ehr_server.issue import Issue

Language = Literal["vi", "en"]

ISSUES_MAX = 100
_TEXT_MAX = 4_000  # characters: a text repeats some of what was sent, which may be of any length
RULES = "http://ehr-server.org/fhir/CodeSystem/rule"  # of what can be broken, for counting
_ORDER: dict[str, int] = {"fatal": 0, "error": 1, "warning": 2, "information": 3}


def operation_outcome(
    issues: Iterable[Issue], language: Language = "en", most: int = ISSUES_MAX
) -> dict[str, Any]:
    """An OperationOutcome of at most `most` issues, the worst first."""
    worst_first = sorted(issues, key=lambda issue: _ORDER[issue.severity])[:most]
    return {
        "resourceType": "OperationOutcome",
        "issue": [_issue(issue, language) for issue in worst_first],
    }


def issues_of(refusal: Refusal) -> tuple[Issue, ...]:
    """What a refusal tells the sender: its issues, or one made of its text."""
    if refusal.issues:
        return refusal.issues
    text = refusal.text or type(refusal).__name__
    return (Issue("error", refusal.code, text, refusal.expression, refusal.vi),)


def _issue(issue: Issue, language: Language) -> dict[str, Any]:
    text = issue.vi if language == "vi" and issue.vi else issue.text
    found: dict[str, Any] = {
        "severity": issue.severity,
        "code": issue.code,
        "details": {"text": _short(text)},
        "diagnostics": issue.diagnostics or _short(issue.text),
    }
    if issue.rule:
        found["details"]["coding"] = [{"system": RULES, "code": issue.rule}]
    if issue.expression:
        found["expression"] = list(issue.expression)
    return found


def _short(text: str) -> str:
    return text if len(text) <= _TEXT_MAX else f"{text[:_TEXT_MAX]}…"
