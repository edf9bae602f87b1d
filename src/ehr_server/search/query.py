"""A search as plain data: what was asked, understood and checked, before any SQL.

https://hl7.org/fhir/R4/search.html. A query is a tree of criteria: `search.where` makes SQL of it,
`search.match` holds it against resources in memory, `access.restrict` narrows it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from ehr_server.consent.rule import Ask
from ehr_server.definitions.subset import Subset
from ehr_server.search.parameter import Parameter, Source

Total = Literal["none", "bounded", "estimate", "accurate"]


@dataclass(frozen=True, slots=True)
class Alternative:
    """One term that a parameter is searched for, of the parameter's type (`search.types`)."""

    parameter: Parameter
    term: Any


@dataclass(frozen=True, slots=True)
class Condition:
    """One `name=value,value`: at least one of the alternatives is met.

    A parameter without values of its own is there as those that have them.
    """

    name: str
    alternatives: tuple[Alternative, ...]

    @property
    def parameter(self) -> Parameter | None:
        """The parameter, if all alternatives are of the same one."""
        first = self.alternatives[0].parameter
        return first if all(one.parameter is first for one in self.alternatives) else None

    @property
    def terms(self) -> tuple[Any, ...]:
        """What is searched for, whichever parameter has it."""
        return tuple(one.term for one in self.alternatives)


@dataclass(frozen=True, slots=True)
class Missing:
    """`name:missing=true`: none of the sources has a value; `is_missing` False: one has.

    https://hl7.org/fhir/R4/search.html#modifiers
    """

    sources: tuple[Source, ...]
    is_missing: bool


@dataclass(frozen=True, slots=True)
class Negation:
    """The criterion is not met, which includes that there is no value at all."""

    criterion: Criterion


@dataclass(frozen=True, slots=True)
class Conjunction:
    """All are met."""

    criteria: tuple[Criterion, ...]


@dataclass(frozen=True, slots=True)
class Disjunction:
    """One at least is met; of none: nothing is found."""

    criteria: tuple[Criterion, ...]


@dataclass(frozen=True, slots=True)
class Chain:
    """The resource refers, by the source, to one of the type that meets the criterion.

    https://hl7.org/fhir/R4/search.html#chaining
    """

    source: Source
    type: str
    criterion: Criterion


@dataclass(frozen=True, slots=True)
class Has:
    """One of the type that meets the criterion refers, by the source, to the resource.

    https://hl7.org/fhir/R4/search.html#has
    """

    type: str
    source: Source
    criterion: Criterion


@dataclass(frozen=True, slots=True)
class At:
    """The resource lies at one of the places (comp, key), which were looked up before."""

    places: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Disclosable:
    """What the persons concerned allow and forbid, and what is restricted, leave of it to who asks.

    https://hl7.org/fhir/R4/consent.html. Added to a query by `access.restrict`, never asked for.
    """

    ask: Ask


Criterion: TypeAlias = (
    Condition | Missing | Negation | Conjunction | Disjunction | Chain | Has | At | Disclosable
)


def asks_others(criterion: Criterion) -> bool:
    """Whether other resources are looked at, by a chain or `_has`."""
    match criterion:
        case Chain() | Has():
            return True
        case Negation():
            return asks_others(criterion.criterion)
        case Conjunction() | Disjunction():
            return any(asks_others(one) for one in criterion.criteria)
    return False


@dataclass(frozen=True, slots=True)
class SortKey:
    """A parameter to sort by: earliest or smallest first, or the other way round."""

    parameter: Parameter
    descending: bool


@dataclass(frozen=True, slots=True)
class Include:
    """`_include`, or `_revinclude` where `is_reverse`: follow the `sources` of resources of `type`.

    `type` "": of any type, by all its references. `target`: only to resources of this type.
    `iterate`: also from what was included. `asked`: as it was sent, `_include=Observation:subject`.
    https://hl7.org/fhir/R4/search.html#revinclude
    """

    type: str
    sources: tuple[Source, ...]
    target: str | None = None
    iterate: bool = False
    is_reverse: bool = False
    asked: str = ""


@dataclass(frozen=True, slots=True)
class Query:
    """All of the criteria hold.

    `asked`: the names and values that were understood, as sent. `order` is that of the answer;
    resources without the value come last. `is_sorted`: the client asked for that order. `count` is
    the size of a page; 0 asks for the total alone. `total` `bounded` counts as far as it is cheap.
    `page` is the token of a link. `compartment`: ids of Patients in one of whose compartments a
    resource must be. `subset`: how much of each resource is wanted, None for all. `ignored`: names
    and values left out because they are unknown and the client is lenient. `private`: those of
    `asked` whose values may be somebody's number. `is_explained`: how it runs is to be told too.
    `with_merged`: records of a person that were merged are found beside the one that survives.
    """

    type: str
    criteria: tuple[Criterion, ...] = ()
    asked: tuple[tuple[str, str], ...] = ()
    order: tuple[SortKey, ...] = ()
    is_sorted: bool = False
    count: int = 50
    total: Total = "bounded"
    page: str | None = None
    compartment: tuple[str, ...] | None = None
    includes: tuple[Include, ...] = ()
    subset: Subset | None = None
    ignored: tuple[tuple[str, str], ...] = ()
    private: tuple[tuple[str, str], ...] = ()
    is_explained: bool = False
    with_merged: bool = False
