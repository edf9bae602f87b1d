"""What an expression compiles to: branches, each a closure that leads to values of one type.

The types are known before any resource is: a choice element becomes one branch for each of its
JSON names, so that `as Quantity` costs nothing when the expression runs. A closure takes the
focus (`$this`) and the resource (`%resource`), or the `Scope` that it lies in; it returns the
value or None where there is at most one, else a sequence. Where no definition tells the type, as
in `descendants()`, the branch is of the type `DYNAMIC` and its values are `Typed`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

Run: TypeAlias = Callable[[Any, Any], Any]
Many: TypeAlias = Callable[[Any, Any], Sequence[Any]]

# The keys of an expression that may yield something of any resource, such as `x.exists()`.
ALWAYS = frozenset(("resourceType",))
# The type of a branch whose values tell their types themselves.
DYNAMIC = "*"
_NOTHING: tuple[Any, ...] = ()


class Typed(NamedTuple):
    """A value with its FHIR type. `shadow`: the id and extensions of a primitive, the value of
    which may be None then.
    """

    type: str
    value: Any
    shadow: Any = None


@dataclass(frozen=True, slots=True)
class Branch:
    """Values of one type. `keys`: the keys of the focus, one of which must be there for any.

    `shadow` leads to the `_name` siblings of a primitive: its id and extensions. `step` is the
    one key that the branch reads from its focus, if it does no more than that; of the focus
    itself it is "".
    """

    type: str
    run: Run
    is_list: bool = False
    keys: frozenset[str] = ALWAYS
    shadow: Branch | None = None
    step: str | None = None


@dataclass(frozen=True, slots=True)
class Flow:
    """The branches of an expression; none at all where it can yield nothing."""

    branches: tuple[Branch, ...]


def start(type_name: str) -> Branch:
    """The focus itself."""
    return Branch(type_name, _focus, step="")


def boolean(run: Run) -> Flow:
    """A flow of True, False or None for empty."""
    return Flow((Branch("boolean", run),))


def many(branch: Branch) -> Many:
    """The branch's values as a sequence, empty if there is none; `Typed` if it is dynamic."""
    run = branch.run
    if branch.is_list:
        return run

    def values(focus: Any, resource: Any) -> Sequence[Any]:
        value = run(focus, resource)
        return _NOTHING if value is None else (value,)

    return values


def all_values(flow: Flow) -> Many:
    """The values of all branches, one after another."""
    if len(flow.branches) == 1:
        return _plain(flow.branches[0])
    parts = tuple(_plain(branch) for branch in flow.branches)

    def values(focus: Any, resource: Any) -> Sequence[Any]:
        return [value for part in parts for value in part(focus, resource)]

    return values


def all_typed(flow: Flow) -> Many:
    """The values of all branches, one after another, each with its type."""
    parts = tuple(many(typed(branch)) for branch in flow.branches)
    if len(parts) == 1:
        return parts[0]

    def values(focus: Any, resource: Any) -> Sequence[Any]:
        return [value for part in parts for value in part(focus, resource)]

    return values


def typed(branch: Branch) -> Branch:
    """The branch with values that tell their types."""
    type_, run = branch.type, branch.run
    if type_ == DYNAMIC:
        return branch
    if branch.is_list:

        def run_list(focus: Any, resource: Any) -> list[Typed]:
            return [Typed(type_of(type_, value), value) for value in run(focus, resource)]

        return Branch(DYNAMIC, run_list, True, branch.keys)

    def run_one(focus: Any, resource: Any) -> Typed | None:
        value = run(focus, resource)
        return None if value is None else Typed(type_of(type_, value), value)

    return Branch(DYNAMIC, run_one, keys=branch.keys)


def type_of(type_: str, value: Any) -> str:
    """The type of a value of a branch: of a resource the one that it names."""
    if type_ in ("Resource", "DomainResource") and isinstance(value, dict):
        name = value.get("resourceType")
        return name if isinstance(name, str) else type_
    return type_


