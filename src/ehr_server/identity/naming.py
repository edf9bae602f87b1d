"""In which of its naming systems a number is written, where a site wishes for one alone.

https://hl7.org/fhir/R4/datatypes.html#Identifier.system. Three guides name one number by different
URIs. All are understood; a site that writes the URIs of one guide has readers who know one.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Literal

from ehr_server.identity.kinds import KINDS

Systems = Literal["as-sent", "hl7-vn", "moh"]

_BEGINNINGS: Mapping[Systems, str] = MappingProxyType(
    {"hl7-vn": "http://fhir.hl7.org.vn/", "moh": "http://fhir.ehealth.gov.vn/"}
)


def name_anew(resource: dict[str, Any], systems: Systems) -> None:
    """Write the resource's own identifiers, in place, in the naming systems of one guide; a kind
    that the guide has none for keeps its system."""
    anew = _ANEW.get(systems)
    if anew is None:
        return
    held = resource.get("identifier", ())
    for identifier in held if isinstance(held, list) else (held,):
        if isinstance(identifier, dict) and identifier.get("system") in anew:
            identifier["system"] = anew[identifier["system"]]


def _anew(beginning: str) -> Mapping[str, str]:
    found = {}
    for kind in KINDS:
        of_guide = [system for system in kind.systems if system.startswith(beginning)]
        found.update(dict.fromkeys(kind.systems, of_guide[0]) if of_guide else {})
    return MappingProxyType(found)


_ANEW: Mapping[Systems, Mapping[str, str]] = MappingProxyType(
    {systems: _anew(beginning) for systems, beginning in _BEGINNINGS.items()}
)
