"""A search as plain data: what was asked, understood and checked, before any SQL.

https://hl7.org/fhir/R4/search.html. Access narrows a query by adding to it (`access.restrict`);
`search.plan` makes SQL of it.
"""

from dataclasses import dataclass
from typing import Any, Literal

from ehr_server.search.parameters import Parameter

Total = Literal["none", "bounded", "estimate", "accurate"]


@dataclass(frozen=True, slots=True)
class Alternative:
    """One term that a parameter is searched for, of the parameter's type (`search.types`)."""

    parameter: Parameter
    term: Any


@dataclass(frozen=True, slots=True)
class Condition:
    """One `name=value,value`: at least one of the alternatives is met.

    `name` and `text` are as asked; a parameter without values of its own is there as those that
    have them.
    """

    name: str
    text: str
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
class SortKey:
    """A parameter to sort by: earliest or smallest first, or the other way round."""

    parameter: Parameter
    descending: bool


@dataclass(frozen=True, slots=True)
class Query:
    """All of the conditions hold.

    `count` is the size of a page; 0 asks for the total alone. `total` `bounded` counts as far as
    it is cheap. `page` is the token of a `next` link. `compartment`: ids of Patients in one of
    whose compartments a resource must be. `ignored`: names left out because they are unknown and
    the client is lenient.
    """

    type: str
    conditions: tuple[Condition, ...] = ()
    sort: tuple[SortKey, ...] = ()
    count: int = 50
    total: Total = "bounded"
    page: str | None = None
    compartment: tuple[str, ...] | None = None
    ignored: tuple[str, ...] = ()
