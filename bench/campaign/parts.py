"""The small parts of FHIR resources: codings, quantities, references, instants."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from campaign import systems

if TYPE_CHECKING:
    from datetime import datetime

Resource = dict[str, Any]


def coding(system: str, code: str, display: str | None = None) -> Resource:
    found: Resource = {"system": system, "code": code}
    if display is not None:
        found["display"] = display
    return found


def concept(
    system: str, code: str, display: str | None = None, text: str | None = None
) -> Resource:
    """A CodeableConcept of one coding."""
    found: Resource = {"coding": [coding(system, code, display)]}
    if text is not None:
        found["text"] = text
    return found


def quantity(value: Decimal | int, unit: str) -> Resource:
    """A Quantity in a UCUM unit; a Decimal keeps its precision."""
    return {"value": value, "unit": unit, "system": systems.UCUM, "code": unit}


def decimal(value: float, places: int) -> Decimal | int:
    """`value` with so many decimal places; a whole number when there are none."""
    return round(value) if places == 0 else Decimal(f"{value:.{places}f}")


def reference(to: str, display: str | None = None) -> Resource:
    return {"reference": to} if display is None else {"reference": to, "display": display}


def identifier(system: str, value: str) -> Resource:
    return {"system": system, "value": value}


def conditional(type_name: str, system: str, value: str) -> str:
    """A conditional reference: the one resource of that type that bears an identifier."""
    return f"{type_name}?identifier={system}|{value}"


def instant(moment: datetime) -> str:
    """A date and time to the second with its offset, such as `2026-08-12T08:15:00+07:00`."""
    return moment.isoformat(timespec="seconds")


def narrative(text: str) -> Resource:
    escaped = text.replace("&", "&amp;").replace("<", "&lt;")
    return {
        "status": "generated",
        "div": f'<div xmlns="http://www.w3.org/1999/xhtml"><p>{escaped}</p></div>',
    }
