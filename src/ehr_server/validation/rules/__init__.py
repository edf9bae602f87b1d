"""The invariants of the standard that are enforced, of types and of elements.

https://hl7.org/fhir/R4/conformance-rules.html#constraints. A rule is a constraint of the
definitions with severity error whose expression our FHIRPath holds, or which `closures` holds by
hand. The gate and the explanation take their rules from here and from nowhere else.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from ehr_server.definitions import definitions
from ehr_server.fhirpath import FHIRPathError, compile_path
from ehr_server.validation.lower import lowered
from ehr_server.validation.rules.closures import CLOSURES

if TYPE_CHECKING:
    from collections.abc import Callable

    from ehr_server.definitions import Constraint, Element

# Enforced elsewhere: by the walk itself, by `narrative`, by `links`.
_ELSEWHERE = frozenset(("ele-1", "ext-1", "txt-1", "txt-2", "dom-3", "ref-1"))
_FALSE = [("boolean", False)]  # what comes out empty, for want of a value, breaks no rule
_UCUM = "'http://unitsofmeasure.org'"


@dataclass(frozen=True, slots=True)
class Rule:
    """`holds` takes a value of the type that is sound so far. `schema` says the same, if it can.

    `needs`: elements without any one of which the rule holds anyway.
    """

    key: str
    expression: str
    holds: Callable[[Any], bool]
    schema: dict[str, Any] | None = None
    needs: tuple[str, ...] = ()

    def applies(self, value: Any) -> bool:
        return not self.needs or all(name in value for name in self.needs)


@cache
def rules(type_name: str) -> tuple[Rule, ...]:
    """The rules of all values of a type: a resource type, a complex type, a backbone."""
    return _compiled(definitions().types[type_name].constraints, type_name)


@cache
def element_rules(element: Element, type_name: str) -> tuple[Rule, ...]:
    """The rules that hold for the values of the type in this element alone."""
    return _compiled(element.constraints, type_name)


def _compiled(constraints: tuple[Constraint, ...], type_name: str) -> tuple[Rule, ...]:
    found = (
        _rule(constraint.key, constraint.expression.replace("%ucum", _UCUM), type_name)
        for constraint in constraints
        if constraint.severity == "error" and constraint.key not in _ELSEWHERE
    )
    return tuple(rule for rule in found if rule is not None)


def _rule(key: str, expression: str, type_name: str) -> Rule | None:
    closure = CLOSURES.get((type_name, key))
    if closure is not None:
        return Rule(key, expression, closure.holds, needs=closure.needs)
    if "resolve()" in expression or ("%resource" in expression and "." in type_name):
        return None  # asks for what stands around the value
    try:
        evaluate = compile_path(expression, type_name)
    except FHIRPathError:
        return None

    def holds(value: Any) -> bool:
        return evaluate(value) != _FALSE

    return Rule(key, expression, holds, lowered(expression, type_name))
