"""What a Reference refers to, or its type, told by the Reference itself.

A server that indexes a resource does not fetch what it refers to, so `resolve() is Patient` is
decided by the reference string (https://hl7.org/fhir/R4/references.html#literal), else by
`Reference.type`.
"""

from __future__ import annotations

import re
from typing import Any

from ehr_server.fhirpath.flow import Typed, type_of
from ehr_server.fhirpath.scope import Scope, reach_of, resource_of

# What resolve() leads to: the reference stands for it, only its type can be asked for.
REFERRED = "resolve()"

_LITERAL = re.compile(r"(?:^|/)([A-Z][A-Za-z]+)/[A-Za-z0-9\-.]{1,64}(?:/_history/[^/]+)?$")


def referred_type(reference: Any, resource: Any) -> str | None:
    """The resource type a Reference or canonical refers to; None where nothing tells."""
    is_reference = isinstance(reference, dict)
    link = reference.get("reference") if is_reference else reference
    if isinstance(link, str):
        if link.startswith("#"):
            return _contained_type(link[1:], resource_of(resource))
        if not link.startswith("urn:") and (match := _LITERAL.search(link)):
            return match.group(1)
    return reference.get("type") if is_reference else None


def followed(reference: Any, scope: Any) -> Typed | None:
    """What a Reference or canonical leads to: what is contained, or what the caller can reach.

    Of what lies elsewhere no more than its type is known; None where not even that is.
    """
    resource = resource_of(scope)
    link = reference.get("reference") if isinstance(reference, dict) else reference
    if isinstance(link, str) and link.startswith("#"):
        root = scope.root if type(scope) is Scope else resource
        target = _contained(link[1:], root) or _contained(link[1:], resource)
        return target and Typed(type_of("Resource", target), target)
    resolve = reach_of(scope).resolve
    target = resolve(reference) if resolve is not None else None
    if target is not None:
        return Typed(type_of("Resource", target), target)
    name = referred_type(reference, resource)
    return Typed(name, {"resourceType": name}) if name else None


def _contained(id_: str, resource: Any) -> Any:
    if not id_:
        return resource
    return next((one for one in resource.get("contained", ()) if one.get("id") == id_), None)


def _contained_type(id_: str, resource: Any) -> str | None:
    found = _contained(id_, resource)
    return None if found is None else found.get("resourceType")
