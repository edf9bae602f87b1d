"""Who is meant by the criteria of a conditional interaction.

https://hl7.org/fhir/R4/http.html#ccreate
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from ehr_server.access.caller import Caller
from ehr_server.access.find import at_most, identifiers_of
from ehr_server.access.restrict import restrict
from ehr_server.fhir.bundle import identity
from ehr_server.search.query import Condition, Query
from ehr_server.search.types import token
from ehr_server.search.types.coded import identifier_hashes
from ehr_server.store.connect import Connection, Store, by_index, snapshot

T = TypeVar("T")


def matches(
    store: Store, connection: Connection, queries: Sequence[Query], caller: Caller
) -> list[list[str]]:
    """For each query the ids of what it finds: enough of them to tell none, one and several.

    For conditional interactions, https://hl7.org/fhir/R4/http.html#ccreate. Queries for one
    identifier each, the normal road of a push, are asked together, a statement per type.
    """
    queries = [replace(restrict(query, caller), order=(), page=None) for query in queries]
    found: dict[int, list[str]] = {}
    for together in _by_identifier(queries):
        found |= _carriers(store, connection, [(at, queries[at]) for at in together], caller)
    for at, query in enumerate(queries):
        if at not in found:
            rows = at_most(store, connection, query, caller, 2)
            found[at] = [identity(match.content)[1] for match in rows]
    return [found[at] for at in range(len(queries))]


def _by_identifier(queries: Sequence[Query]) -> Iterable[list[int]]:
    """The places of queries that ask for an identifier and nothing else, two or more of a type."""
    places: dict[str, list[int]] = {}
    for at, query in enumerate(queries):
        if [name for name, _ in query.asked] == ["identifier"]:
            places.setdefault(query.type, []).append(at)
    return [together for together in places.values() if len(together) > 1]


def _carriers(
    store: Store, connection: Connection, queries: Sequence[tuple[int, Query]], caller: Caller
) -> dict[int, list[str]]:
    """Who carries the identifiers of the queries; nothing where there are too many to tell."""
    conditions = {at: _condition(query) for at, query in queries}
    every = {one: None for condition in conditions.values() for one in condition.alternatives}
    first = queries[0][1]
    together = Condition("identifier", tuple(every))
    most = 2 * len(queries) + 10
    query = replace(first, criteria=(together, *first.criteria[1:]))
    with snapshot(connection), by_index(connection):
        rows = at_most(store, connection, query, caller, most)
    if len(rows) == most:
        return {}
    carried = [(identity(row.content)[1], identifiers_of(row.content)) for row in rows]
    parameter = together.alternatives[0].parameter
    led = _led(parameter.name, [identifiers for _, identifiers in carried])
    return {
        at: [
            id_
            for id_, identifiers in _candidates(condition, led, carried)
            if any(
                token.is_met(identifiers, one.term, one.parameter) for one in condition.alternatives
            )
        ]
        for at, condition in conditions.items()
    }


def _led(name: str, carried: Sequence[Sequence[Any]]) -> dict[int, list[int]]:
    """By the hash of what an identifier is found by: who carries it. To hold each of 400 queries
    against each of 400 carriers would take longer than to write them."""
    led: dict[int, list[int]] = {}
    for where, identifiers in enumerate(carried):
        for identifier in identifiers:
            for hash_ in identifier_hashes(name, identifier):
                led.setdefault(hash_, []).append(where)
    return led


def _candidates(
    condition: Condition, led: Mapping[int, Sequence[int]], carried: Sequence[T]
) -> Sequence[T]:
    """The carriers that may be meant; all of them where a naming system alone is asked for."""
    if not token.leads_by_place(condition.terms):
        return carried
    hashes = (
        hash_ for one in condition.alternatives for hash_ in token.stored(one.parameter, one.term)
    )
    meant = {where for hash_ in hashes for where in led.get(hash_, ())}
    return [carried[where] for where in sorted(meant)]


def _condition(query: Query) -> Condition:
    """The one criterion that was asked for; what access added comes after it."""
    first = query.criteria[0]
    if not isinstance(first, Condition):
        raise TypeError(first)
    return first
