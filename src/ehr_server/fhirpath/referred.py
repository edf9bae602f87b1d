"""The type that a Reference refers to, told by the Reference itself.

A server that indexes a resource does not fetch what it refers to, so `resolve() is Patient` is
decided by the reference string (https://hl7.org/fhir/R4/references.html#literal), else by
`Reference.type`.
"""

from __future__ import annotations

import re
from typing import Any

# What resolve() leads to: the reference stands for it, only its type can be asked for.
REFERRED = "resolve()"

_LITERAL = re.compile(r"(?:^|/)([A-Z][A-Za-z]+)/[A-Za-z0-9\-.]{1,64}(?:/_history/[^/]+)?$")


def referred_type(reference: Any, resource: Any) -> str | None:
    """The resource type a Reference or canonical refers to; None where nothing tells."""
    is_reference = isinstance(reference, dict)
    link = reference.get("reference") if is_reference else reference
    if isinstance(link, str):
        if link.startswith("#"):
            return _contained_type(link[1:], resource)
        if not link.startswith("urn:") and (match := _LITERAL.search(link)):
            return match.group(1)
    return reference.get("type") if is_reference else None


def _contained_type(id_: str, resource: Any) -> str | None:
    if not id_:
        found: str | None = resource.get("resourceType")
        return found
    return next(
        (one.get("resourceType") for one in resource.get("contained", ()) if one.get("id") == id_),
        None,
    )
