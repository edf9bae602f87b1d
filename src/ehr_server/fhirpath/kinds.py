"""Which type is a kind of which, and the tests `is`, `as` and `ofType`.

http://hl7.org/fhirpath/N1/#types. A choice of `uri` holds canonical, url, oid and uuid too, one of
Quantity also Age, Count, Duration and so on: a type passes if it or an ancestor is the one named.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ehr_server.fhirpath.flow import DYNAMIC, Branch, Flow, Run, boolean, many, single
from ehr_server.fhirpath.referred import REFERRED, referred_type
from ehr_server.fhirpath.steps import keep

if TYPE_CHECKING:
    from ehr_server.definitions import Definitions


def conforms(definitions: Definitions, type_name: str, wanted: str) -> bool:
    """Whether `type_name` is `wanted` or descends from it."""
    name: str | None = type_name
    while name is not None and name != wanted:
        definition = definitions.types.get(name)
        name = definition.parent if definition else None
    return name is not None


def only(definitions: Definitions, flow: Flow, wanted: str) -> Flow:
    """The part of the flow that is of the type: `as`, `ofType`."""
    kept: list[Branch] = []
    for branch in flow.branches:
        if branch.type == DYNAMIC:
            kept.append(_narrowed(definitions, branch, wanted))
        elif branch.type != REFERRED and conforms(definitions, branch.type, wanted):
            kept.append(branch)
        elif _may_be(definitions, branch, wanted):
            kept.append(keep(branch, _tester(definitions, branch, wanted), wanted))
    return Flow(tuple(kept))


def tested(definitions: Definitions, flow: Flow, wanted: str) -> Flow:
    """Whether the one value of the flow is of the type, empty if there is none: `is`."""
    if len(flow.branches) == 1 and flow.branches[0].step == "":  # `where($this is Patient)`
        return boolean(_tester(definitions, flow.branches[0], wanted))
    tests = tuple(
        (_single(branch), _tester(definitions, branch, wanted)) for branch in flow.branches
    )

    def run(focus: Any, resource: Any) -> bool | None:
        for value_of, test in tests:
            value = value_of(focus, resource)
            if value is not None:
                return bool(test(value, resource))
        return None

    return boolean(run)


def _narrowed(definitions: Definitions, branch: Branch, wanted: str) -> Branch:
    """A branch of the wanted type: what is known of its elements is known again."""
    values = many(branch)

    def run(focus: Any, resource: Any) -> list[Any]:
        return [
            one.value
            for one in values(focus, resource)
            if one.value is not None and conforms(definitions, one.type, wanted)
        ]

    return Branch(wanted, run, True, branch.keys)


def _single(branch: Branch) -> Run:
    """The one value of a branch, `Typed` if it is dynamic."""
    if branch.type != DYNAMIC:
        return single(Flow((branch,)))
    values = many(branch)

    def run(focus: Any, resource: Any) -> Any:
        found = values(focus, resource)
        return found[0] if len(found) == 1 else None

    return run


def _may_be(definitions: Definitions, branch: Branch, wanted: str) -> bool:
    return branch.type == REFERRED or conforms(definitions, wanted, branch.type)


def _tester(definitions: Definitions, branch: Branch, wanted: str) -> Run:
    """A test of one value of the branch; it looks at the value only where the type is open."""
    if branch.type == REFERRED:
        return _refers_to(definitions, wanted)
    if branch.type == DYNAMIC:
        return lambda value, resource: conforms(definitions, value.type, wanted)  # noqa: ARG005
    if conforms(definitions, branch.type, wanted):
        return lambda value, resource: True  # noqa: ARG005
    if not _may_be(definitions, branch, wanted):
        return lambda value, resource: False  # noqa: ARG005
    names = _kinds_of(definitions, wanted)
    return lambda value, resource: (  # noqa: ARG005
        isinstance(value, dict) and value.get("resourceType") in names
    )


def _refers_to(definitions: Definitions, wanted: str) -> Run:
    names = _kinds_of(definitions, wanted)
    prefix = f"{wanted}/"

    def test(reference: Any, resource: Any) -> bool:
        if isinstance(reference, dict):  # nearly every reference is a relative one: one look
            link = reference.get("reference")
            if link is not None and link.startswith(prefix):
                return True
        return referred_type(reference, resource) in names

    return test


def _kinds_of(definitions: Definitions, wanted: str) -> frozenset[str]:
    return frozenset(
        name for name in definitions.resource_types if conforms(definitions, name, wanted)
    )
