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
from ehr_server.search.facts import LOOKED_UP_MAX, Facts
from ehr_server.search.page import Keyset, seal, unseal
from ehr_server.search.plan import Plan, asked, plan
from ehr_server.search.query import Chain, Condition, Criterion, Has, Query
from ehr_server.search.sql import Sql
from ehr_server.search.types import reference, token
from ehr_server.search.where import REACHED_MAX, Reached, chains, leads_home
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
    """A page. `total` None: not counted; `next` and `previous` are the tokens of the pages beside
    it, if any."""

    matches: tuple[Match, ...]
    total: int | None
    next: str | None = None
    previous: str | None = None


def find(
    store: Store, connection: Connection, query: Query, caller: Caller, page_key: bytes
) -> Found:
    """One page of what the query finds and the caller may see.

    Raises `Invalid` for a page token of another search, and for a look-up that leads to too many.
    """
    query = restrict(query, caller)
    with _one_moment(connection, query):
        return _find(store, connection, query, caller, page_key)


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
            rows = _few(store, connection, query, caller, 2)
            found[at] = [identity(match.content)[1] for match in rows]
    return [found[at] for at in range(len(queries))]


def ready(connection: Connection, query: Query, caller: Caller) -> Plan | None:
    """The plan of a query that access has narrowed, once the directories are asked; None if they
    say that there is nothing."""
    return plan(query, _facts(connection, query, caller))


def _find(
    store: Store, connection: Connection, query: Query, caller: Caller, page_key: bytes
) -> Found:
    keyset = unseal(query.page, query, page_key) if query.page is not None else None
    planned = ready(connection, query, caller)
    if planned is None:
        return Found((), None if query.total == "none" and query.count else 0)
    if query.count == 0:
        return Found((), _count(connection, planned, None))
    rows = _rows(connection, planned, query.count + 1, keyset)
    is_back = keyset is not None and keyset.is_back
    is_end = len(rows) <= query.count
    rows = rows[: query.count]
    if is_back:
        rows.reverse()
    matches = _checked(query, (_match(store, row) for _, row in rows))
    total = _told(connection, planned, keyset, None if is_back or not is_end else len(rows))
    is_first = keyset is None or (is_back and is_end)
    is_last = is_end and not is_back

    def beside(at: int, *, back: bool) -> str | None:
        stage, row = rows[at]
        return seal(Keyset(tuple(row[4:]), row[1], total, stage, back), query, page_key)

    return Found(
        matches,
        total,
        beside(-1, back=False) if rows and not is_last else None,
        beside(0, back=True) if rows and not is_first else None,
    )


def _rows(
    connection: Connection, planned: Plan, limit: int, keyset: Keyset | None
) -> list[tuple[int, tuple[Any, ...]]]:
    """The next rows in order, each with its stage; of a page that goes back, in reversed order."""
    stages = list(enumerate(planned.stages))
    if keyset is not None and keyset.is_back:
        stages = [(at, stage.turned()) for at, stage in reversed(stages[: keyset.stage + 1])]
    elif keyset is not None:
        stages = stages[keyset.stage :]
    found: list[tuple[int, tuple[Any, ...]]] = []
    for at, stage in stages:
        if len(found) < limit:
            here = keyset if keyset is not None and keyset.stage == at else None
            statement = planned.page(limit - len(found), stage, here)
            rows = _run(connection, statement, planned.is_pinned)
            found += [(at, row) for row in rows]
    return found


def _told(
    connection: Connection, planned: Plan, keyset: Keyset | None, known: int | None
) -> int | None:
    """The total: as on the first page; there `known`, if the page is all there is."""
    if keyset is not None:
        return keyset.total
    if planned.query.total == "none":
        return None
    return known if known is not None else _total(connection, planned)


def _one_moment(connection: Connection, query: Query) -> AbstractContextManager[None]:
    """Between a directory and the record a resource may move to another patient's compartment;
    Patients stay where they are."""
    is_asked = any(True for _ in asked(query)) or any(
        True for criterion in query.criteria for _ in chains(criterion)
    )
    return snapshot(connection) if query.type != "Patient" and is_asked else nullcontext()


