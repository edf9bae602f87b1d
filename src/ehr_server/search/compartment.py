"""What lies in a compartment, as a query.

https://hl7.org/fhir/R4/compartmentdefinition.html. Those of Patients are known to the record
itself; the others are what refers to an Encounter, Practitioner, Device or RelatedPerson.
"""

from collections.abc import Sequence
from dataclasses import replace

from ehr_server.definitions import definitions
from ehr_server.search.query import Alternative, Condition, Criterion, Disjunction, Query
from ehr_server.search.rules import Rules
from ehr_server.search.types.reference import Target
from ehr_server.search.types.token import Token


def members(kind: str) -> Sequence[str]:
    """The types that a compartment may hold, its own included; none if there is no such kind."""
    found = definitions().compartments.get(kind)
    return () if found is None else sorted({kind, *found})


def narrowed(query: Query, kind: str, id_: str, rules: Rules) -> Query:
    """The query for one compartment of the kind alone."""
    query = replace(query, asked=(*query.asked, (kind, id_)))
    if kind == "Patient":
        return replace(query, compartment=(id_,))
    return replace(query, criteria=(*query.criteria, belongs(query.type, kind, (id_,), rules)))


def belongs(type_name: str, kind: str, ids: Sequence[str], rules: Rules) -> Criterion:
    """The criterion that a resource of the type is in one of the compartments."""
    by_code = rules.parameters.of(type_name).by_code

    if not ids:
        return Disjunction(())
    links: list[Criterion] = [
        Condition(code, tuple(Alternative(source.parameter, Target(id_, (kind,))) for id_ in ids))
        for code in definitions().compartments[kind].get(type_name, ())
        for source in by_code[code]
    ]
    if type_name == kind:
        (source,) = by_code["_id"]
        terms = (Alternative(source.parameter, Token(None, id_)) for id_ in ids)
        links.append(Condition("_id", tuple(terms)))
    return links[0] if len(links) == 1 else Disjunction(tuple(links))
