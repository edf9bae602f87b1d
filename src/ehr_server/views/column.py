"""A column: its name, and the type of what is in it.

https://sql-on-fhir.org/ig/StructureDefinition-ViewDefinition.html#column-types
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ehr_server.definitions import PRIMITIVES

# How a value is held: what the formats tell apart. `complex` is an element with elements.
Form = Literal["boolean", "integer", "text", "decimal", "instant", "binary", "complex"]

_FORMS: dict[str, Form] = {
    "boolean": "boolean",
    "integer": "integer",
    "positiveInt": "integer",
    "unsignedInt": "integer",
    "decimal": "decimal",
    "instant": "instant",
    "base64Binary": "binary",
}


@dataclass(frozen=True, slots=True)
class Column:
    """`type` is one of FHIR, such as `dateTime` or `HumanName`; `is_collection`: it holds a list
    of such values. `sql_type` is what the tag `ansi/type` asks for, in capitals, or None."""

    name: str
    type: str
    is_collection: bool = False
    sql_type: str | None = None

    @property
    def form(self) -> Form:
        """How its values are held."""
        return form(self.type)


def form(type_name: str) -> Form:
    """How values of a type of FHIR are held."""
    if type_name not in PRIMITIVES:
        return "complex"
    return _FORMS.get(type_name, "text")
