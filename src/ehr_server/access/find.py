"""Running a query: the one door to what is found, and access stands in it.

https://hl7.org/fhir/R4/search.html
"""

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import Any

from ehr_server.access.caller import Caller
from ehr_server.access.restrict import restrict
from ehr_server.errors import Invalid
from ehr_server.fhir import json
from ehr_server.fhir.bundle import identity
from ehr_server.issue import Issue
from ehr_server.search.page import Keyset, seal, unseal
from ehr_server.search.plan import LOOKED_UP_MAX, Plan, lookups, plan
from ehr_server.search.query import Condition, Query
from ehr_server.search.sql import Sql
from ehr_server.search.types import token
from ehr_server.store.connect import Connection, Store, snapshot

COUNT_BOUND = 5_000  # matches that are counted without being asked to


@dataclass(frozen=True, slots=True)
class Match:
    """A resource that was found: `content` as stored and served."""

    comp: int
    key: int
    content: bytes


@dataclass(frozen=True, slots=True)
class Found:
    """A page. `total` None: not counted; `next` is the token of the page after it, if any."""

    matches: tuple[Match, ...]
    total: int | None
    next: str | None = None


def find(
    store: Store, connection: Connection, query: Query, caller: Caller, page_key: bytes
) -> Found:
    """One page of what the query finds and the caller may see.

    Raises `Invalid` for a page token of another search, and for a look-up that leads to too many.
    """
    query = restrict(query, caller)
    with _one_moment(connection, query):
        return _find(store, connection, query, page_key)


def matches(
    store: Store, connection: Connection, queries: Sequence[Query], caller: Caller
) -> list[list[str]]:
    """For each query the ids of what it finds: enough of them to tell none, one and several.

    For conditional interactions, https://hl7.org/fhir/R4/http.html#ccreate. Queries for one
    identifier each, the normal road of a push, are asked together, a statement per type.
    """
    asked = [replace(restrict(query, caller), sort=(), page=None) for query in queries]
    found: dict[int, list[str]] = {}
    for together in _by_identifier(asked):
        found |= _carriers(store, connection, [(at, asked[at]) for at in together])
    for at, query in enumerate(asked):
        if at not in found:
            rows = _few(store, connection, query, 2)
            found[at] = [identity(match.content)[1] for match in rows]
    return [found[at] for at in range(len(asked))]


def _find(store: Store, connection: Connection, query: Query, page_key: bytes) -> Found:
    keyset = unseal(query.page, query, page_key) if query.page is not None else None
    ready = _ready(connection, query)
    if ready is None:
        return Found((), None if query.total == "none" and query.count else 0)
    if query.count == 0:
        return Found((), _count(connection, ready, None))
    rows = _run(connection, ready.page(query.count + 1, keyset), ready.is_pinned)
    here, is_last = rows[: query.count], len(rows) <= query.count
    matches = _checked(query, (_match(store, row) for row in here))
    if keyset is not None:
        total = keyset.total
    elif query.total == "none":
        total = None
    else:
        total = len(matches) if is_last else _total(connection, ready)
    after = None if is_last else seal(Keyset(here[-1][4:], here[-1][1], total), query, page_key)
    return Found(matches, total, after)


def _one_moment(connection: Connection, query: Query) -> AbstractContextManager[None]:
    """Between a directory and the record a resource may move to another patient's compartment;
    Patients stay where they are."""
    is_looked_up = query.type != "Patient" and bool(lookups(query))
    return snapshot(connection) if is_looked_up else nullcontext()


def _by_identifier(queries: Sequence[Query]) -> Iterable[list[int]]:
    """The places of queries that ask for an identifier and nothing else, two or more of a type."""
    places: dict[str, list[int]] = {}
    for at, query in enumerate(queries):
        if [condition.name for condition in query.conditions] == ["identifier"]:
            places.setdefault(query.type, []).append(at)
    return [together for together in places.values() if len(together) > 1]


