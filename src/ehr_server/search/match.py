"""A search held against a resource in memory: what `search.where` asks of the database, said again.

https://hl7.org/fhir/R4/search.html. The values are read from the resource itself, as the
expressions of the parameters lead to them, and compared as they are: no hash, no index row. So a
subscription can tell whether a resource is meant, and a test whether the database tells the truth.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeAlias

from ehr_server.consent.decide import Rules as Directives
from ehr_server.consent.decide import decide
from ehr_server.fhir import references
from ehr_server.fhirpath.flow import Many, many
from ehr_server.search.index import index
from ehr_server.search.marks import seen
from ehr_server.search.parameter import ADDED_FROM, Parameter, Source, branches
from ehr_server.search.query import (
    Alternative,
    At,
    Chain,
    Condition,
    Conjunction,
    Criterion,
    Disclosable,
    Disjunction,
    Has,
    Missing,
    Negation,
    Query,
)
from ehr_server.search.types import string
from ehr_server.search.types.hierarchy import Kin
from ehr_server.search.types.registry import SEARCH_TYPES, fits

if TYPE_CHECKING:
    from ehr_server.search.rules import Rules

Resource: TypeAlias = dict[str, Any]
_Value: TypeAlias = tuple[str, Any]  # the FHIR type, and the value


@dataclass(frozen=True, slots=True)
class Others:
    """The resources beside the one in hand, for chains: all of a type, and the one of a type and
    id, None if there is none; the rules of Consents that count in compartments."""

    of_type: Callable[[str], Iterable[Resource]]
    read: Callable[[str, str], Resource | None]
    directives: Callable[[Sequence[int]], Directives] = lambda _: {}


NO_OTHERS = Others(lambda _: (), lambda *_: None)


def matches(
    asked: Query | Criterion, resource: Resource, rules: Rules, others: Others = NO_OTHERS
) -> bool:
    """Whether the resource, with its id and `meta.lastUpdated`, is what the query or criterion of
    its type asks for. `rules` are those that the query was parsed by."""
    match asked:
        case Query():
            return (
                resource["resourceType"] == asked.type
                and _is_in_compartment(asked, resource, rules)
                and all(matches(one, resource, rules, others) for one in asked.criteria)
            )
        case Condition():
            return any(_is_met(one, resource, rules, others) for one in asked.alternatives)
        case Missing():
            is_there = any(_is_there(source, resource, rules) for source in asked.sources)
            return is_there != asked.is_missing
        case Negation():
            return not matches(asked.criterion, resource, rules, others)
        case Conjunction():
            return all(matches(one, resource, rules, others) for one in asked.criteria)
        case Disjunction():
            return any(matches(one, resource, rules, others) for one in asked.criteria)
        case Chain() | Has():
            ends = _referred(asked, resource, rules, others)
            return any(matches(asked.criterion, one, rules, others) for one in ends)
        case At():
            raise TypeError("a resource in memory has no place in the record")
        case Disclosable():
            here = seen(resource, index(resource, rules))
            return decide(others.directives(here.comps), here, asked.ask)


def values(parameter: Parameter, resource: Resource) -> Iterator[_Value]:
    """The parameter's values, each with its FHIR type; of an extension that which it holds. All of
    a resource is what the full text is searched in."""
    if parameter.type == "fulltext":
        yield resource["resourceType"], resource
    for type_name, value in _found(parameter, resource):
        if type_name == "Extension":
            yield from _of_extension(value)
        else:
            yield type_name, value


def _is_met(one: Alternative, resource: Resource, rules: Rules, others: Others) -> bool:
    if isinstance(one.term, Kin):
        meant = _kin(one.term, rules, others)
        return any(end in meant for end in _ends(one.parameter, resource, rules))
    is_of = SEARCH_TYPES[one.parameter.type].matches
    found = list(values(one.parameter, resource))
    terms = string.apart(one.term) if isinstance(one.term, string.Words) else (one.term,)
    return all(
        any(is_of(term, type_name, value, one.parameter, rules) for type_name, value in found)
        for term in terms
    )


def _kin(term: Kin, rules: Rules, others: Others) -> set[tuple[str, str]]:
    """Type and id of the one named and of all above or below it."""
    meant = {(term.type, term.id)}
    while True:
        if term.way == "below":
            further = {
                (term.type, other["id"])
                for other in others.of_type(term.type)
                if any(end in meant for end in _ends(term.link, other, rules))
            }
        else:
            known = [others.read(*one) for one in meant]
            further = {end for one in known if one for end in _ends(term.link, one, rules)}
            further = {one for one in further if others.read(*one)}
        if further <= meant:
            return meant
        meant |= further


def _is_there(source: Source, resource: Resource, rules: Rules) -> bool:
    """Any value counts, one of a type that cannot be searched too; but of `patient`, which is a
    `subject` that is a Patient, only a reference to one."""
    if source.bit is None:
        return any(True for _ in _found(source.parameter, resource))
    ends = _ends(source.parameter, resource, rules)
    return any(type_name in source.targets for type_name, _ in ends)


def _referred(
    link: Chain | Has, resource: Resource, rules: Rules, others: Others
) -> Iterator[Resource]:
    """The resources of the chain's type at its other end."""
    parameter = link.source.parameter
    if isinstance(link, Chain):
        for type_name, id_ in _ends(parameter, resource, rules):
            other = others.read(type_name, id_) if type_name == link.type else None
            if other is not None:
                yield other
        return
    own = resource["resourceType"], resource["id"]
    for other in others.of_type(link.type):
        if own in _ends(parameter, other, rules):
            yield other


def _ends(parameter: Parameter, resource: Resource, rules: Rules) -> Iterator[tuple[str, str]]:
    """Type and id of what is referred to here, whichever version of it."""
    for type_name, value in _found(parameter, resource):
        if isinstance(value, dict) and type_name != "Reference":  # a resource inside a Bundle
            if "id" in value:
                yield value["resourceType"], value["id"]
            continue
        text = value.get("reference") if isinstance(value, dict) else value
        reference = references.parse(text or "", rules.base)
        if reference.kind == "local" and reference.type and reference.id:
            yield reference.type, reference.id


def _is_in_compartment(query: Query, resource: Resource, rules: Rules) -> bool:
    """https://hl7.org/fhir/R4/compartmentdefinition-patient.html"""
    if query.compartment is None:
        return True
    if query.type == "Patient":
        return resource["id"] in query.compartment
    return any(
        type_name == "Patient" and id_ in query.compartment
        for parameter in rules.parameters.of(query.type).compartment
        for type_name, id_ in _ends(parameter, resource, rules)
    )


def _found(parameter: Parameter, resource: Resource) -> Iterator[_Value]:
    for type_name, read in _readers(parameter):
        for value in read(resource, resource):
            yield type_name, value


@lru_cache(maxsize=4096)
def _readers(parameter: Parameter) -> tuple[tuple[str, Many], ...]:
    """What is not the standard's may lead to types that the index leaves out."""
    is_added = parameter.number >= ADDED_FROM and not parameter.parts
    return tuple(
        (branch.type, many(branch))
        for branch in branches(parameter)
        if not is_added or branch.type == "Extension" or fits(branch.type, parameter)
    )


def _of_extension(extension: dict[str, Any]) -> Iterator[_Value]:
    """The value, whose type is told by its key: `valueCodeableConcept`, `valueString`."""
    for key, value in extension.items():
        if key.startswith("value"):
            name = key[5:]
            yield (name if isinstance(value, dict) else name[0].lower() + name[1:]), value