def single(flow: Flow) -> Run:
    """The one value, or None if there is none or more than one.

    http://hl7.org/fhirpath/N1/#singleton-evaluation-of-collections makes several an error; a
    resource already stored is not a place to raise one, so they count as unknown.
    """
    if is_single(flow) and flow.branches[0].type != DYNAMIC:
        return flow.branches[0].run
    return _one_of(all_values(flow))


def single_typed(flow: Flow) -> Run:
    """The one value with its type, or None if there is none or more than one."""
    if is_single(flow):
        return typed(flow.branches[0]).run
    return _one_of(all_typed(flow))


def is_single(flow: Flow) -> bool:
    """Whether the flow is known to yield one value at most, of one type."""
    return len(flow.branches) == 1 and not flow.branches[0].is_list


def truth(flow: Flow) -> Run:
    """The flow as a criterion: True, False, None for empty; a value that is no boolean is True."""
    value = single(flow)
    if all(branch.type == "boolean" for branch in flow.branches):
        return value

    def test(focus: Any, resource: Any) -> Any:
        found = value(focus, resource)
        return found if found is None or isinstance(found, bool) else True

    return test


def presence(flow: Flow) -> Run:
    """Whether there is anything: a value, or a primitive that has only extensions."""
    branches = (*flow.branches, *(b.shadow for b in flow.branches if b.shadow is not None))
    if len(branches) == 1 and not branches[0].is_list:
        run = branches[0].run
        return lambda focus, resource: run(focus, resource) is not None
    parts = tuple(many(branch) for branch in branches)

    def test(focus: Any, resource: Any) -> bool:
        return any(part(focus, resource) for part in parts)

    return test


def union(branches: Sequence[Branch]) -> Flow:
    """A flow of the branches in which equal values of one type come once.

    http://hl7.org/fhirpath/N1/#union-collections
    """
    by_type: dict[str, list[Branch]] = {}
    for branch in branches:
        by_type.setdefault(branch.type, []).append(branch)
    return Flow(tuple(_union(same) for same in by_type.values()))


def distinct(values: Sequence[Any]) -> Sequence[Any]:
    """The values, each once, in the order of their first appearance."""
    if len(values) < 2:
        return values
    if len(values) > 16:
        return list({frozen(value): value for value in reversed(values)}.values())[::-1]
    kept: list[Any] = []
    for value in values:
        if value not in kept:
            kept.append(value)
    return kept


def _focus(focus: Any, resource: Any) -> Any:  # noqa: ARG001
    return focus


def _union(branches: Sequence[Branch]) -> Branch:
    first = branches[0]
    keys = frozenset(key for branch in branches for key in branch.keys)
    if len(branches) == 1 and not first.is_list:
        return first
    parts = tuple(many(branch) for branch in branches)

    def run(focus: Any, resource: Any) -> Sequence[Any]:
        found: Sequence[Any] = _NOTHING
        for part in parts:  # nearly always at most one part yields anything
            if values := part(focus, resource):
                found = (*found, *values) if found else values
        return found if len(found) < 2 else distinct(found)

    shadows = tuple(branch.shadow for branch in branches if branch.shadow is not None)
    return Branch(first.type, run, True, keys, _union(shadows) if shadows else None)


def frozen(value: Any) -> Any:
    if isinstance(value, dict):
        return frozenset((key, frozen(item)) for key, item in value.items())
    if isinstance(value, list | tuple):
        return tuple(frozen(item) for item in value)
    return value


def _one_of(values: Many) -> Run:
    def value(focus: Any, resource: Any) -> Any:
        found = values(focus, resource)
        return found[0] if len(found) == 1 else None

    return value


def _plain(branch: Branch) -> Many:
    """The branch's values without their types."""
    values = many(branch)
    if branch.type != DYNAMIC:
        return values

    def plain(focus: Any, resource: Any) -> list[Any]:
        return [one.value for one in values(focus, resource) if one.value is not None]

    return plain
