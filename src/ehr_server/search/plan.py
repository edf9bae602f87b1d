"""A query to SQL: narrow rows in the order of the answer, contents last.

The database's own plan for "the first 50 in this order" is a gamble, so there are three ways to a
page, of which `access.find` chooses one (docs/decisions/0010-search-that-stays-flat.md):

- **Pinned:** the query says in which compartments all that it finds lies, one person's record as a
  rule. Few rows lie there: each is looked at, and one plan of the database fits all values and is
  kept (`Plan.page`).
- **Few** are found: all of them are gathered, by whatever way leads there soonest, then sorted
  (`Plan.few`).
- **Many** are found: the rows are read in the order of the answer from an index, and each is looked
  at, until the page is full: soon, since many of those that come by are meant (`Plan.page`,
  `is_many`).

Whether there are many, the database estimates. It is believed above `BELIEVED` and `UNKNOWN_SHARE`;
above `FEW`, where it takes what is asked for rarer than it is (`is_misjudged`); never, where it
cannot tell (`is_correlated`). Whatever turns out to be more than `FEW` while it is gathered is read
in order.

Two things serve to read in order. An order comes in **stages** (`search.sort`); where its values
lie in a side table, the first stage is **led** by the rows of that table (`_led`). And conditions
that no single index answers in that order are parted into disjoint **branches**
(`search.branches`), each read by itself; their rows are united.

The text follows the shape of the query, so that it can be prepared. Leaves are addressed directly,
and every table is joined by its compartment key and its key: see `ehr_server.store.tables` for
what lies where. What the directories know is asked before (`asked`).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ehr_server.hashing import person_comp
from ehr_server.layout import leaf
from ehr_server.search import disclosable, sort
from ehr_server.search.branches import branches
from ehr_server.search.facts import Facts, Lookup
from ehr_server.search.page import Keyset
from ehr_server.search.query import (
    At,
    Chain,
    Condition,
    Conjunction,
    Criterion,
    Disclosable,
    Query,
)
from ehr_server.search.sort import Stage
from ehr_server.search.sql import TRUE, Sql, all_of, among, any_of, checked
from ehr_server.search.types import token
from ehr_server.search.where import asked_of_directories, is_home_of, of_type, table, where

FEW = 1_000  # resources at most that are gathered and sorted
GROWN = 100_000  # to which what was few on the first page may grow until the last
# An estimate of the database above this is believed, and above this share of all rows: what it
# knows nothing of, it takes to be half as common as the rarest that it knows (0.02 %).
BELIEVED = 2 * FEW
UNKNOWN_SHARE = 0.0005
COMPARTMENT = "compartment"  # the fact: rows of (home, key) of what is at home elsewhere


@dataclass(frozen=True, slots=True)
class Plan:
    """What to run once the directories have been asked.

    `types`: those of one leaf that are searched, one as a rule. `comps`: the compartments in which
    all that can be found lies, if that is known. `is_many`: so many are found that the order is
    read from its index; but for the `sparse` branches, which are gathered.
    """

    query: Query
    types: tuple[str, ...]
    branches: tuple[tuple[Sql, ...], ...]  # disjoint, each of conditions on the narrow row `r`
    whole: tuple[Sql, ...]  # all branches as one
    stages: tuple[Stage, ...]
    comps: tuple[int, ...] | None
    is_many: bool = False
    sparse: frozenset[int] = frozenset()

    @property
    def is_pinned(self) -> bool:
        """Whether the compartments are known: so one plan of the database fits all values and can
        be kept; else the best one depends on how common the values are."""
        return self.comps is not None

    @property
    def rows(self) -> tuple[Sql, ...]:
        """The condition of each branch."""
        return tuple(all_of(branch) for branch in self.branches)

    def page(self, limit: int, stage: Stage, keyset: Keyset | None) -> Sql:
        """Rows of (comp, key, enc, content, then the values sorted by), in order."""
        names = [f"s{at}" for at in range(len(stage.columns))]
        narrow = self.narrow(limit, stage, keyset, names, "r.comp, r.key, r.ver")
        suffix = leaf(self.query.type)
        here = among("v.comp", self.comps) if self.comps is not None else Sql("true")
        values = "".join(f", p.{name}" for name in names)
        order = sort.order(stage, [f"p.{name}" for name in names], "p.key")
        return Sql(
            f"select p.comp, p.key, v.enc, v.content{values} from ({narrow.text}) p"
            f" join version_{suffix} v on v.comp = p.comp and v.key = p.key and v.ver = p.ver"
            f" where {here.text} order by {order}",
            (*narrow.params, *here.params),
        )

    def narrow(
        self, limit: int, stage: Stage, keyset: Keyset | None, names: Sequence[str], what: str
    ) -> Sql:
        """`what` of the narrow rows, in order, then the values sorted by under the names given."""
        values = "".join(
            f", {column.text} as {name}" for column, name in zip(stage.columns, names, strict=True)
        )
        later = all_of([sort.after(stage, keyset.values, keyset.key)] if keyset else [])
        inner = sort.order(stage, [column.text for column in stage.columns], stage.key)
        form = self._led if stage.lead else self._found
        # Of branches that side rows lead, one that finds nothing would be read to its end.
        several = (self.whole,) if stage.lead and self.is_many else self.branches
        seen = [tuple(map(_looked_at, one)) if self.is_many else one for one in several]
        parts = [form(f"{what}{values}", all_of(one), stage, later) for one in seen]
        parts = [
            _of_all(part, sort.order(stage, names, "key"), limit)
            if at in self.sparse and not stage.lead
            else first(part, inner, limit)
            for at, part in enumerate(parts)
        ]
        if len(parts) == 1:
            return parts[0]
        whole = union(parts)
        outer = sort.order(stage, names, "key")
        return first(Sql(f"select * from ({whole.text}) u", whole.params), outer, limit)

    def reached(self, limit: int) -> Sql:
        """Rows of (comp, own, refs) of what is found, in no order: where a chain leads."""
        found = self.gathered("r.comp, r.own, r.refs")
        return Sql(
            f"with reached as materialized ({found.text}) select * from reached limit {limit}",
            found.params,
        )

    def count(self) -> Sql:
        """How many there are."""
        rows = self.gathered("1")
        return Sql(f"select count(*) from ({rows.text}) n", rows.params)

    def few(self, limit: int, keyset: Keyset | None, most: int) -> Sql:
        """A page of what is found, if that is `most` at most: rows of (number found, comp, key,
        enc, content, then the values sorted by), in order; one row at least, which holds nulls but
        for the number where there is nothing, or more than that.

        What is found is gathered first, by the way that leads to all of it soonest, and sorted
        then. A plan for the first page alone would be a gamble: the database reads an order from
        its end in the hope of meeting soon what it believes to be common (1.5 s for 30 of 2.7
        million rows).
        """
        over = sort.keys(self.query, is_back=keyset is not None and keyset.is_back)
        names = [f"s{at}" for at in range(len(over))]
        values = "".join(
            f", {value.text} as {name}" for (value, *_), name in zip(over, names, strict=True)
        )
        found = self.gathered("r.comp, r.key, r.ver, r.d1, r.at, r.q1")
        columns = (
            sort.Column(name, kind, descending)
            for name, (_, kind, descending) in zip(names, over, strict=True)
        )
        stage = Stage(tuple(columns), key="key")
        later = sort.after(stage, keyset.values, keyset.key) if keyset else TRUE
        order = sort.order(stage, names, "key")
        shown = "".join(f", p.{name}" for name in names)
        return Sql(
            f"{gathered_first(found, most)}"
            f" select n.n, p.comp, p.key, v.enc, v.content{shown} from n left join ("
            f"select * from (select r.comp, r.key, r.ver{values} from few r"
            f" where (select n from n) <= {most}) q where {later.text} order by {order}"
            f" limit {limit}) p on true left join version_{leaf(self.query.type)} v"
            " on v.comp = p.comp and v.key = p.key and v.ver = p.ver"
            f" order by {sort.order(stage, [f'p.{name}' for name in names], 'p.key')}",
            (*found.params, *(one for value, *_ in over for one in value.params), *later.params),
        )

    @property
    def is_misjudged(self) -> bool:
        """Whether the database takes what is asked for rarer than it is: it believes that
        conditions on other tables hold for next to nothing, and does not know what leads the
        order."""
        return bool(self.stages[0].lead) or any(map(_looks_elsewhere, self.rows))

    @property
    def is_correlated(self) -> bool:
        """Whether it cannot be told how many there are: values go with their code and unit, and the
        database knows each by itself."""
        return any("r.q1" in one.text for one in self.rows)

    @property
    def begins_first(self) -> bool:
        """Whether a text of several words is all that is asked for: first comes what begins with
        all of it, then what has the words in another order."""
        is_led = len(self.stages) == 2 and bool(self.stages[0].lead)
        return is_led and not self.query.is_sorted and len(self.query.criteria) == 1

    def gathered(self, what: str) -> Sql:
        """`what` of the narrow rows of all that is found, in no order."""
        return union(self.gathered_by_branch(what))

    def gathered_by_branch(self, what: str) -> list[Sql]:
        """So too, each branch by itself."""
        return [self._select(what, condition) for condition in self.rows]

    def _found(self, what: str, condition: Sql, stage: Stage, later: Sql) -> Sql:
        """What is found of the stage, and comes later in it than the page before."""
        return self._select(what, all_of((condition, *_if_any(stage.condition), *_if_any(later))))

    def _led(self, what: str, condition: Sql, stage: Stage, later: Sql) -> Sql:
        """The same of a stage that side rows lead. Where many are found, these are read in their
        order, and the resource of each is looked up (`offset 0` keeps the database from turning
        that round)."""
        led = all_of((stage.led, *_if_any(later)))
        own = "r.comp = s.comp and r.key = s.key"
        if not self.is_many:
            whole = all_of((*of_type(self.types, "r"), condition, led))
            return Sql(
                f"select {what} from {table(self.types[0])} r join {stage.lead} s on {own}"
                f" where {whole.text}",
                whole.params,
            )
        whole = all_of((*of_type(self.types, "r"), condition))
        return Sql(
            f"select {what} from {stage.lead} s cross join lateral"
            f" (select * from {table(self.types[0])} r where {own} and {whole.text} offset 0) r"
            f" where {led.text}",
            (*whole.params, *led.params),
        )

    def _select(self, what: str, condition: Sql) -> Sql:
        whole = all_of((*of_type(self.types, "r"), condition))
        return Sql(f"select {what} from {table(self.types[0])} r where {whole.text}", whole.params)


def asked(query: Query) -> Iterator[Lookup]:
    """What to ask the directories before `plan`."""
    for criterion in query.criteria:
        yield from asked_of_directories(criterion)
    if query.compartment is not None:
        people = [person_comp(patient) for patient in query.compartment]
        yield Lookup(
            COMPARTMENT,
            Sql("select home, key from member where comp = any(%s::bigint[])", (people,)),
        )


def plan(query: Query, facts: Facts) -> Plan | None:
    """The plan, given what the directories answered; None if nothing can be found any more."""
    comps = _comps(query, facts)
    if comps is not None and not comps:
        return None
    stages, criteria = sort.stages(query), list(_flat(query.criteria))
    split, rest = branches(criteria, stages, comps is not None, facts)
    fixed = [] if comps is None else [among("r.comp", comps)]  # what holds for all branches
    if query.compartment is not None:
        fixed.append(_in_compartment(query.compartment, facts[COMPARTMENT]))
    fixed += [_seen(one, facts, comps) for one in rest]
    taken = [one for one in criteria if not any(one is other for other in rest)]
    whole = (*fixed, *(where(one, "r", facts) for one in taken))
    rows = tuple((*fixed, *branch) for branch in split)
    return Plan(query, (query.type,), rows, whole, stages, comps)


def gathered_first(found: Sql, most: int) -> str:
    """The beginning of a statement on `few`, rows of what is found, and `n`, the number of them;
    no more than one above the most. Materialized, or the database would plan for the first few
    alone."""
    return (
        f"with found as materialized ({found.text}),"
        f" few as materialized (select * from found limit {most + 1}),"
        " n as materialized (select count(*) as n from few)"
    )


def union(parts: Sequence[Sql]) -> Sql:
    """The rows of all of the parts."""
    if len(parts) == 1:
        return parts[0]
    return Sql(
        " union all ".join(f"({part.text})" for part in parts),
        tuple(param for part in parts for param in part.params),
    )


def first(rows: Sql, order: str, limit: int) -> Sql:
    """So many of the rows at most, in the order."""
    return Sql(f"{rows.text} order by {order} limit {limit}", rows.params)


def _of_all(rows: Sql, order: str, limit: int) -> Sql:
    """As `first`, of rows that are all gathered before."""
    text = f"with all_of as materialized ({rows.text}) select * from all_of"
    return first(Sql(text, rows.params), order, limit)


def _seen(criterion: Criterion, facts: Facts, comps: Sequence[int] | None) -> Sql:
    """The condition; in known compartments one that is looked at in each row."""
    if isinstance(criterion, Disclosable):
        return disclosable.where(criterion.ask, "r", comps)
    condition = where(criterion, "r", facts)
    return checked(condition) if comps is not None and not _leads(criterion) else condition


def _flat(criteria: Sequence[Criterion]) -> Iterator[Criterion]:
    """The criteria, those of a conjunction by themselves: all must hold anyway."""
    for one in criteria:
        if isinstance(one, Conjunction):
            yield from _flat(one.criteria)
        else:
            yield one


def _comps(query: Query, facts: Facts) -> tuple[int, ...] | None:
    """The compartments in which all that can be found lies, as far as the query tells."""
    comps: set[int] | None = None
    for criterion in query.criteria:
        here = _comps_of(criterion, facts)
        if here is not None:
            comps = here if comps is None else comps & here
    if query.compartment is not None:
        homes = {person_comp(patient) for patient in query.compartment}
        homes |= {row[0] for row in facts[COMPARTMENT]}
        comps = homes if comps is None else comps & homes
    return None if comps is None else tuple(sorted(comps))


def _comps_of(criterion: Criterion, facts: Facts) -> set[int] | None:
    if isinstance(criterion, Conjunction):
        found = [here for one in criterion.criteria if (here := _comps_of(one, facts)) is not None]
        return set.intersection(*found) if found else None
    if isinstance(criterion, At):
        return {comp for comp, _ in criterion.places}
    if isinstance(criterion, Chain):
        reached = facts[criterion]
        is_home = is_home_of(criterion.source, criterion.type)
        return set(reached.comps) if is_home and reached.own is not None else None
    if not isinstance(criterion, Condition) or criterion.parameter is None:
        return None
    parameter, terms = criterion.parameter, criterion.terms
    if parameter.place in ("id", "identifier"):
        found_rows = facts.get((parameter, terms))
        is_all = found_rows is not None and token.leads_by_place(terms)
        return {row[0] for row in found_rows or ()} if is_all else None
    if _is_home(criterion):
        return {person_comp(term.patient) for term in terms}
    return None


def _leads(criterion: Criterion) -> bool:
    """Whether the criterion itself says where in the compartments its resources lie.

    All others are looked at in each row of the compartments, which are few: a list of everyone's
    laboratory results, made to be cut down to one person's, reads 15,000 entries for 18.
    """
    if not isinstance(criterion, Condition) or criterion.parameter is None:
        return False
    return criterion.parameter.place in ("id", "identifier")


def _is_home(criterion: Criterion) -> bool:
    """Whether it names the Patients in whose compartments the resource lies."""
    if not isinstance(criterion, Condition):
        return False
    parameter = criterion.parameter
    return (
        parameter is not None
        and parameter.is_home
        and all(getattr(term, "patient", None) for term in criterion.terms)
    )


def _in_compartment(patients: Sequence[str], members: Sequence[tuple[Any, ...]]) -> Sql:
    home = among("r.comp", [person_comp(patient) for patient in patients])
    return any_of((home, token.among_places(members, "r"))) if members else home


def _looked_at(condition: Sql) -> Sql:
    """A condition on other tables, to be looked at on the way: the database takes it to hold for
    next to nothing, and would rather gather all and sort them."""
    each = disclosable.by_row(condition, "r")
    return checked(each) if _looks_elsewhere(each) else each


def _looks_elsewhere(condition: Sql) -> bool:
    """Whether other tables are asked."""
    return "exists (" in condition.text


def _if_any(condition: Sql) -> tuple[Sql, ...]:
    return () if condition.text == "true" else (condition,)
