"""The kinds of values that operators tell apart, FHIRPath's own types.

http://hl7.org/fhirpath/N1/#literals, and how FHIR's types become them:
https://hl7.org/fhir/R4/fhirpath.html#types.
"""

from __future__ import annotations

from decimal import Decimal
from functools import cache
from typing import Any

from ehr_server.definitions import PRIMITIVES, definitions

_KINDS = {
    **dict.fromkeys(("integer", "positiveInt", "unsignedInt", "decimal"), "number"),
    **dict.fromkeys(("date", "dateTime", "instant"), "moment"),
    "boolean": "boolean",
    "time": "time",
}


@cache
def kind(type_name: str) -> str:
    """number, text, boolean, moment, time, quantity, or else "" of a FHIR type."""
    if type_name in PRIMITIVES:
        return _KINDS.get(type_name, "text")
    name: str | None = type_name
    while name is not None and name != "Quantity":
        definition = definitions().types.get(name)
        name = definition.parent if definition else None
    return "" if name is None else "quantity"


def is_number(value: Any) -> bool:
    """Whether it is a number; a boolean is none."""
    return isinstance(value, int | Decimal) and not isinstance(value, bool)
