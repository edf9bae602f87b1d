"""What stands around a value while an expression runs on it.

https://hl7.org/fhir/R4/fhirpath.html#variables. Nearly always that is no more than the resource
which the value lies in; then the resource itself is handed from closure to closure. A `Scope` is
made only for expressions that ask for more.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, tzinfo
from typing import Any


@dataclass(frozen=True, slots=True)
class Reach:
    """How an expression reaches what lies outside of the resource; None: it cannot.

    `resolve`: a Reference, or the text of one, to the resource; None if it is not to be had.
    `conforms`: a value and the url of a profile to whether it keeps it.
    `member`: the url of a value set, a system (None: a bare code) and a code to whether it is in.
    `subsumes`: a system and two codes of it to whether the first is the second or above it.
    Each may answer None, for unknown. `root`: the resource that the evaluated one is contained in.
    `zone`: where `today()` is asked for.
    """

    resolve: Callable[[Any], dict[str, Any] | None] | None = None
    conforms: Callable[[Any, str], bool | None] | None = None
    member: Callable[[str, str | None, str], bool | None] | None = None
    subsumes: Callable[[str, str, str], bool | None] | None = None
    root: dict[str, Any] | None = None
    zone: tzinfo = UTC


NOWHERE = Reach()


@dataclass(frozen=True, slots=True)
class Scope:
    """The resource of a value (`%resource`), the value the expression was given (`%context`), and
    in a view the place of that among those gone through (`%rowIndex`)."""

    resource: Any
    context: Any
    reach: Reach = NOWHERE
    row_index: int = 0

    @property
    def root(self) -> Any:
        """`%rootResource`"""
        return self.resource if self.reach.root is None else self.reach.root


def resource_of(scope: Any) -> Any:
    """`%resource`, of a scope or of the resource that stands for one."""
    return scope.resource if type(scope) is Scope else scope


def reach_of(scope: Any) -> Reach:
    """What lies within reach."""
    return scope.reach if type(scope) is Scope else NOWHERE
