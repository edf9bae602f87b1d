"""Running a query: the one door to what is found, and access stands in it.

https://hl7.org/fhir/R4/search.html. `find` reads from top to bottom: access narrows the query, the
directories are asked (`access.directories`), a page is read by one of the ways that `search.plan`
explains (`_page` chooses), the total is told, and the links beside the page are made.
"""

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import Any

from ehr_server.access.caller import Caller
from ehr_server.access.directories import believed, estimated, ready, run
from ehr_server.access.persons import Known, numbers
from ehr_server.access.restrict import restrict
from ehr_server.definitions import definitions
from ehr_server.errors import Invalid
from ehr_server.fhir import json
from ehr_server.identity.forms import Key
from ehr_server.issue import Issue
from ehr_server.search.page import Keyset, seal, unseal
from ehr_server.search.plan import BELIEVED, FEW, GROWN, Plan, asked
from ehr_server.search.query import Alternative, Condition, Query
from ehr_server.search.several import Several, together
from ehr_server.search.sort import Stage
from ehr_server.search.sql import Sql
from ehr_server.search.types import token
from ehr_server.search.where import chains, table
from ehr_server.store.connect import Connection, Store, snapshot
from ehr_server.store.read import contents_of


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
    with _one_moment(connection, (query,)):
        planned = ready(connection, query)
        found = _found(_One(store, connection, planned) if planned else None, query, page_key)
    return _told(found, (query,), caller)


def find_types(
    store: Store,
    connection: Connection,
    queries: Sequence[Query],
    caller: Caller,
    page_key: bytes,
) -> Found:
    """As `find`, of several types: a query for each (`search.parse.parse_types`)."""
    asked_for, queries = queries, [restrict(query, caller) for query in queries]
    # As it was asked for, of all types alike: what access asks for is of each type its own.
    total = next((one.total for one in queries if one.total == "accurate"), queries[0].total)
    types = ",".join(query.type for query in queries)
    whole = replace(asked_for[0], type=types, total=total)
    known: Known = {}
    with _one_moment(connection, queries):
        there = _types_there(connection, asked_for)
        plans = [ready(connection, one, known) for one in queries if one.type in there]
        several = together([one for one in plans if one is not None])
        found = _found(_All(store, connection, several) if several else None, whole, page_key)
    return _told(found, queries, caller)


def at_most(
    store: Store, connection: Connection, query: Query, caller: Caller, most: int
) -> tuple[Match, ...]:
    """The first of what the query finds and the caller may see, so many at most."""
    query = restrict(query, caller)
    planned = ready(connection, query)
    if planned is None:
        return ()
    rows = _rows(_One(store, connection, planned), most, None)
    return _checked(query, [row.match for row in rows])


def _told(found: Found, queries: Sequence[Query], caller: Caller) -> Found:
    """The page, which the caller is told: the access log hears of it."""
    caller.trail.saw([match.comp for match in found.matches])
    for query in queries:
        caller.trail.private.update(query.private)
    return found


@dataclass(frozen=True, slots=True)
class _Row:
    """A row in the order of the answer: its stage, the values sorted by, the resource."""

    stage: int
    key: int
    values: tuple[Any, ...]
    match: Match


@dataclass(frozen=True, slots=True)
class _One:
    """A search of one type, ready to be run."""

    store: Store
    connection: Connection
    plan: Plan

    @property
    def stages(self) -> tuple[Stage, ...]:
        return self.plan.stages

    @property
    def believed(self) -> int:
        return believed(self.connection, table(self.plan.types[0]))

    def of_many(self) -> "_One":
        """Among branches that find many, some may find next to nothing: in the order of all they
        would be looked for to its end."""
        plan, sparse = self.plan, frozenset[int]()
        if len(plan.branches) > 1:
            numbers = [estimated(self.connection, one) for one in plan.gathered_by_branch("1")]
            sparse = frozenset(at for at, one in enumerate(numbers) if one <= self.believed)
        return replace(self, plan=replace(plan, is_many=True, sparse=sparse))

    def read(self, at: int, rows: Iterable[Sequence[Any]]) -> list[_Row]:
        return [_Row(at, row[1], tuple(row[4:]), _match(self.store, row)) for row in rows]


