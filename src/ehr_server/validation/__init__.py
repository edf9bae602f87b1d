"""Whether a resource keeps to FHIR R4, and if not, why.

https://hl7.org/fhir/R4/validation.html. Two forms of one truth: the gate says yes in microseconds,
and only where it does not the explanation walks the same definitions and names each place. That is
the standard alone; what a resource is held to here beyond it, the `rulebook` knows.
"""

from __future__ import annotations

from typing import Any

from ehr_server.issue import Issue
from ehr_server.validation import messages
from ehr_server.validation.explain import explain
from ehr_server.validation.gate import is_valid

__all__ = ["check"]


def check(resource: Any, expected_type: str | None = None) -> list[Issue]:
    """The findings of the standard alone about a resource as `fhir.json.read` makes it.

    Structure, cardinality, formats, required codes, the shape of references and the invariants of
    severity error, of all resources in it too: `Bundle.entry[3].resource.name[0].family`. With
    `expected_type` it must be of that type. Whether references lead to anything is not asked.
    """
    refusal = messages.of_other_type(resource, expected_type)
    if refusal is not None:
        return [refusal]
    return [] if is_valid(resource) else explain(resource)
