"""Some of the values, and those they lead to.

http://hl7.org/fhirpath/N1/#filtering-and-projection and #tree-navigation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ehr_server.fhirpath import tree
from ehr_server.fhirpath.flow import (
    DYNAMIC,
    Branch,
    Flow,
    Run,
    Typed,
    all_typed,
    frozen,
    many,
    start,
    truth,
)
from ehr_server.fhirpath.functions.row import Function
from ehr_server.fhirpath.kinds import only, tested
from ehr_server.fhirpath.steps import keep

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ehr_server.definitions import Definitions
    from ehr_server.fhirpath.site import Site


def where(site: Site) -> Flow:
    """The values for which the criterion is true."""
    return Flow(tuple(keep(b, truth(site.criterion(b))) for b in site.source.branches))


def select(site: Site) -> Flow:
    """The values to which the projection leads from each value."""
    return Flow(
        tuple(
            _projected(branch, inner)
            for branch in site.source.branches
            for inner in site.criterion(branch).branches
        )
    )


def repeat(site: Site) -> Flow:
    """What the projection leads to, and what it leads to from there, until nothing is new."""
    sources = all_typed(site.source)
    projected = all_typed(site.criterion(start(DYNAMIC)))

    def run(focus: Any, resource: Any) -> list[Typed]:
        found: dict[Any, Typed] = {}
        waiting = list(sources(focus, resource))
        while waiting:
            news = [new for value in waiting for new in projected(value, resource)]
            waiting = []
            for new in news:
                key = frozen(new)
                if key not in found:
                    found[key] = new
                    waiting.append(new)
        return list(found.values())

    return Flow((Branch(DYNAMIC, run, True),))


def of_tree(walk: Callable[[Definitions, Typed], list[Typed]]) -> Function:
    """A row for `children()` and `descendants()`."""

    def compile_(site: Site) -> Flow:
        values, definitions = all_typed(site.source), site.definitions

        def run(focus: Any, resource: Any) -> list[Typed]:
            return [
                found for value in values(focus, resource) for found in walk(definitions, value)
            ]

        return Flow((Branch(DYNAMIC, run, True),))

    return Function(0, 0, compile_)


def of_type(site: Site) -> Flow:
    """The values of the type: `ofType(Quantity)`, `as(Quantity)`."""
    return only(site.definitions, site.source, site.named_type())


def is_type(site: Site) -> Flow:
    """Whether the one value is of the type."""
    return tested(site.definitions, site.source, site.named_type())


def iif(site: Site) -> Flow:
    """The second argument if the first is true, else the third, of the source as a whole."""
    focus = site.whole()
    test = truth(site.compile(site.arguments[0], focus))
    return Flow(
        tuple(
            _on_condition(test, branch, number == 1)
            for number in range(1, len(site.arguments))
            for branch in site.compile(site.arguments[number], focus).branches
        )
    )


def trace(site: Site) -> Flow:
    """The source unchanged: nothing of a record is written to a log."""
    return site.source


def _projected(branch: Branch, inner: Branch) -> Branch:
    values, projected = many(branch), many(inner)

    def run(focus: Any, resource: Any) -> list[Any]:
        return [found for value in values(focus, resource) for found in projected(value, resource)]

    return Branch(inner.type, run, True, branch.keys)


def _on_condition(test: Run, branch: Branch, wanted: bool) -> Branch:
    values = many(branch)

    def run(focus: Any, resource: Any) -> Any:
        return values(focus, resource) if (test(focus, resource) is True) is wanted else ()

    return Branch(branch.type, run, True)


ROWS: Mapping[str, Function] = {
    "as": Function(1, 1, of_type),
    "children": of_tree(tree.children),
    "descendants": of_tree(tree.descendants),
    "iif": Function(2, 3, iif),
    "is": Function(1, 1, is_type),
    "ofType": Function(1, 1, of_type),
    "repeat": Function(1, 1, repeat),
    "select": Function(1, 1, select),
    "trace": Function(1, 2, trace),
    "where": Function(1, 1, where),
}
