"""A query that names a Patient, made one about the person: all records that were merged.

A merge rewrites no reference (docs/decisions/0018-one-person-several-compartments.md), so what is
said of a person lies with each of their records, and who asks by one of them asks for all. Not so
where that very version is named (`subject=Patient/1/_history/2`), where a Patient is asked for by
its own id, and where the links between the records are asked for (`Patient?link=Patient/1`).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from ehr_server.search.parameter import Parameter
from ehr_server.search.query import (
    Alternative,
    Chain,
    Condition,
    Conjunction,
    Criterion,
    Disjunction,
    Has,
    Negation,
    Query,
)
from ehr_server.search.types.reference import Target

_PATIENT = "Patient"

Others = Mapping[str, Sequence[str]]  # id of a Patient -> those of the other records of the person


def named(query: Query) -> frozenset[str]:
    """The ids that are, or may be, of Patients that the query names."""
    found = {id_ for criterion in query.criteria for id_ in _named(criterion)}
    return frozenset((*found, *(query.compartment or ())))


def widened(query: Query, others: Others) -> Query:
    """The query, with the other records of each person beside the one that it names."""
    if not others:
        return query
    compartment = query.compartment
    if compartment is not None:
        further = (id_ for one in compartment for id_ in others.get(one, ()))
        compartment = tuple(dict.fromkeys((*compartment, *further)))
    criteria = tuple(_widened(one, others) for one in query.criteria)
    return replace(query, criteria=criteria, compartment=compartment)


def is_link(parameter: Parameter) -> bool:
    """Whether it is the one that tells of the other records of a person."""
    return (parameter.base, parameter.code) == (_PATIENT, "link")


def _named(criterion: Criterion) -> Iterator[str]:
    match criterion:
        case Condition():
            yield from filter(None, map(_patient, criterion.alternatives))
        case Conjunction() | Disjunction():
            for one in criterion.criteria:
                yield from _named(one)
        case Negation() | Chain() | Has():
            yield from _named(criterion.criterion)


def _widened(criterion: Criterion, others: Others) -> Criterion:
    match criterion:
        case Condition():
            further = [
                Alternative(one.parameter, Target(id_, (_PATIENT,)))
                for one in criterion.alternatives
                for id_ in others.get(_patient(one) or "", ())
            ]
            alternatives = tuple(dict.fromkeys((*criterion.alternatives, *further)))
            return replace(criterion, alternatives=alternatives) if further else criterion
        case Conjunction() | Disjunction():
            several = tuple(_widened(one, others) for one in criterion.criteria)
            return replace(criterion, criteria=several)
        case Negation() | Chain() | Has():
            return replace(criterion, criterion=_widened(criterion.criterion, others))
    return criterion


def _patient(one: Alternative) -> str | None:
    """The id that an alternative names, where that may be a Patient's."""
    term = one.term
    if not isinstance(term, Target) or _PATIENT not in term.types or term.version is not None:
        return None
    return None if is_link(one.parameter) else term.id