@dataclass(frozen=True, slots=True)
class _All:
    """A search of several types: the contents come from a leaf each, in a further statement."""

    store: Store
    connection: Connection
    plan: Several

    @property
    def stages(self) -> tuple[Stage, ...]:
        return (self.plan.stage,)

    believed = BELIEVED

    def of_many(self) -> "_All":
        plans = tuple(replace(one, is_many=True) for one in self.plan.plans)
        return replace(self, plan=replace(self.plan, plans=plans))

    def read(self, at: int, rows: Sequence[Sequence[Any]]) -> list[_Row]:
        contents = contents_of(self.store, self.connection, [(*row[:4],) for row in rows])
        return [
            _Row(at, row[1], tuple(row[4:]), Match(row[0], row[1], contents[row[1]]))
            for row in rows
            if row[1] in contents
        ]


_Search = _One | _All


def _found(search: _Search | None, query: Query, page_key: bytes) -> Found:
    keyset = unseal(query.page, query, page_key) if query.page is not None else None
    if search is None:
        return Found((), None if query.total == "none" and query.count else 0)
    if query.count == 0:
        return Found((), _count(search))
    page = _page(search, query.count + 1, keyset)
    is_back = keyset is not None and keyset.is_back
    is_end = len(page.rows) <= query.count
    rows = list(page.rows[: query.count])
    if is_back:
        rows.reverse()
    if keyset is not None:
        total = keyset.total
    else:
        total = _total(search, query, len(rows) if is_end else page.number)
    is_first = keyset is None or (is_back and is_end)
    is_last = is_end and not is_back

    def beside(row: _Row, *, back: bool) -> str:
        place = Keyset(row.values, row.key, total, row.stage, back, page.is_many)
        return seal(place, query, page_key)

    return Found(
        _checked(query, [row.match for row in rows]),
        total,
        beside(rows[-1], back=False) if rows and not is_last else None,
        beside(rows[0], back=True) if rows and not is_first else None,
    )


@dataclass(frozen=True, slots=True)
class _Page:
    """Rows in order; how many are found in all, if that is known; whether they were read in
    stages, as many are, and not gathered and sorted, as few are."""

    rows: Sequence[_Row]
    number: int | None
    is_many: bool = True


def _page(search: _Search, limit: int, keyset: Keyset | None) -> _Page:
    """By one of the ways that `search.plan` explains. A link goes on in the way of its page,
    because what the two ways sort by differs."""
    if keyset is not None and not keyset.is_many:
        return _gathered(search, limit, keyset)
    if search.plan.is_pinned:
        return _Page(_rows(search, limit, keyset), None)
    if keyset is None:
        if (begun := _begun(search, limit)) is not None:
            return _Page(begun, None)
        if not _is_many(search):
            return _gathered(search, limit, None)
    return _Page(_rows(search.of_many(), limit, keyset), None)


def _gathered(search: _Search, limit: int, keyset: Keyset | None) -> _Page:
    """A page of few, which are counted by that; of more than was believed, as of many."""
    most = FEW if keyset is None else GROWN
    rows = run(search.connection, search.plan.few(limit, keyset, most), False)
    number = int(rows[0][0])
    if number <= most:
        there = [row[1:] for row in rows if row[1] is not None]
        return _Page(search.read(0, there), number, is_many=False)
    if keyset is not None:
        raise Invalid(issues=[_GROWN])
    return _Page(_rows(search.of_many(), limit, None), None)


def _is_many(search: _Search) -> bool:
    """Whether the database believes so, as far as that is to be trusted."""
    if search.plan.is_correlated:
        return False
    return _estimate(search) > (FEW if search.plan.is_misjudged else search.believed)


def _begun(search: _Search, limit: int) -> Sequence[_Row] | None:
    """A page of texts that begin with all that was asked for, if they fill one: then it does not
    matter how many have the words in another order."""
    if not search.plan.begins_first:
        return None
    rows = _of_stage(search.of_many(), limit, 0, None)
    return rows if len(rows) == limit else None


