"""What is asked before a query can be run: directories, and where chains lead to.

https://hl7.org/fhir/R4/search.html#chaining
"""

from dataclasses import replace

from ehr_server.access import persons
from ehr_server.access.persons import Known
from ehr_server.errors import Invalid
from ehr_server.issue import Issue
from ehr_server.search.facts import LOOKED_UP_MAX, Facts, Rows
from ehr_server.search.plan import BELIEVED, UNKNOWN_SHARE, Plan, asked, plan
from ehr_server.search.query import Chain, Has, Query
from ehr_server.search.sql import Sql
from ehr_server.search.types import reference, token
from ehr_server.search.where import REACHED_MAX, Reached, by_parameter, chains, leads_home, table
from ehr_server.store.connect import Connection

_PARAMS_MAX = 65_535  # of a statement: the protocol counts them in two bytes


def ready(connection: Connection, query: Query, known: Known | None = None) -> Plan | None:
    """The plan of a query that access has narrowed, once the directories are asked; None if they
    say that there is nothing. `known` keeps their answers for the next query: by the statement, and
    where chains lead.

    Who is named is asked for by all records of the person, and a record that was merged is left
    out where the number that is looked for leads to the one that survives too (unless the query is
    `with_merged`).
    """
    known = {} if known is None else known
    query = persons.of_persons(connection, query, known)
    facts = facts_of(connection, query, known)
    planned = plan(query, facts)
    if planned is None or query.with_merged or not _are_several(query, facts):
        return planned
    rows = _told(query, facts)
    if rows is None:
        rows = run(connection, planned.gathered("r.comp, r.key"), planned.is_pinned)
    left_out = persons.superseded(connection, query, [(row[0], row[1]) for row in rows])
    if left_out is None:
        return planned
    return plan(replace(query, criteria=(*query.criteria, left_out)), facts)


def run(connection: Connection, statement: Sql, is_pinned: bool) -> Rows:
    """Prepared where one plan fits all values; else planned anew, by how common these are.

    Raises `Invalid` for more values than a statement can have.
    """
    if len(statement.params) > _PARAMS_MAX:
        raise Invalid(issues=[_TOO_LONG])
    prepare = None if is_pinned else False
    return connection.execute(statement.text, statement.params, prepare=prepare).fetchall()


def estimated(connection: Connection, rows: Sql) -> int:
    """How many rows the database believes that there are, by its statistics."""
    told = Sql(f"explain (format json) {rows.text}", rows.params)
    ((plans,),) = run(connection, told, False)
    return int(plans[0]["Plan"]["Plan Rows"])


def believed(connection: Connection, leaf_table: str) -> int:
    """The estimate above which the database is believed of a table: of hashes that its sample did
    not meet it believes a part of all rows that grows with the table (`store.tables`)."""
    asked_for = Sql("select reltuples from pg_class where oid = %s::regclass", (leaf_table,))
    ((rows,),) = run(connection, asked_for, True)
    return max(BELIEVED, int(rows * UNKNOWN_SHARE))


def facts_of(connection: Connection, query: Query, known: Known) -> Facts:
    """What the directories say, and where chains lead to, of a query that access has narrowed."""
    found: Known = {}
    for lookup in asked(query):
        same = str(lookup.statement)
        if same not in known:
            rows = run(connection, lookup.statement, True)
            if len(rows) > LOOKED_UP_MAX:
                raise Invalid(issues=[_TOO_MANY])
            known[same] = rows
        found[lookup.about] = known[same]
    for criterion in query.criteria:
        for chain in chains(criterion):
            if chain not in known:
                known[chain] = _reached(connection, chain, known)
            found[chain] = known[chain]
    return found


def _reached(connection: Connection, chain: Chain | Has, known: Known) -> Reached:
    """Follow a chain one step: to what it refers to, or to whom is referred.

    Of a person all records are reached by one of them. Not where the chain leads to so many that
    it is joined (`Reached.own` None): there each record is met by what it says itself.
    """
    query = Query(chain.type, (chain.criterion,))  # narrowed with the query that it stands in
    facts = facts_of(connection, query, known)
    planned = plan(query, facts)
    if planned is None:
        return Reached((), (), facts)
    if not planned.is_pinned and not planned.is_correlated:
        number = estimated(connection, planned.gathered("1"))
        if number > believed(connection, table(chain.type)):
            return Reached(None, (), facts)
    rows = run(connection, planned.reached(REACHED_MAX + 1), planned.is_pinned)
    if len(rows) > REACHED_MAX:
        return Reached(None, (), facts)
    own = {row[1] for row in rows} if isinstance(chain, Chain) else _referred(chain, rows)
    further = persons.reached(connection, chain, own) - own
    comps = {row[0] for row in rows} | {one | 1 for one in further}
    return Reached(tuple(sorted(own | further)), tuple(sorted(comps)), facts)


def _are_several(query: Query, facts: Facts) -> bool:
    """Whether a number leads to several Patients."""
    found = {
        row[0]
        for one in persons.numbers(query)
        for parameter, terms in by_parameter(one.alternatives).items()
        for row in facts.get((parameter, tuple(terms)), ())
    }
    return query.type == "Patient" and len(found) > 1


def _told(query: Query, facts: Facts) -> Rows | None:
    """The places of all that is found, where the directory of identifiers has named them: nothing
    else is asked for."""
    asked_for = persons.numbers(query)
    if list(query.criteria) != asked_for or len(asked_for) > 1 or query.compartment is not None:
        return None
    parameter, terms = asked_for[0].alternatives[0].parameter, asked_for[0].terms
    return facts.get((parameter, terms)) if token.leads_by_place(terms) else None


def _referred(has: Has, rows: Rows) -> set[int]:
    """Whom rows of (comp, own, refs) refer to by the parameter.

    A hash of another parameter's reference becomes one that nothing has. Of those that lie at home
    with whom they are about, no other can be meant; some lie there for another reason.
    """
    mark = reference.mark(has.source.parameter)
    if leads_home(has):
        return {comp & ~1 for comp, _, refs in rows if (comp & ~1) ^ mark in refs}
    return {ref ^ mark for _, _, refs in rows for ref in refs}


_TOO_MANY = Issue(
    "error",
    "too-costly",
    "A value leads to too many: name the system of an identifier too, or more of a text.",
    vi="Giá trị tìm quá nhiều kết quả: xin nêu cả hệ định danh, hoặc thêm chữ.",
)
_TOO_LONG = Issue(
    "error",
    "too-costly",
    "There are more values than one search can take: ask for some at a time.",
    vi="Có nhiều giá trị hơn mức một lần tìm nhận được: xin tìm từng phần.",
)
