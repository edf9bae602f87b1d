"""Whether a resource keeps to FHIR R4, and if not, why: the one door to validation.

https://hl7.org/fhir/R4/validation.html. Two forms of one truth: the gate says yes in microseconds,
and only where it does not the explanation walks the same definitions and names each place. Profiles
will be a further gate and explanation, chosen here by what the resource claims in meta.profile.
"""

from __future__ import annotations

from typing import Any

from ehr_server.definitions import definitions
from ehr_server.issue import Issue
from ehr_server.validation import messages
from ehr_server.validation.explain import explain
from ehr_server.validation.gate import is_valid

__all__ = ["check"]


def check(resource: Any, expected_type: str | None = None) -> list[Issue]:
    """The findings about a resource as `fhir.json.read` makes it; [] if it is valid.

    Structure, cardinality, formats, required codes, the shape of references and the invariants of
    severity error, of all resources in it too: `Bundle.entry[3].resource.name[0].family`. With
    `expected_type` it must be of that type. Whether references lead to anything is not asked.
    """
    name = resource.get("resourceType") if isinstance(resource, dict) else None
    is_known = isinstance(name, str) and name in definitions().type_number
    if expected_type is not None and is_known and name != expected_type:
        return [messages.other_resource_type(f"{name}.resourceType", str(name), expected_type)]
    return [] if is_valid(resource) else explain(resource)
