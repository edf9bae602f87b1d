"""What a search finds of a person who has several records: see `search.persons`.

One look at a small directory (`store.merged`), and none where nobody is named. It is not of one
moment with what follows: a merge moves nothing, so whoever asks while two records become one finds
what is with the one named, as a moment before.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from ehr_server.hashing import person_comp
from ehr_server.search.persons import is_link, named, widened
from ehr_server.search.query import At, Chain, Condition, Has, Negation, Query
from ehr_server.store.connect import Connection
from ehr_server.store.merged import Record, persons, records

Known = dict[Any, Any]  # what was looked up before, by what was asked about

_PATIENT = "Patient"


def of_persons(connection: Connection, query: Query, known: Known) -> Query:
    """The query about the persons whom it names, by whichever of their records."""
    asked = named(query)
    if not asked:
        return query
    if asked not in known:
        comps = {person_comp(id_) for id_ in asked}
        known[asked] = _others(asked, records(connection, comps))
    return widened(query, known[asked])


def reached(connection: Connection, chain: Chain | Has, own: Collection[int]) -> set[int]:
    """The hashes of all that a chain leads to (`hashing.own_comp`), the other records of the
    persons among them too."""
    if not own or not _leads_to_persons(chain):
        return set(own)
    # Of what is no Patient there is no row. That of one differs from its compartment in one bit.
    found = records(connection, {one | 1 for one in own})
    return {*own, *(one.comp & ~1 for one in found)}


def superseded(
    connection: Connection, query: Query, found: Collection[tuple[int, int]]
) -> Negation | None:
    """What to leave out of Patients found by a number, at the places (comp, key): records that were
    merged, where the one that survives is found too. None if there are none."""
    comps = {comp for comp, _ in found}
    person = persons(connection, comps) if query.type == _PATIENT and len(comps) > 1 else {}
    places = [
        (comp, key)
        for comp, key in found
        if person.get(comp, comp) != comp and person[comp] in comps
    ]
    return Negation(At(tuple(places))) if places else None


def numbers(query: Query) -> list[Condition]:
    """The criteria by which people are looked up in the directory of identifiers."""
    return [
        one
        for one in query.criteria
        if isinstance(one, Condition)
        and one.parameter is not None
        and one.parameter.place == "identifier"
    ]


def _others(asked: Collection[str], found: Sequence[Record]) -> Mapping[str, Sequence[str]]:
    person = {one.id: one.person for one in found}
    return {
        id_: sorted(one.id for one in found if one.person == person[id_] and one.id != id_)
        for id_ in asked
        if id_ in person
    }


def _leads_to_persons(chain: Chain | Has) -> bool:
    if is_link(chain.source.parameter):
        return False
    if isinstance(chain, Chain):
        return chain.type == _PATIENT
    return not chain.source.targets or _PATIENT in chain.source.targets
