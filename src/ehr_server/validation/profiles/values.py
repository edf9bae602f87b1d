"""What a profile asks of a value alone: fixed, pattern, bounds.

https://hl7.org/fhir/R4/elementdefinition-definitions.html#ElementDefinition.pattern_x_ and its
neighbours.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from ehr_server.validation.rules.closures import is_ordered

_DATES = ("date", "dateTime", "instant")


def equals(value: Any, fixed: Any) -> bool:
    """Whether the value is exactly the fixed one: as many elements, in the same order."""
    if isinstance(value, bool) or isinstance(fixed, bool):
        return value is fixed
    if isinstance(fixed, dict) and isinstance(value, dict):
        return value.keys() == fixed.keys() and all(equals(value[k], fixed[k]) for k in fixed)
    if isinstance(fixed, list) and isinstance(value, list):
        return len(value) == len(fixed) and all(map(equals, value, fixed))
    return bool(value == fixed)


def fits(value: Any, pattern: Any) -> bool:
    """Whether the value has all that the pattern has, and perhaps more.

    Of a list each item of the pattern fits one of the value's.
    """
    if isinstance(pattern, dict):
        return isinstance(value, dict) and all(
            name in value and fits(value[name], wanted) for name, wanted in pattern.items()
        )
    if isinstance(pattern, list):
        return isinstance(value, list) and all(
            any(fits(item, wanted) for item in value) for wanted in pattern
        )
    return equals(value, pattern)


def is_within(value: Any, least: Any, most: Any, type_name: str) -> bool:
    """Whether the value may lie between the bounds; one that cannot be compared does."""
    return (least is None or _is_ordered(least, value, type_name)) and (
        most is None or _is_ordered(value, most, type_name)
    )


def _is_ordered(first: Any, second: Any, type_name: str) -> bool:
    if isinstance(first, dict) and isinstance(second, dict):  # quantities
        if any(first.get(name) != second.get(name) for name in ("system", "code")):
            return True
        first, second = first.get("value"), second.get("value")
    if isinstance(first, str) and isinstance(second, str):
        return is_ordered(first, second) if type_name in _DATES else first <= second
    numbers = (int, float, Decimal)
    if isinstance(first, numbers) and isinstance(second, numbers):
        return first <= second
    return True
