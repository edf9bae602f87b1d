"""Whether there is anything, and what. http://hl7.org/fhirpath/N1/#existence"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ehr_server.fhirpath.flow import (
    Branch,
    Flow,
    all_values,
    boolean,
    distinct,
    many,
    presence,
    truth,
    union,
)
from ehr_server.fhirpath.functions.filtering import where
from ehr_server.fhirpath.functions.row import Function

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from ehr_server.fhirpath.site import Site


def exists(site: Site) -> Flow:
    """Whether there is a value, or one for which the criterion is true."""
    return boolean(presence(where(site) if site.arguments else site.source))


def empty(site: Site) -> Flow:
    """Whether there is no value."""
    is_there = presence(site.source)
    return boolean(lambda focus, resource: not is_there(focus, resource))


def negated(site: Site) -> Flow:
    """`not()`: empty stays empty."""
    test = truth(site.source)

    def run(focus: Any, resource: Any) -> bool | None:
        value = test(focus, resource)
        return None if value is None else not value

    return boolean(run)


def all_(site: Site) -> Flow:
    """Whether the criterion is true for every value."""
    parts = [(many(b), truth(site.criterion(b))) for b in site.source.branches]
    return boolean(
        lambda focus, resource: all(
            test(value, resource) is True
            for values, test in parts
            for value in values(focus, resource)
        )
    )


def of_booleans(quantifier: Callable[[Iterable[bool]], bool], wanted: bool) -> Function:
    """A row for `allTrue()` and its like."""

    def compile_(site: Site) -> Flow:
        values = all_values(site.source)
        return boolean(
            lambda focus, resource: quantifier(value is wanted for value in values(focus, resource))
        )

    return Function(0, 0, compile_)


def of_sets(test: Callable[[Sequence[Any], Sequence[Any]], bool]) -> Function:
    """A row for a test of two collections."""

    def compile_(site: Site) -> Flow:
        first, second = all_values(site.source), all_values(site.argument())
        return boolean(
            lambda focus, resource: test(first(focus, resource), second(focus, resource))
        )

    return Function(1, 1, compile_)


def count(site: Site) -> Flow:
    """How many values there are."""
    parts = tuple(many(branch) for branch in site.source.branches)
    if len(parts) == 1:
        values = parts[0]
        return Flow((Branch("integer", lambda focus, resource: len(values(focus, resource))),))

    def run(focus: Any, resource: Any) -> int:
        return sum(len(part(focus, resource)) for part in parts)

    return Flow((Branch("integer", run),))


def unique(site: Site) -> Flow:
    """`distinct()`."""
    return union(site.source.branches)


def is_distinct(site: Site) -> Flow:
    """Whether no value comes twice."""
    values = all_values(site.source)

    def run(focus: Any, resource: Any) -> bool:
        found = values(focus, resource)
        return len(distinct(found)) == len(found)

    return boolean(run)


def _is_subset(first: Sequence[Any], second: Sequence[Any]) -> bool:
    return all(value in second for value in first)


ROWS: Mapping[str, Function] = {
    "all": Function(1, 1, all_),
    "allFalse": of_booleans(all, False),
    "allTrue": of_booleans(all, True),
    "anyFalse": of_booleans(any, False),
    "anyTrue": of_booleans(any, True),
    "count": Function(0, 0, count),
    "distinct": Function(0, 0, unique),
    "empty": Function(0, 0, empty),
    "exists": Function(0, 1, exists),
    "isDistinct": Function(0, 0, is_distinct),
    "not": Function(0, 0, negated),
    "subsetOf": of_sets(_is_subset),
    "supersetOf": of_sets(lambda first, second: _is_subset(second, first)),
}
