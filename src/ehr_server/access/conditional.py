"""Who is meant by the criteria of a conditional interaction.

https://hl7.org/fhir/R4/http.html#ccreate
"""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ehr_server.access.caller import Caller
from ehr_server.access.find import at_most, identifiers_of
from ehr_server.fhir.bundle import identity
from ehr_server.hashing import person_comp
from ehr_server.identity.forms import Key
from ehr_server.search.query import At, Condition, Query
from ehr_server.search.types import token
from ehr_server.store.connect import Connection, Store, by_index, snapshot
from ehr_server.store.merged import records
from ehr_server.store.read import places

_PATIENT = "Patient"
_OF_A_RECORD = frozenset(("_id", "link"))  # what tells one record of a person from the others


def matches(
    store: Store, connection: Connection, queries: Sequence[Query], caller: Caller
) -> list[list[str]]:
    """For each query the ids of what it finds: enough of them to tell none, one and several.

    For conditional interactions, https://hl7.org/fhir/R4/http.html#ccreate. Queries for one
    identifier each, the normal road of a push, are asked together, a statement per type. Of a
    person whose records were merged the one that survives is meant, by whichever it is found.
    """
    queries = [_asked(query) for query in queries]
    found: dict[int, list[str]] = {}
    for together in _by_identifier(queries):
        found |= _carriers(store, connection, [(at, queries[at]) for at in together], caller)
    for at, query in enumerate(queries):
        if at not in found:
            found[at] = _alone(store, connection, query, caller)
    of_persons = {id_ for at, query in enumerate(queries) if query.with_merged for id_ in found[at]}
    survivors = _survivors(store, connection, of_persons, caller) if of_persons else {}
    return [
        list(dict.fromkeys(survivors.get(id_, id_) for id_ in found[at]))
        if query.with_merged
        else found[at]
        for at, query in enumerate(queries)
    ]


def _asked(query: Query) -> Query:
    """The query as it is run: for persons, unless it names one record, or links between them."""
    names = {re.split("[:.]", name, maxsplit=1)[0] for name, _ in query.asked}
    is_of_persons = query.type == _PATIENT and names.isdisjoint(_OF_A_RECORD)
    return replace(query, order=(), page=None, with_merged=is_of_persons)


def _alone(store: Store, connection: Connection, query: Query, caller: Caller) -> list[str]:
    """One of the person's records more than there are, where the first are of one person: so that
    another person cannot hide behind them."""
    found = _first(store, connection, query, caller, 2)
    if len(found) > 1 and query.with_merged:
        group = records(connection, {person_comp(id_) for id_ in found})
        if len({one.person for one in group if one.id in found}) == 1:
            found = _first(store, connection, query, caller, len(group) + 1)
    return found


def _first(
    store: Store, connection: Connection, query: Query, caller: Caller, most: int
) -> list[str]:
    rows = at_most(store, connection, query, caller, most)
    return [identity(row.content)[1] for row in rows]


def _survivors(
    store: Store, connection: Connection, ids: Collection[str], caller: Caller
) -> dict[str, str]:
    """For records of persons that have several the id of the one that survives, where the caller
    may see that one."""
    group = records(connection, {person_comp(id_) for id_ in ids})
    roots = {one.person: one.id for one in group if one.target is None}
    lie = places(connection, [(_PATIENT, id_) for id_ in roots.values()])
    if not lie:
        return {}
    at = At(tuple((place.comp, place.key) for place in lie.values()))
    query = Query(_PATIENT, (at,))
    seen = set(_first(store, connection, query, caller, len(lie)))
    return {one.id: roots[one.person] for one in group if roots.get(one.person) in seen}


def _by_identifier(queries: Sequence[Query]) -> Iterable[list[int]]:
    """The places of queries that ask for an identifier and nothing else, two or more of a type."""
    by_type: dict[str, list[int]] = {}
    for at, query in enumerate(queries):
        if [name for name, _ in query.asked] == ["identifier"]:
            by_type.setdefault(query.type, []).append(at)
    return [together for together in by_type.values() if len(together) > 1]


def _carriers(
    store: Store, connection: Connection, queries: Sequence[tuple[int, Query]], caller: Caller
) -> dict[int, list[str]]:
    """Who carries the identifiers of the queries; nothing where there are too many to tell."""
    conditions = {at: _condition(query) for at, query in queries}
    every = {one: None for condition in conditions.values() for one in condition.alternatives}
    first = queries[0][1]
    together = Condition("identifier", tuple(every))
    most = 2 * len(queries) + 10
    query = replace(first, criteria=(together,))
    with snapshot(connection), by_index(connection):
        rows = at_most(store, connection, query, caller, most)
    if len(rows) == most:
        return {}
    carried = [(identity(row.content)[1], identifiers_of(row.content)) for row in rows]
    led = _led(carried)
    return {at: list(_meant(condition, carried, led)) for at, condition in conditions.items()}


_Carrier = tuple[str, Sequence[Any]]  # an id, and the Identifiers


def _led(carried: Iterable[_Carrier]) -> dict[Key, list[str]]:
    """By what an identifier is found by: who carries it. To hold each of 400 queries against each
    of 400 carriers would take longer than to write them."""
    led: dict[Key, list[str]] = {}
    for id_, identifiers in carried:
        for key in token.keys_held(identifiers):
            led.setdefault(key, []).append(id_)
    return led


def _meant(
    condition: Condition, carried: Iterable[_Carrier], led: Mapping[Key, Sequence[str]]
) -> Iterator[str]:
    """The carriers of one query, each once."""
    first = condition.alternatives[0].parameter
    keys = token.keys_sought(condition.terms, first)
    if keys is not None:
        yield from sorted({id_ for key in keys for id_ in led.get(key, ())})
        return
    for id_, identifiers in carried:
        if any(
            token.is_met(identifiers, one.term, one.parameter) for one in condition.alternatives
        ):
            yield id_


def _condition(query: Query) -> Condition:
    """The one criterion that was asked for."""
    first = query.criteria[0]
    if not isinstance(first, Condition):
        raise TypeError(first)
    return first
