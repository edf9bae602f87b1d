"""A search parameter as the index knows it, as plain data.

https://hl7.org/fhir/R4/searchparameter.html
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from ehr_server.definitions import SearchParameter, definitions
from ehr_server.fhirpath.compile import compile_flow
from ehr_server.fhirpath.flow import Branch

Place = Literal["main", "side", "id", "updated", "identifier", "beside"]

ADDED_FROM = 10_000  # the numbers of parameters that are not the standard's


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter that has values in the index.

    `name` is what its hashes begin with. `place`: `main` for a column of the narrow row, `id`,
    `updated` and `identifier` for what is looked up elsewhere, `beside` for quantities that a
    composite writes, each beside its code, else `side`. `types` are the FHIR types of its values,
    `system` the code system that a required binding implies. `is_home`: a Patient that it refers
    to is the one in whose compartment the resource lies. `bit` tells on the narrow row whether
    there is a value; a parameter that is not the standard's has a mark in the array instead.
    `parts` are those of a composite.
    """

    number: int
    base: str
    code: str
    type: str
    name: str
    paths: tuple[str, ...]
    types: frozenset[str]
    place: Place = "side"
    system: str | None = None
    is_home: bool = False
    bit: int | None = None
    parts: tuple["Part", ...] = ()

    @property
    def is_name(self) -> bool:
        """Whether its values are names of people, which are found by their words in any order."""
        return self.types == {"HumanName"}


@dataclass(frozen=True, slots=True)
class Part:
    """A component of a composite: the expression on what the composite's path leads to, and the
    parameter that says how its values are read."""

    parameter: Parameter
    expression: str


@dataclass(frozen=True, slots=True)
class Source:
    """Where a parameter that a client names has its values; `targets`: what these may refer to.

    `bit` tells whether there is a value that refers to one of the targets, where that is not the
    same as whether there is any.
    """

    parameter: Parameter
    targets: tuple[str, ...] = ()
    bit: int | None = None


@dataclass(frozen=True, slots=True)
class Context:
    """One place where a composite's components stand together.

    `outside` are those, by their position, of which the resource has one such place, so that each
    can be asked for by itself; `inside`, at the positions `within`, those that must be met by the
    same of several.
    """

    outside: tuple[tuple[int, tuple[Source, ...]], ...]
    within: tuple[int, ...] = ()
    inside: Parameter | None = None


@dataclass(frozen=True, slots=True)
class Searched:
    """A type's parameters: by the client's name, those with values, the main ones.

    A parameter of several sources has the values of all, a composite its contexts. `compartment`:
    those that place the resource in a Patient's compartment, the home first. `unready`: codes
    whose values are written, but not yet of every resource, so that nothing can be searched by
    them.
    """

    by_code: Mapping[str, tuple[Source, ...]]
    composites: Mapping[str, tuple[Context, ...]]
    indexed: tuple[Parameter, ...]
    main_date: Parameter | None
    main_code: Parameter | None
    compartment: tuple[Parameter, ...]
    unready: frozenset[str] = frozenset()


def branches(parameter: Parameter) -> list[Branch]:
    """The closures that lead to the parameter's values, each to values of one FHIR type."""
    return [
        branch
        for path in parameter.paths
        for branch in compile_flow(path, parameter.base, definitions()).branches
    ]


def hashed_name(definition: SearchParameter) -> str:
    """What its hashes begin with. An added parameter may be replaced by another of its code, whose
    values must not be taken for those that the rows still hold of it: hence the number."""
    if definition.number >= ADDED_FROM:
        return f"{definition.base}.{definition.code}#{definition.number}"
    if definition.code.startswith("_"):
        return definition.code
    return f"{definition.base}.{definition.code}"
