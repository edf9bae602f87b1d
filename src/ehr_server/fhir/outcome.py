"""Findings as values, and the OperationOutcome that carries them to the sender.

https://hl7.org/fhir/R4/operationoutcome.html
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from ehr_server.errors import Refusal

Severity = Literal["fatal", "error", "warning", "information"]
Language = Literal["vi", "en"]

ISSUES_MAX = 100
_ORDER: dict[str, int] = {"fatal": 0, "error": 1, "warning": 2, "information": 3}


@dataclass(frozen=True, slots=True)
class Issue:
    """One finding: `code` of IssueType, `text` in English, `vi` in Vietnamese where there is one.

    `expression` holds FHIRPath locations, such as `Patient.name[0].family`.
    """

    severity: Severity
    code: str
    text: str
    expression: tuple[str, ...] = ()
    vi: str | None = None

    def under(self, prefix: str) -> "Issue":
        """The same finding about a resource that stands at `prefix`, as in `Bundle.entry[3]`."""
        places = tuple(prefix + _below(place) for place in self.expression) or (prefix,)
        return Issue(self.severity, self.code, self.text, places, self.vi)


def operation_outcome(issues: Iterable[Issue], language: Language = "en") -> dict[str, Any]:
    """An OperationOutcome of at most 100 issues, the worst first."""
    worst_first = sorted(issues, key=lambda issue: _ORDER[issue.severity])[:ISSUES_MAX]
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
        "details": {"text": text},
        "diagnostics": issue.text,
    }
    if issue.expression:
        found["expression"] = list(issue.expression)
    return found


def _below(place: str) -> str:
    """`Patient.name[0]` seen from an entry: `.resource.name[0]`."""
    _, dot, rest = place.partition(".")
    return f".resource{dot}{rest}"
