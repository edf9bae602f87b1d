"""What is told of an import: findings by file, line and FHIRPath location."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from ehr_server.fhir.outcome import operation_outcome
from ehr_server.issue import Issue

# Where a finding about a line of a file has them: the extensions of the standard for the place of
# an issue in what was sent. https://hl7.org/fhir/R4/extension-operationoutcome-issue-source.html
_SOURCE = "http://hl7.org/fhir/StructureDefinition/operationoutcome-issue-source"
_LINE = "http://hl7.org/fhir/StructureDefinition/operationoutcome-issue-line"


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding: the file (its place in the list), the line, the location, what is wrong."""

    file: int
    line: int
    place: str
    severity: str
    code: str
    text: str
    vi: str | None = None
    rule: str = ""

    def as_json(self) -> dict[str, Any]:
        """As it passes between processes; `finding_of` reads it."""
        return asdict(self)

    def told(self, name: str) -> str:
        """As a line of text: `people.ndjson:5: Patient.gender: ...`."""
        place = f"{self.place}: " if self.place else ""
        kind = "" if self.severity in ("error", "fatal") else f"{self.severity}: "
        return f"{name}:{self.line}: {kind}{place}{self.text}"

    def outcome(self, name: str) -> dict[str, Any]:
        """As an OperationOutcome."""
        where = (self.place,) if self.place else ()
        issue = Issue(self.severity, self.code, self.text, where, self.vi, self.rule)  # type: ignore[arg-type]
        found = operation_outcome((issue,))
        found["issue"][0]["extension"] = [
            {"url": _SOURCE, "valueString": name},
            {"url": _LINE, "valueInteger": self.line},
        ]
        return found


def finding_of(value: dict[str, Any]) -> Finding:
    """The finding that `as_json` wrote."""
    return Finding(**value)


def finding(place: tuple[int, int], issue: Issue) -> Finding:
    """The finding that an issue about a line is."""
    where = issue.expression[0] if issue.expression else ""
    return Finding(*place, where, issue.severity, issue.code, issue.text, issue.vi, issue.rule)