def _facts(connection: Connection, query: Query, caller: Caller) -> Facts:
    """What the directories say, and where chains lead to."""
    found: dict[Any, Any] = {}
    for lookup in asked(query):
        rows = _run(connection, lookup.statement, True)
        if len(rows) > LOOKED_UP_MAX:
            raise Invalid(issues=[_TOO_MANY])
        found[lookup.about] = rows
    for criterion in query.criteria:
        for chain in chains(criterion):
            if chain not in found:
                found[chain] = _reached(connection, chain, caller)
    return found


def _reached(connection: Connection, chain: Chain | Has, caller: Caller) -> Reached:
    """Follow a chain one step: to what it refers to, or to whom is referred. What the caller may
    not see leads nowhere."""
    query = restrict(Query(chain.type, (chain.criterion,)), caller)
    facts = _facts(connection, query, caller)
    planned = plan(query, facts)
    if planned is None:
        return Reached((), (), facts)
    rows = _run(connection, planned.reached(REACHED_MAX + 1), planned.is_pinned)
    if len(rows) > REACHED_MAX:
        return Reached(None, (), facts)
    own = _ends(chain, rows)
    return Reached(tuple(sorted(own)), tuple(sorted({row[0] for row in rows})), facts)


def _ends(chain: Chain | Has, rows: Sequence[tuple[Any, ...]]) -> set[int]:
    """The `own` hashes at the end of a chain, of rows of (comp, own, refs) that meet it."""
    if isinstance(chain, Chain):
        return {own for _, own, _ in rows}
    mark = reference.mark(chain.source.parameter)
    if leads_home(chain):  # one may lie there by another reference, as an author
        return {comp & ~1 for comp, _, refs in rows if (comp & ~1) ^ mark in refs}
    return {ref ^ mark for _, _, refs in rows for ref in refs}


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
    rows = _few(store, connection, query, caller, most)
    if len(rows) == most:
        return {}
    carried = [(identity(row.content)[1], _identifiers(row.content)) for row in rows]
    return {
        at: [
            id_
            for id_, identifiers in carried
            if any(token.is_met(identifiers, term) for term in condition.terms)
        ]
        for at, condition in conditions.items()
    }


def _condition(query: Query) -> Condition:
    """The one criterion that was asked for; what access added comes after it."""
    first = query.criteria[0]
    if not isinstance(first, Condition):
        raise TypeError(first)
    return first


def _few(
    store: Store, connection: Connection, query: Query, caller: Caller, most: int
) -> tuple[Match, ...]:
    planned = ready(connection, query, caller)
    if planned is None:
        return ()
    rows = _rows(connection, planned, most, None)
    return _checked(query, (_match(store, row) for _, row in rows))


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
    sought = [one for one in query.criteria if _is_identifier(one)]
    if not sought:
        return tuple(found)
    return tuple(match for match in found if _carries(match.content, sought))


def _is_identifier(criterion: Criterion) -> bool:
    return (
        isinstance(criterion, Condition)
        and criterion.parameter is not None
        and criterion.parameter.place == "identifier"
    )


def _carries(content: bytes, sought: Sequence[Criterion]) -> bool:
    identifiers = _identifiers(content)
    return all(
        any(token.is_met(identifiers, term) for term in criterion.terms)
        for criterion in sought
        if isinstance(criterion, Condition)
    )


def _identifiers(content: bytes) -> Sequence[Any]:
    given = json.read_own(content).get("identifier", [])
    return given if isinstance(given, list) else [given]


def _total(connection: Connection, planned: Plan) -> int | None:
    """As the query wants it; None where that takes more than counting to `COUNT_BOUND`."""
    if planned.query.total == "accurate":
        return _count(connection, planned, None)
    number = _count(connection, planned, COUNT_BOUND + 1)
    if number <= COUNT_BOUND:
        return number
    return _estimate(connection, planned) if planned.query.total == "estimate" else None


def _count(connection: Connection, planned: Plan, limit: int | None) -> int:
    return int(_run(connection, planned.count(limit), planned.is_pinned)[0][0])


def _estimate(connection: Connection, planned: Plan) -> int:
    """What the database's statistics say, at least what was counted."""
    rows = planned.all_rows()
    statement = Sql(f"explain (format json) {rows.text}", rows.params)
    ((plans,),) = _run(connection, statement, False)
    return max(COUNT_BOUND + 1, int(plans[0]["Plan"]["Plan Rows"]))


_TOO_MANY = Issue(
    "error",
    "too-costly",
    "The identifier is carried by too many; name its system too.",
    vi="Quá nhiều người mang định danh này; xin nêu cả hệ định danh.",
)
