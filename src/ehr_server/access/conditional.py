"""Who is meant by the criteria of a conditional interaction.

https://hl7.org/fhir/R4/http.html#ccreate
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ehr_server.access.caller import Caller
from ehr_server.access.find import at_most, identifiers_of
from ehr_server.access.restrict import restrict
from ehr_server.fhir.bundle import identity
from ehr_server.identity.forms import Key
from ehr_server.search.query import Condition, Query
from ehr_server.search.types import token
from ehr_server.store.connect import Connection, Store, by_index, snapshot
from ehr_server.store.merged import records


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
    led = _led(carried)
    found = {at: list(_meant(condition, carried, led)) for at, condition in conditions.items()}
    if records(connection, {row.comp for row in rows}):
        # A merged record was left out if the one that survives was found, by whichever query: who
        # found nothing may have meant the merged one alone.
        empty = [(at, one) for at, one in queries if not found[at]]
        found |= _carriers(store, connection, empty, caller) if empty else {}
    return found


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
    """The one criterion that was asked for; what access added comes after it."""
    first = query.criteria[0]
    if not isinstance(first, Condition):
        raise TypeError(first)
    return first
