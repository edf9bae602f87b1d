"""A finding about a resource or a request, as a value.

https://hl7.org/fhir/R4/operationoutcome.html: `fhir.outcome` makes an OperationOutcome of several.
"""

from dataclasses import dataclass, replace
from typing import Literal

Severity = Literal["fatal", "error", "warning", "information"]


@dataclass(frozen=True, slots=True)
class Issue:
    """One finding: `code` of IssueType, `text` in English, `vi` in Vietnamese where there is one.

    `expression` holds FHIRPath locations, such as `Patient.name[0].family`. `rule` names what is
    broken, for counting: the key of an invariant, or a word such as `min` or `binding`; `profile`
    is the url of the profile that asks for it, "" for the standard itself. `diagnostics`: what is
    told to those who look closer, "" for the text again.
    """

    severity: Severity
    code: str
    text: str
    expression: tuple[str, ...] = ()
    vi: str | None = None
    rule: str = ""
    profile: str = ""
    diagnostics: str = ""

    def under(self, prefix: str) -> "Issue":
        """The same finding about a resource that stands at `prefix`, as in `Bundle.entry[3]`."""
        places = tuple(prefix + _below(place) for place in self.expression) or (prefix,)
        return replace(self, expression=places)


def _below(place: str) -> str:
    """`Patient.name[0]` seen from an entry: `.resource.name[0]`."""
    _, dot, rest = place.partition(".")
    return f".resource{dot}{rest}"
