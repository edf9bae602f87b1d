"""The tables as frozen dataclasses; each part is read when it is first asked for.

Types: https://hl7.org/fhir/R4/elementdefinition.html. Search parameters:
https://hl7.org/fhir/R4/searchparameter-registry.html. Compartments:
https://hl7.org/fhir/R4/compartmentdefinition.html.
"""

from __future__ import annotations

import gzip
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from ehr_server.fhir import json

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

Kind = Literal["resource", "complex", "backbone", "primitive"]


class Constraint(NamedTuple):
    """A rule as a FHIRPath expression, such as `obs-6`; `text` (English) and `vi` are what a
    profile says where it is broken, "" in the tables of the standard."""

    key: str
    severity: Literal["error", "warning"]
    expression: str
    text: str = ""
    vi: str = ""


@dataclass(frozen=True, slots=True)
class Element:
    """One element of a type.

    `name` is the last step of the path, a choice without its `[x]`: in JSON a choice is called
    name + type, capitalised. `max` None means any number. `is_list` says that JSON has an array,
    which the unconstrained type decides: also in a profile that allows one alone. A backbone is
    named by its path, as `Observation.component`, also where the definition refers to it
    elsewhere. `is_bare`: an `id`, or `Extension.url`, which has no `_name` beside it. `targets`
    are the types a Reference may point to, () is any. `binding` is the url of the value set if it
    is required. `is_summary`: `_summary=true` keeps it; `is_modifier`: it can turn what the others
    say into its contrary.
    """

    name: str
    min: int
    max: int | None
    is_list: bool
    is_choice: bool
    is_bare: bool
    types: tuple[str, ...]
    targets: tuple[str, ...]
    binding: str | None
    constraints: tuple[Constraint, ...]  # only what its types do not have themselves
    # Not compared: two elements that a profile can narrow alike are one, however they are shown.
    is_summary: bool = field(default=False, compare=False)
    is_modifier: bool = field(default=False, compare=False)

    def json_names(self) -> Iterator[tuple[str, str]]:
        """The names it can have in JSON, each with its type: a choice has several."""
        for type_name in self.types:
            suffix = type_name[0].upper() + type_name[1:] if self.is_choice else ""
            yield self.name + suffix, type_name


@dataclass(frozen=True, slots=True)
class TypeDefinition:
    """A type with all its elements, inherited ones too, in the order of the standard.

    Those of a primitive are the `id` and `extension` that stand under `_name`. `parent` is the
    type it specializes, None for Element and Resource.
    """

    name: str
    kind: Kind
    parent: str | None
    elements: Mapping[str, Element]
    constraints: tuple[Constraint, ...]


@dataclass(frozen=True, slots=True)
class SearchParameter:
    """What one resource type can be searched by.

    `number` stands in index rows and never changes. `expression` holds only what is about `base`;
    None: nothing to extract (`_text`, `_filter`). `components` of a composite: the code of the
    parameter that a part is searched as, and an expression on what `expression` finds.
    """

    number: int
    base: str
    code: str
    type: str  # token string date number quantity reference uri composite special
    expression: str | None
    targets: tuple[str, ...]
    components: tuple[tuple[str, str], ...]
    url: str


class Definitions:
    """FHIR R4. All mappings are read-only."""

    @cached_property
    def types(self) -> Mapping[str, TypeDefinition]:
        """Resources, complex types, backbones (by path), primitives; abstract ones too."""
        elements = [_element(row) for row in self._type_table["elements"]]
        return MappingProxyType(
            {
                name: TypeDefinition(
                    name,
                    kind,
                    parent,
                    MappingProxyType({elements[at].name: elements[at] for at in positions}),
                    tuple(Constraint(*row) for row in constraints),
                )
                for name, kind, parent, positions, constraints in self._type_table["types"]
            }
        )

    @cached_property
    def resource_types(self) -> tuple[str, ...]:
        """The 146 types a resource can have, sorted."""
        return tuple(self._type_table["resource_types"])

    @cached_property
    def type_number(self) -> Mapping[str, int]:
        """The number that stands for a resource type in the database; it never changes."""
        return MappingProxyType(self._type_table["numbers"])

    @cached_property
    def type_name(self) -> Mapping[int, str]:
        """`type_number` the other way round."""
        return MappingProxyType({number: name for name, number in self.type_number.items()})

    @cached_property
    def search_parameters(self) -> Mapping[str, Mapping[str, SearchParameter]]:
        """Resource type -> code -> parameter; those of Resource are repeated for each type."""
        by_type: dict[str, dict[str, SearchParameter]] = {name: {} for name in self.resource_types}
        for number, base, code, type_, expression, targets, components, url in _table(
            "search_parameters"
        )["rows"]:
            by_type[base][code] = SearchParameter(
                number,
                base,
                code,
                type_,
                expression,
                tuple(targets),
                tuple((component[0], component[1]) for component in components),
                url,
            )
        return MappingProxyType({name: MappingProxyType(of) for name, of in by_type.items()})

    @cached_property
    def compartments(self) -> Mapping[str, Mapping[str, tuple[str, ...]]]:
        """`Patient` -> resource type -> the codes of the parameters that place it in there.

        Beyond that the Patient itself is in its own compartment, and so for the other four.
        """
        return MappingProxyType(
            {
                name: MappingProxyType({type_: tuple(codes) for type_, codes in members.items()})
                for name, members in _table("compartments")["compartments"].items()
            }
        )

    @cached_property
    def codes(self) -> Mapping[str, frozenset[str]]:
        """Url of a required value set -> its codes; open ones (MIME types, units) are absent."""
        codes = self._code_table["codes"]
        return MappingProxyType({url: frozenset(several) for url, several in codes.items()})

    @cached_property
    def systems(self) -> Mapping[str, str]:
        """Url of a required value set -> its code system; absent if it draws on several."""
        return MappingProxyType(self._code_table["systems"])

    @cached_property
    def _type_table(self) -> dict[str, Any]:
        return _table("types")

    @cached_property
    def _code_table(self) -> dict[str, Any]:
        return _table("codes")


@cache
def definitions() -> Definitions:
    """The one set of definitions of this process."""
    return Definitions()


_LIST, _CHOICE, _BARE, _SUMMARY, _MODIFIER = 1, 2, 4, 8, 16


def _element(row: list[Any]) -> Element:
    name, minimum, maximum, flags, types, targets, binding, *constraints = row
    return Element(
        name,
        minimum,
        maximum,
        bool(flags & _LIST),
        bool(flags & _CHOICE),
        bool(flags & _BARE),
        tuple(types),
        tuple(targets),
        binding,
        tuple(Constraint(*one) for several in constraints for one in several),
        bool(flags & _SUMMARY),
        bool(flags & _MODIFIER),
    )


def _table(name: str) -> dict[str, Any]:
    data = (Path(__file__).parent / f"{name}.json.gz").read_bytes()
    table: dict[str, Any] = json.read_own(gzip.decompress(data))
    return table
