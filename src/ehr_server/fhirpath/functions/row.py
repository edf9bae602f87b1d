"""A row of the table of functions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ehr_server.fhirpath.flow import Branch, Flow, Run, single

if TYPE_CHECKING:
    from collections.abc import Callable

    from ehr_server.fhirpath.site import Site


@dataclass(frozen=True, slots=True)
class Function:
    """A row: how many arguments it takes, and how a call of it becomes a flow."""

    arguments_min: int
    arguments_max: int
    compile: Callable[[Site], Flow]


def of_text(
    type_: str, function: Callable[..., Any], texts: int = 0, numbers: int = 0, optional: int = 0
) -> Function:
    """A row for a function of a string that yields one value of the type, or None.

    `texts` arguments are strings, then `numbers` whole ones, the last `optional` of which may be
    left out. The result is empty if the string or an argument is.
    """
    kinds = (str,) * texts + (int,) * numbers

    def compile_(site: Site) -> Flow:
        one = single(site.source)
        given = [single(site.argument(number)) for number in range(len(site.arguments))]
        if not given:

            def run_alone(focus: Any, resource: Any) -> Any:
                value = one(focus, resource)
                return function(value) if isinstance(value, str) else None

            return Flow((Branch(type_, run_alone),))

        def run(focus: Any, resource: Any) -> Any:
            value = one(focus, resource)
            values = [argument(focus, resource) for argument in given]
            fits = all(
                isinstance(found, kind_) and not isinstance(found, bool)
                for found, kind_ in zip(values, kinds, strict=False)
            )
            return function(value, *values) if fits and isinstance(value, str) else None

        return Flow((Branch(type_, run),))

    return Function(len(kinds) - optional, len(kinds), compile_)


def of_value(type_: str, function: Callable[[Any], Any]) -> Function:
    """A row for a function of the one value, whatever it is, that yields one or None."""

    def compile_(site: Site) -> Flow:
        one: Run = single(site.source)

        def run(focus: Any, resource: Any) -> Any:
            value = one(focus, resource)
            return None if value is None else function(value)

        return Flow((Branch(type_, run),))

    return Function(0, 0, compile_)
