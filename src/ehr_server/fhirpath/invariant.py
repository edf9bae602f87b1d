"""The door for invariants: an expression, ready to say whether a value keeps it.

https://hl7.org/fhir/R4/conformance-rules.html#constraints. What our own compiler does not hold is
left to a library (`foreign`); whoever asks sees no difference but the time it takes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from ehr_server.definitions import definitions
from ehr_server.fhirpath import foreign
from ehr_server.fhirpath.compile import compile_flow, is_wide
from ehr_server.fhirpath.errors import Unsupported
from ehr_server.fhirpath.flow import truth
from ehr_server.fhirpath.scope import NOWHERE, Reach, Scope

if TYPE_CHECKING:
    from ehr_server.fhirpath.flow import Run


class Holds(Protocol):
    """A value to whether the invariant holds for it: True, False, or None where it is empty.

    `resource` is what `%resource` stands for, by default the value itself; `around` what can be
    reached from there.
    """

    def __call__(
        self, value: Any, resource: dict[str, Any] | None = None, around: Reach | None = None, /
    ) -> bool | None: ...


def compile_invariant(expression: str, type_name: str) -> Holds:
    """The invariant for values of the type: a resource, a complex type, a backbone, a primitive.

    Raises `FHIRPathError`, with the place, for an expression that does not parse, names elements
    or types that are not there, or holds a pattern that is not linear in time.
    """
    try:
        flow = compile_flow(expression, type_name, definitions(), follows=True)
    except Unsupported as reason:
        return foreign.compile_invariant(expression, type_name, reason)
    test = truth(flow)
    return _wide(test) if is_wide(expression) else _plain(test)


def _plain(test: Run) -> Holds:
    def holds(
        value: Any,
        resource: dict[str, Any] | None = None,
        around: Reach | None = None,  # noqa: ARG001
    ) -> bool | None:
        found: bool | None = test(value, value if resource is None else resource)
        return found

    return holds


def _wide(test: Run) -> Holds:
    def holds(
        value: Any, resource: dict[str, Any] | None = None, around: Reach | None = None
    ) -> bool | None:
        scope = Scope(value if resource is None else resource, value, around or NOWHERE)
        found: bool | None = test(value, scope)
        return found

    return holds