def _carriers(
    store: Store, connection: Connection, queries: Sequence[tuple[int, Query]]
) -> dict[int, list[str]]:
    """Who carries the identifiers of the queries; nothing where there are too many to tell."""
    every = {one: None for _, query in queries for one in query.conditions[0].alternatives}
    condition = replace(queries[0][1].conditions[0], alternatives=tuple(every))
    most = 2 * len(queries) + 10
    rows = _few(store, connection, replace(queries[0][1], conditions=(condition,)), most)
    if len(rows) == most:
        return {}
    carried = [(identity(row.content)[1], _identifiers(row.content)) for row in rows]
    return {
        at: [
            id_
            for id_, identifiers in carried
            if any(token.is_met(identifiers, term) for term in query.conditions[0].terms)
        ]
        for at, query in queries
    }


def _few(store: Store, connection: Connection, query: Query, most: int) -> tuple[Match, ...]:
    ready = _ready(connection, query)
    if ready is None:
        return ()
    rows = _run(connection, ready.page(most, None), ready.is_pinned)
    return _checked(query, (_match(store, row) for row in rows))


def _ready(connection: Connection, query: Query) -> Plan | None:
    """The plan once the directories are asked; None if they say that there is nothing."""
    found: dict[str, Sequence[tuple[int, int]]] = {}
    for name, statement in lookups(query).items():
        rows = _run(connection, statement, True)
        if len(rows) > LOOKED_UP_MAX:
            raise Invalid(issues=[_TOO_MANY])
        found[name] = [(row[0], row[1]) for row in rows]
    return plan(query, found)


def _run(connection: Connection, statement: Sql, is_pinned: bool) -> list[tuple[Any, ...]]:
    """Prepared where one plan fits all values; else planned anew, by how common these are."""
    prepare = None if is_pinned else False
    return connection.execute(statement.text, statement.params, prepare=prepare).fetchall()


def _match(store: Store, row: Sequence[Any]) -> Match:
    comp, key, enc, content = row[:4]
    return Match(comp, key, store.contents.unpack(enc, content))


def _checked(query: Query, found: Iterable[Match]) -> tuple[Match, ...]:
    """Those that really carry the identifiers asked for: a hash of 64 bits may be another's.

    A compartment needs no such look, because the reference to the patient is hashed apart.
    """
    sought = [one for one in query.conditions if _is_identifier(one)]
    if not sought:
        return tuple(found)
    return tuple(match for match in found if _carries(match.content, sought))


def _is_identifier(condition: Condition) -> bool:
    parameter = condition.parameter
    return parameter is not None and parameter.place == "identifier"


def _carries(content: bytes, sought: Sequence[Condition]) -> bool:
    identifiers = _identifiers(content)
    return all(
        any(token.is_met(identifiers, term) for term in condition.terms) for condition in sought
    )


def _identifiers(content: bytes) -> Sequence[Any]:
    given = json.read_own(content).get("identifier", [])
    return given if isinstance(given, list) else [given]


def _total(connection: Connection, ready: Plan) -> int | None:
    """As the query wants it; None where that takes more than counting to `COUNT_BOUND`."""
    if ready.query.total == "accurate":
        return _count(connection, ready, None)
    number = _count(connection, ready, COUNT_BOUND + 1)
    if number <= COUNT_BOUND:
        return number
    return _estimate(connection, ready) if ready.query.total == "estimate" else None


def _count(connection: Connection, ready: Plan, limit: int | None) -> int:
    return int(_run(connection, ready.count(limit), ready.is_pinned)[0][0])


def _estimate(connection: Connection, ready: Plan) -> int:
    """What the database's statistics say, at least what was counted."""
    rows = ready.all_rows()
    statement = Sql(f"explain (format json) {rows.text}", rows.params)
    ((plans,),) = _run(connection, statement, False)
    return max(COUNT_BOUND + 1, int(plans[0]["Plan"]["Plan Rows"]))


_TOO_MANY = Issue(
    "error",
    "too-costly",
    "The identifier is carried by too many; name its system too.",
    vi="Quá nhiều người mang định danh này; xin nêu cả hệ định danh.",
)
