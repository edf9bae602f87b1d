"""Some places of a collection, and two collections made one.

http://hl7.org/fhirpath/N1/#subsetting and #combining. Places are counted within the values of
one type, where the expression yields values of several.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ehr_server.fhirpath.flow import DYNAMIC, Branch, Flow, all_values, many, single, union
from ehr_server.fhirpath.functions.row import Function

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ehr_server.fhirpath.flow import Run
    from ehr_server.fhirpath.site import Site


def item(flow: Flow, number: int) -> Flow:
    """The value at a 0-based place, or a negative one from the end: `[n]`, `first()`, `last()`."""
    return Flow(tuple(_item(branch, number) for branch in flow.branches))


def item_at(flow: Flow, given: Run) -> Flow:
    """The value at the 0-based place that an expression yields: `[%number]`."""

    def at(branch: Branch) -> Branch:
        values = many(branch)

        def run(focus: Any, resource: Any) -> Any:
            number = given(focus, resource)
            found = values(focus, resource)
            return found[number] if type(number) is int and 0 <= number < len(found) else None

        return Branch(branch.type, run, keys=branch.keys)

    return Flow(tuple(at(branch) for branch in flow.branches))


def sliced(cut: Callable[[Sequence[Any], int], Sequence[Any]], *number: int) -> Function:
    """A row for a part of the values; its argument is a whole number, if none is given here."""

    def compile_(site: Site) -> Flow:
        given = single(site.argument()) if not number else lambda focus, resource: number[0]  # noqa: ARG005
        return Flow(tuple(_sliced(branch, given, cut) for branch in site.source.branches))

    return Function(1 - len(number), 1 - len(number), compile_)


def only_one(site: Site) -> Flow:
    """`single()`: the one value; several, which the standard makes an error, are none."""
    values = all_values(site.source)

    def kept(branch: Branch) -> Branch:
        own = many(branch)

        def run(focus: Any, resource: Any) -> Any:
            found = own(focus, resource)
            return found[0] if found and len(values(focus, resource)) == 1 else None

        return Branch(branch.type, run, keys=branch.keys)

    return Flow(tuple(kept(branch) for branch in site.source.branches))


def combine(site: Site) -> Flow:
    """Both collections, with what is in both twice."""
    by_type: dict[str, list[Branch]] = {}
    for branch in (*site.source.branches, *site.argument().branches):
        by_type.setdefault(branch.type, []).append(branch)
    return Flow(tuple(_combined(type_, same) for type_, same in by_type.items()))


def united(site: Site) -> Flow:
    """`union()`: both collections, each value once."""
    return union((*site.source.branches, *site.argument().branches))


def of_other(is_wanted: bool, once: bool) -> Function:
    """A row for `intersect()` and `exclude()`: what is, or is not, in the other collection."""

    def compile_(site: Site) -> Flow:
        other = all_values(site.argument())

        def kept(branch: Branch) -> Branch:
            values, is_dynamic = many(branch), branch.type == DYNAMIC

            def run(focus: Any, resource: Any) -> list[Any]:
                found = values(focus, resource)
                wanted = other(focus, resource) if found else ()
                return [
                    one
                    for one in found
                    if ((one.value if is_dynamic else one) in wanted) is is_wanted
                ]

            return Branch(branch.type, run, True, branch.keys)

        flow = Flow(tuple(kept(branch) for branch in site.source.branches))
        return union(flow.branches) if once else flow

    return Function(1, 1, compile_)


def _item(branch: Branch, number: int) -> Branch:
    values = many(branch)

    def run(focus: Any, resource: Any) -> Any:
        found = values(focus, resource)
        return found[number] if -len(found) <= number < len(found) else None

    return Branch(branch.type, run, keys=branch.keys)


def _sliced(
    branch: Branch,
    given: Callable[[Any, Any], Any],
    cut: Callable[[Sequence[Any], int], Sequence[Any]],
) -> Branch:
    values = many(branch)

    def run(focus: Any, resource: Any) -> Sequence[Any]:
        number = given(focus, resource)
        return cut(values(focus, resource), max(number, 0)) if type(number) is int else ()

    return Branch(branch.type, run, True, branch.keys)


def _combined(type_: str, branches: list[Branch]) -> Branch:
    parts = [many(branch) for branch in branches]
    keys = frozenset(key for branch in branches for key in branch.keys)
    return Branch(
        type_,
        lambda focus, resource: [value for part in parts for value in part(focus, resource)],
        True,
        keys,
    )


ROWS: Mapping[str, Function] = {
    "combine": Function(1, 1, combine),
    "exclude": of_other(False, once=False),
    "first": Function(0, 0, lambda site: item(site.source, 0)),
    "intersect": of_other(True, once=True),
    "last": Function(0, 0, lambda site: item(site.source, -1)),
    "single": Function(0, 0, only_one),
    "skip": sliced(lambda values, number: values[number:]),
    "tail": sliced(lambda values, number: values[number:], 1),
    "take": sliced(lambda values, number: values[:number]),
    "union": Function(1, 1, united),
}
