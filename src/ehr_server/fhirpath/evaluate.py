"""The door: an expression, ready to run on resources."""

from __future__ import annotations

from typing import Any, Protocol

from ehr_server.definitions import definitions
from ehr_server.fhirpath.compile import compile_flow
from ehr_server.fhirpath.flow import DYNAMIC, Branch, Flow, all_typed, many
from ehr_server.fhirpath.scope import Scope


class Evaluate(Protocol):
    """A value to the (FHIR type name, JSON value) pairs of an expression.

    `resource` is what `%resource` stands for, by default the value itself: it matters only for a
    value inside a resource, such as the part of a composite search parameter.
    """

    def __call__(
        self, focus: dict[str, Any], resource: dict[str, Any] | None = None, /
    ) -> list[tuple[str, Any]]: ...


def compile_path(expression: str, type_name: str) -> Evaluate:
    """A function from a resource (or another value) of the type to what the expression yields.

    It never raises for a resource that keeps to the definitions. What `as`, `is` and choices
    decide is settled here, once. Primitives whose value is absent are left out, and of what is
    contained or in a Bundle entry the pair names the type it really is. Values of one type keep
    their order; those of several types come type by type. Raises `FHIRPathError`.
    """
    flow = compile_flow(expression, type_name, definitions())
    if "%context" in expression or any(branch.type == DYNAMIC for branch in flow.branches):
        return _of_typed(flow)
    if all(branch.step for branch in flow.branches):
        return _of_steps(flow)
    if any(branch.type in ("Resource", "DomainResource") for branch in flow.branches):
        return _of_resources(flow)
    if len(flow.branches) == 1:
        return _of_one(flow.branches[0])
    parts = tuple((branch.type, many(branch)) for branch in flow.branches)

    def evaluate(
        focus: dict[str, Any], resource: dict[str, Any] | None = None
    ) -> list[tuple[str, Any]]:
        resource = resource or focus
        found: list[tuple[str, Any]] = []
        for type_, run in parts:
            if values := run(focus, resource):
                found += [(type_, value) for value in values]
        return found

    return evaluate


def _of_steps(flow: Flow) -> Evaluate:
    """Each branch is one key of the focus: most search parameters are of this kind."""
    steps = tuple((branch.step or "", branch.type) for branch in flow.branches)
    if len(steps) == 1:
        ((key, type_name),) = steps

        def evaluate_one(
            focus: dict[str, Any],
            resource: dict[str, Any] | None = None,  # noqa: ARG001
        ) -> list[tuple[str, Any]]:
            value = focus.get(key)
            return [] if value is None else [(type_name, value)]

        return evaluate_one

    def evaluate(
        focus: dict[str, Any],
        resource: dict[str, Any] | None = None,  # noqa: ARG001
    ) -> list[tuple[str, Any]]:
        return [(type_, focus[key]) for key, type_ in steps if key in focus]

    return evaluate


def _of_one(branch: Branch) -> Evaluate:
    type_name, run = branch.type, branch.run

    def evaluate_list(
        focus: dict[str, Any], resource: dict[str, Any] | None = None
    ) -> list[tuple[str, Any]]:
        values = run(focus, resource or focus)
        return [(type_name, value) for value in values] if values else []

    def evaluate(
        focus: dict[str, Any], resource: dict[str, Any] | None = None
    ) -> list[tuple[str, Any]]:
        value = run(focus, resource or focus)
        return [] if value is None else [(type_name, value)]

    return evaluate_list if branch.is_list else evaluate


def _of_resources(flow: Flow) -> Evaluate:
    parts = tuple((branch.type, many(branch)) for branch in flow.branches)

    def evaluate(
        focus: dict[str, Any], resource: dict[str, Any] | None = None
    ) -> list[tuple[str, Any]]:
        return [
            (value.get("resourceType", type_) if isinstance(value, dict) else type_, value)
            for type_, run in parts
            for value in run(focus, resource or focus)
        ]

    return evaluate


def _of_typed(flow: Flow) -> Evaluate:
    """Of what tells its type only when the expression runs."""
    values = all_typed(flow)

    def evaluate(
        focus: dict[str, Any], resource: dict[str, Any] | None = None
    ) -> list[tuple[str, Any]]:
        scope = Scope(resource or focus, focus)
        return [(one.type, one.value) for one in values(focus, scope) if one.value is not None]

    return evaluate
