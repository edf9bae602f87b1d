"""Codes of required value sets: https://hl7.org/fhir/R4/terminologies.html#required.

Checked are the closed sets that the definitions hold. Open ones, such as MIME types and units,
are a matter of their grammar, and any other binding is advice.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ehr_server.definitions import definitions
from ehr_server.validation import messages

if TYPE_CHECKING:
    from ehr_server.issue import Issue


def findings(value: Any, value_set: str, type_name: str, place: str) -> list[Issue]:
    """What is wrong with a code, a Coding or a CodeableConcept bound to the value set."""
    codes = definitions().codes.get(value_set)
    if codes is None:
        return []
    if type_name == "code":
        is_in = value in codes
        return [] if is_in else [messages.unknown_code(place, value, value_set, codes)]
    system = definitions().systems[value_set]
    codings = [value] if type_name == "Coding" else value.get("coding", ())
    if any(one.get("system") == system and one.get("code") in codes for one in codings):
        return []
    return [messages.no_code_of(place, value_set, system, codes)]
