"""The invariants of the standard that are enforced, of types and of elements.

https://hl7.org/fhir/R4/conformance-rules.html#constraints. A rule is a constraint of the
definitions, as published or, where the expression is faulty, as `corrected`; some are held by
hand, in `closures`. The gate and the explanation take their rules from here and from nowhere else.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from ehr_server.definitions import definitions
from ehr_server.fhirpath import FHIRPathError, compile_invariant
from ehr_server.validation.lower import lowered
from ehr_server.validation.rules.closures import CLOSURES
from ehr_server.validation.rules.corrected import CORRECTED

if TYPE_CHECKING:
    from collections.abc import Callable

    from ehr_server.definitions import Constraint, Element

# Enforced elsewhere: by the walk itself, by `narrative`, by `links`.
_ELSEWHERE = frozenset(("ele-1", "ext-1", "txt-1", "txt-2", "dom-3", "ref-1"))

Severity: TypeAlias = Literal["error", "warning"]


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
def rules(type_name: str, severity: Severity = "error") -> tuple[Rule, ...]:
    """The rules of all values of a type: a resource type, a complex type, a backbone.

    Those of its backbones that ask for the resource are rules of the resource here.
    """
    own = _compiled(definitions().types[type_name].constraints, type_name, severity)
    inner = (
        rule
        for name, definition in definitions().types.items()
        if name.startswith(f"{type_name}.")
        for constraint in definition.constraints
        if constraint.severity == severity and (rule := _hoisted(constraint, name)) is not None
    )
    return (*own, *inner)


@cache
def element_rules(
    element: Element, type_name: str, severity: Severity = "error"
) -> tuple[Rule, ...]:
    """The rules that hold for the values of the type in this element alone."""
    return _compiled(element.constraints, type_name, severity)


def _compiled(
    constraints: tuple[Constraint, ...], type_name: str, severity: Severity
) -> tuple[Rule, ...]:
    found = (
        _rule(constraint.key, _expression(constraint, type_name), type_name)
        for constraint in constraints
        if constraint.severity == severity and constraint.key not in _ELSEWHERE
    )
    return tuple(rule for rule in found if rule is not None)


def _rule(key: str, expression: str, type_name: str) -> Rule | None:
    closure = CLOSURES.get((type_name, key))
    if closure is not None:
        return Rule(key, expression, closure.holds, needs=closure.needs)
    if "%resource" in expression and "." in type_name:
        return None  # see `_hoisted`
    try:
        holds = compile_invariant(expression, type_name)
    except FHIRPathError:
        return None  # of an element with a choice: about another of its types
    return Rule(
        key, expression, lambda value: holds(value) is not False, lowered(expression, type_name)
    )


def _hoisted(constraint: Constraint, backbone: str) -> Rule | None:
    """The rule of a backbone that asks for the resource, as one of the resource."""
    expression = _expression(constraint, backbone)
    if "%resource" not in expression:
        return None
    type_name, _, path = backbone.partition(".")
    return _rule(constraint.key, f"{path}.where(({expression}).not()).empty()", type_name)


def _expression(constraint: Constraint, type_name: str) -> str:
    corrected = CORRECTED.get((type_name, constraint.key))
    return constraint.expression if corrected is None else corrected.expression