def _rows(search: _Search, limit: int, keyset: Keyset | None) -> list[_Row]:
    """The next rows in order, each with its stage; of a page that goes back, in reversed order."""
    stages = range(len(search.stages))
    if keyset is not None and keyset.is_back:
        stages = range(keyset.stage, -1, -1)
    elif keyset is not None:
        stages = stages[keyset.stage :]
    found: list[_Row] = []
    for at in stages:
        if len(found) < limit:
            found += _of_stage(search, limit - len(found), at, keyset)
    return found


def _of_stage(search: _Search, limit: int, at: int, keyset: Keyset | None) -> list[_Row]:
    """So too of one stage alone; a keyset of another stage says no more than the direction."""
    stage = search.stages[at]
    if keyset is not None and keyset.is_back:
        stage = stage.turned()
    here = keyset if keyset is not None and keyset.stage == at else None
    statement = search.plan.page(limit, stage, here)
    return search.read(at, run(search.connection, statement, search.plan.is_pinned))


def _types_there(connection: Connection, queries: Sequence[Query]) -> set[str]:
    """The types of which there can be anything: where ids are asked for, which is asked of all
    types alike, those that have one."""
    types = {query.type for query in queries}
    ids = [
        term.code
        for criterion in queries[0].criteria
        if isinstance(criterion, Condition) and criterion.name == "_id"
        for term in criterion.terms
    ]
    if not ids:
        return types
    numbers = [definitions().type_number[name] for name in sorted(types)]
    statement = (
        "select distinct type from rid where type = any(%s::smallint[]) and id = any(%s::text[])"
    )
    rows = run(connection, Sql(statement, (numbers, ids)), True)
    return {definitions().type_name[row[0]] for row in rows}


def _match(store: Store, row: Sequence[Any]) -> Match:
    comp, key, enc, content = row[:4]
    return Match(comp, key, store.contents.unpack(enc, content))


def _total(search: _Search, query: Query, known: int | None) -> int | None:
    """As the query wants it: `known`, if that is; else None where counting takes much."""
    if query.total == "none":
        return None
    if known is not None:
        return known
    if query.total == "accurate" or search.plan.is_pinned:
        return _count(search)
    return max(FEW + 1, _estimate(search)) if query.total == "estimate" else None


def _count(search: _Search) -> int:
    return int(run(search.connection, search.plan.count(), search.plan.is_pinned)[0][0])


def _estimate(search: _Search) -> int:
    return estimated(search.connection, search.plan.gathered("1"))


def _one_moment(connection: Connection, queries: Sequence[Query]) -> AbstractContextManager[None]:
    """Between a directory and the record a resource may move to another patient's compartment;
    Patients stay where they are. So what takes several statements reads as of one moment."""
    if len(queries) == 1 and queries[0].type == "Patient":
        return nullcontext()
    is_asked = len(queries) > 1 or any(
        any(True for _ in asked(query)) or any(True for one in query.criteria for _ in chains(one))
        for query in queries
    )
    return snapshot(connection) if is_asked else nullcontext()


def _checked(query: Query, found: Iterable[Match]) -> tuple[Match, ...]:
    """Those that really carry the identifiers asked for: a hash of 64 bits may be another's.

    A compartment needs no such look, because the reference to the patient is hashed apart.
    """
    sought = [
        (one.alternatives, token.keys_sought(one.terms, one.alternatives[0].parameter))
        for one in numbers(query)
    ]
    if not sought:
        return tuple(found)
    return tuple(match for match in found if _carries(match.content, sought))


_Sought = tuple[Sequence[Alternative], frozenset[Key] | None]  # and the keys that will do


def _carries(content: bytes, sought: Sequence[_Sought]) -> bool:
    identifiers = identifiers_of(content)
    held = token.keys_held(identifiers)
    return all(
        any(token.is_met(identifiers, one.term, one.parameter) for one in alternatives)
        if keys is None
        else not keys.isdisjoint(held)
        for alternatives, keys in sought
    )


def identifiers_of(content: bytes) -> Sequence[Any]:
    """The identifiers of a resource, of which some types have one and others a list."""
    given = json.read_own(content).get("identifier", [])
    return given if isinstance(given, list) else [given]


_GROWN = Issue(
    "error",
    "too-costly",
    "So much was added to what is found that the pages cannot go on; begin again.",
    vi="Kết quả đã tăng quá nhiều nên không thể xem tiếp; xin tìm lại từ đầu.",
)
