"""The functions, one row each: name, number of arguments, and what it compiles to.

http://hl7.org/fhirpath/N1/#functions and https://hl7.org/fhir/R4/fhirpath.html#functions. A new
function is a new row; nothing else has to change.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from ehr_server.fhirpath.errors import FHIRPathError
from ehr_server.fhirpath.flow import (
    Branch,
    Flow,
    Run,
    all_values,
    boolean,
    distinct,
    many,
    presence,
    single,
    truth,
    union,
)
from ehr_server.fhirpath.kinds import only, tested
from ehr_server.fhirpath.referred import REFERRED
from ehr_server.fhirpath.steps import keep, step

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ehr_server.fhirpath.site import Site


@dataclass(frozen=True, slots=True)
class Function:
    """A row: how many arguments it takes, and how a call of it becomes a flow."""

    arguments_min: int
    arguments_max: int
    compile: Callable[[Site], Flow]


def where(site: Site) -> Flow:
    """The values for which the criterion is true."""
    return Flow(tuple(keep(b, truth(site.criterion(b))) for b in site.source.branches))


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


def select(site: Site) -> Flow:
    """The values to which the projection leads from each value."""
    return Flow(
        tuple(
            _projected(branch, inner)
            for branch in site.source.branches
            for inner in site.criterion(branch).branches
        )
    )


def count(site: Site) -> Flow:
    """How many values there are."""
    values = all_values(site.source)
    return Flow((Branch("integer", lambda focus, resource: len(values(focus, resource))),))


def item(flow: Flow, number: int) -> Flow:
    """The value at a 0-based place, or a negative one from the end: `[n]`, `first()`, `last()`.

    The place is counted within the values of one type.
    """
    return Flow(tuple(_item(branch, number) for branch in flow.branches))


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


def has_value(site: Site) -> Flow:
    """Whether there is one primitive value, not only extensions on an absent one."""
    values = all_values(site.source)
    return boolean(lambda focus, resource: len(values(focus, resource)) == 1)


def of_type(site: Site) -> Flow:
    """The values of the type: `ofType(Quantity)`, `as(Quantity)`."""
    return only(site.definitions, site.source, site.named_type())


def is_type(site: Site) -> Flow:
    """Whether the one value is of the type."""
    return tested(site.definitions, site.source, site.named_type())


def extension(site: Site) -> Flow:
    """The extensions with a url: short for `extension.where(url = ...)`."""
    url = site.text()
    found = [step(site.definitions, b, "extension") or () for b in site.source.branches]
    return Flow(tuple(keep(b, _has_url(url)) for branches in found for b in branches))


def has_extension(site: Site) -> Flow:
    """Whether there is an extension with the url."""
    return boolean(presence(extension(site)))


def resolve(site: Site) -> Flow:
    """What references lead to, of which only the type can be asked (`referred`)."""
    kinds = ("Reference", "canonical", "uri")
    return Flow(
        tuple(
            Branch(REFERRED, b.run, b.is_list, b.keys, step=b.step)
            for b in site.source.branches
            if b.type in kinds
        )
    )


def iif(site: Site) -> Flow:
    """The second argument if the first is true, else the third."""
    test = truth(site.argument(0))
    return Flow(
        tuple(
            _on_condition(test, branch, number == 1)
            for number in range(1, len(site.arguments))
            for branch in site.argument(number).branches
        )
    )


def trace(site: Site) -> Flow:
    """The source unchanged: nothing of a record is written to a log."""
    return site.source


def of_string(name: str, test: Callable[[str, str], Any]) -> Function:
    """A row for a function of a string and a string that answers a boolean."""

    def compile_(site: Site) -> Flow:
        one, other = single(site.source), single(site.argument())

        def run(focus: Any, resource: Any) -> Any:
            value, given = one(focus, resource), other(focus, resource)
            if not isinstance(value, str) or not isinstance(given, str):
                return None
            return test(value, given)

        return boolean(run)

    compile_.__name__ = name
    return Function(1, 1, compile_)


def matches(site: Site) -> Flow:
    """Whether the string holds a match of the pattern, which is compiled once."""
    try:
        pattern = re.compile(site.text(), re.DOTALL)
    except re.error as error:
        raise FHIRPathError(f"not a regular expression: {error}", site.at) from None
    one = single(site.source)

    def run(focus: Any, resource: Any) -> bool | None:
        value = one(focus, resource)
        return pattern.search(value) is not None if isinstance(value, str) else None

    return boolean(run)


def length(site: Site) -> Flow:
    """How many characters the string has."""
    one = single(site.source)

    def run(focus: Any, resource: Any) -> int | None:
        value = one(focus, resource)
        return len(value) if isinstance(value, str) else None

    return Flow((Branch("integer", run),))


def _item(branch: Branch, number: int) -> Branch:
    values = many(branch)

    def run(focus: Any, resource: Any) -> Any:
        found = values(focus, resource)
        return found[number] if -len(found) <= number < len(found) else None

    return Branch(branch.type, run, keys=branch.keys)


def _projected(branch: Branch, inner: Branch) -> Branch:
    values, projected = many(branch), many(inner)

    def run(focus: Any, resource: Any) -> list[Any]:
        return [found for value in values(focus, resource) for found in projected(value, resource)]

    return Branch(inner.type, run, True, branch.keys)


def _has_url(url: str) -> Run:
    return lambda value, resource: value.get("url") == url  # noqa: ARG005


def _on_condition(test: Run, branch: Branch, wanted: bool) -> Branch:
    values = many(branch)

    def run(focus: Any, resource: Any) -> Any:
        return values(focus, resource) if (test(focus, resource) is True) is wanted else ()

    return Branch(branch.type, run, True)


FUNCTIONS: Mapping[str, Function] = MappingProxyType(
    {
        "all": Function(1, 1, all_),
        "as": Function(1, 1, of_type),
        "count": Function(0, 0, count),
        "distinct": Function(0, 0, unique),
        "empty": Function(0, 0, empty),
        "exists": Function(0, 1, exists),
        "extension": Function(1, 1, extension),
        "first": Function(0, 0, lambda site: item(site.source, 0)),
        "hasExtension": Function(1, 1, has_extension),
        "hasValue": Function(0, 0, has_value),
        "iif": Function(2, 3, iif),
        "is": Function(1, 1, is_type),
        "isDistinct": Function(0, 0, is_distinct),
        "last": Function(0, 0, lambda site: item(site.source, -1)),
        "length": Function(0, 0, length),
        "not": Function(0, 0, negated),
        "ofType": Function(1, 1, of_type),
        "resolve": Function(0, 0, resolve),
        "select": Function(1, 1, select),
        "trace": Function(1, 2, trace),
        "where": Function(1, 1, where),
        "contains": of_string("contains", lambda value, part: part in value),
        "endsWith": of_string("endsWith", str.endswith),
        "matches": Function(1, 1, matches),
        "startsWith": of_string("startsWith", str.startswith),
    }
)
