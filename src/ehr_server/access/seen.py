"""Whether a caller may see a resource, or a version of one, that was not found by a search.

A read asks the same query that a search does, narrowed in the same way. Of a version there is no
narrow row, so what the criteria ask for is held against its content: it may have been of another
patient, or have been labelled otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import chain
from typing import TYPE_CHECKING, Any

from ehr_server.access.directories import ready
from ehr_server.access.restrict import restrict
from ehr_server.access.rights import IN_CONTEXT
from ehr_server.fhir import json, references
from ehr_server.search.match import NO_OTHERS, matches
from ehr_server.search.query import At, Query, asks_others
from ehr_server.search.sql import Sql, all_of
from ehr_server.search.where import asked_of_directories, chains, of_type, table, where
from ehr_server.store.directives import rules_of
from ehr_server.store.read import Place, current, place

if TYPE_CHECKING:
    from ehr_server.access.caller import Caller
    from ehr_server.access.rights import Reach, Rights
    from ehr_server.store.connect import Connection, Store

_CONTEXT = "securityContext"
_NOWHERE = Place(0, 0, live=True)  # no key is 0


def seen(
    store: Store, connection: Connection, caller: Caller, type_name: str, several: Sequence[Place]
) -> set[int]:
    """The keys of those resources of a type, of the places where they lie, that the caller may
    read. What was deleted can be seen by those alone from whom nothing of the type is withheld."""
    if caller.sees_all(type_name):
        return {one.key for one in several}
    live = [one for one in several if one.live]
    if type_name in IN_CONTEXT:
        return {one.key for one in live if _is_in_context(store, connection, caller, one)}
    return _found(connection, caller, type_name, live)


def readable(
    store: Store, connection: Connection, caller: Caller, type_name: str, id_: str
) -> Place | None:
    """Where a resource lies, or once lay, that the caller may read; None as if it never was.

    Of one that is not there as much is asked as of one that is hidden: the time tells no more than
    the answer.
    """
    at = place(connection, type_name, id_)
    if caller.sees_all(type_name):
        return at
    asked = at if at is not None and at.live else _NOWHERE
    found = seen(store, connection, caller, type_name, [asked])
    return at if at is not None and at.key in found else None


def visible(
    store: Store, connection: Connection, caller: Caller, contents: Sequence[bytes]
) -> list[bool]:
    """Of versions of resources that the caller may read now, whether each is told too."""
    rights = caller.narrowing
    if rights is None:
        return [True] * len(contents)
    told = []
    for content in contents:
        resource = json.read_stored(content)
        reach = rights.reach(resource["resourceType"], "r")
        is_told = is_within(connection, rights, reach, resource)
        if is_told and not caller.sees_all("Binary") and resource["resourceType"] in IN_CONTEXT:
            is_told = _context_is_seen(store, connection, caller, resource)
        told.append(is_told)
    return told


def is_within(
    connection: Connection, rights: Rights, reach: Reach | None, resource: Mapping[str, Any]
) -> bool:
    """Whether a resource in hand is within a reach of the rights, by what stands in it and what the
    persons it is about say. Where that depends on other resources, it is not."""
    others = replace(NO_OTHERS, directives=lambda comps: rules_of(connection, comps))
    return reach is not None and all(
        not asks_others(one) and matches(one, dict(resource), rights.rules, others)
        for one in reach.criteria
    )


def _found(
    connection: Connection, caller: Caller, type_name: str, live: Sequence[Place]
) -> set[int]:
    if not live:
        return set()
    at = At(tuple((one.comp, one.key) for one in live))
    rows = _rows(connection, restrict(Query(type_name, (at,)), caller))
    if rows is None:
        return set()
    return {key for (key,) in connection.execute(rows.text, rows.params)}


def _rows(connection: Connection, query: Query) -> Sql | None:
    """The keys of what a query finds, in no order. Of one that asks no directory and follows no
    chain, as nearly all do, no plan is made: the places say where the rows lie."""
    criteria = query.criteria
    if any(True for one in criteria for _ in chain(asked_of_directories(one), chains(one))):
        plan = ready(connection, query)
        return None if plan is None else plan.gathered("r.key")
    met = all_of((*of_type((query.type,), "r"), *(where(one, "r", {}) for one in criteria)))
    return Sql(f"select r.key from {table(query.type)} r where {met.text}", met.params)


def _is_in_context(store: Store, connection: Connection, caller: Caller, at: Place) -> bool:
    """A Binary is seen by who sees what its securityContext names, and by nobody where it names
    nothing: https://hl7.org/fhir/R4/binary-definitions.html#Binary.securityContext."""
    rights = caller.narrowing
    if rights is None or rights.reach("Binary", "r") is None:
        return False
    version = current(store, connection, "Binary", at)
    return version is not None and _context_is_seen(
        store, connection, caller, json.read_stored(version.content)
    )


def _context_is_seen(
    store: Store, connection: Connection, caller: Caller, binary: Mapping[str, Any]
) -> bool:
    rights = caller.narrowing
    base = rights.rules.base if rights is not None else ""
    found = references.parse(binary.get(_CONTEXT, {}).get("reference", ""), base)
    if found.kind != "local" or not found.type or not found.id or found.type in IN_CONTEXT:
        return False
    lies = place(connection, found.type, found.id)
    return lies is not None and bool(seen(store, connection, caller, found.type, [lies]))
