"""A query to SQL: look-ups in the directories first, then narrow rows, contents last.

The text follows the shape of the query, so that it can be prepared. Leaves are addressed directly,
and every table is joined by its compartment key and its key: see `ehr_server.store.tables` for
what lies where. Two hops instead of one join, because the directories are distributed otherwise.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ehr_server.definitions import definitions
from ehr_server.hashing import person_comp
from ehr_server.layout import OTHER, leaf
from ehr_server.search import sort
from ehr_server.search.branches import branches
from ehr_server.search.page import Keyset
from ehr_server.search.query import Alternative, Condition, Query
from ehr_server.search.sql import FALSE, Sql, all_of, among, any_of, checked
from ehr_server.search.types import token
from ehr_server.search.types.registry import SEARCH_TYPES

LOOKED_UP_MAX = 10_000  # places that a directory may name for one condition

Found = Sequence[tuple[int, int]]  # (comp, key)


@dataclass(frozen=True, slots=True)
class Plan:
    """What to run once the directories have been asked.

    `is_pinned`: the compartments are known, so one plan fits all values and can be kept; else
    the best one depends on how common the values are.
    """

    query: Query
    rows: tuple[Sql, ...]  # disjoint conditions on the narrow row `r`
    comps: tuple[int, ...] | None
    is_pinned: bool

    def page(self, limit: int, keyset: Keyset | None) -> Sql:
        """Rows of (comp, key, enc, content, then the values sorted by), in order."""
        over = sort.columns(self.query)
        names = [f"s{at}" for at in range(len(over))]
        narrow = self._narrow(limit, keyset, over, names)
        suffix = leaf(self.query.type)
        here = among("v.comp", self.comps) if self.comps is not None else Sql("true")
        values = "".join(f", p.{name}" for name in names)
        order = sort.order(over, [f"p.{name}" for name in names], "p.key")
        return Sql(
            f"select p.comp, p.key, v.enc, v.content{values} from ({narrow.text}) p"
            f" join version_{suffix} v on v.comp = p.comp and v.key = p.key and v.ver = p.ver"
            f" where {here.text} order by {order}",
            (*narrow.params, *here.params),
        )

    def count(self, limit: int | None) -> Sql:
        """How many there are; each branch is counted to the limit, so more than that means many."""
        parts = [_limited(self._select("1", condition), limit) for condition in self.rows]
        rows = _union(parts)
        return Sql(f"select count(*) from ({rows.text}) n", rows.params)

    def all_rows(self) -> Sql:
        """All of the narrow rows, for the database to estimate their number."""
        return _union([self._select("1", condition) for condition in self.rows])

    def _narrow(
        self,
        limit: int,
        keyset: Keyset | None,
        over: Sequence[sort.Column],
        names: Sequence[str],
    ) -> Sql:
        values = "".join(
            f", {column.text} as {name}" for column, name in zip(over, names, strict=True)
        )
        later = [sort.after(over, keyset.values, keyset.key)] if keyset else []
        inner = sort.order(over, [column.text for column in over], "r.key")
        parts = [
            self._select(f"r.comp, r.key, r.ver{values}", all_of((condition, *later)))
            for condition in self.rows
        ]
        parts = [
            _limited(Sql(f"{part.text} order by {inner}", part.params), limit) for part in parts
        ]
        if len(parts) == 1:
            return parts[0]
        whole = _union(parts)
        outer = sort.order(over, names, "key")
        return _limited(
            Sql(f"select * from ({whole.text}) u order by {outer}", whole.params), limit
        )

    def _select(self, what: str, condition: Sql) -> Sql:
        table = f"resource_{leaf(self.query.type)}"
        return Sql(f"select {what} from {table} r where {condition.text}", condition.params)


def lookups(query: Query) -> dict[str, Sql]:
    """What to ask the directories, by the name under which `plan` wants the answer: rows of
    (comp, key)."""
    number = definitions().type_number[query.type]
    asked: dict[str, Sql] = {}
    for at, condition in enumerate(query.conditions):
        parameter = condition.parameter
        if parameter is None:
            continue
        if parameter.place == "id":
            ids = [term.code for term in condition.terms]
            asked[_name(at)] = Sql(
                f"select comp, key from rid where type = {number} and live"
                " and id = any(%s::text[])",
                (ids,),
            )
        elif parameter.place == "identifier":
            hashes = _directory_hashes(condition)
            if hashes:
                asked[_name(at)] = Sql(
                    "select comp, key from ident where h = any(%s::bigint[])"
                    f" limit {LOOKED_UP_MAX + 1}",
                    (hashes,),
                )
    if query.compartment is not None:
        asked["compartment"] = Sql(
            f"select home, key from member where comp = any(%s::bigint[]) and type = {number}",
            ([person_comp(patient) for patient in query.compartment],),
        )
    return asked


def plan(query: Query, found: Mapping[str, Found]) -> Plan | None:
    """The plan, given what the directories answered; None if nothing can be found any more."""
    comps = _comps(query, found)
    if comps is not None and not comps:
        return None
    split, rest = branches(query, comps is not None)
    fixed = [] if comps is None else [among("r.comp", comps)]
    if leaf(query.type) == OTHER:
        fixed.append(Sql(f"r.type = {definitions().type_number[query.type]}"))
    if query.compartment is not None:
        fixed.append(_in_compartment(query.compartment, found["compartment"]))
    for at, condition in enumerate(query.conditions):
        if condition in rest:
            where = _where(condition, found.get(_name(at)))
            fixed.append(checked(where) if _is_home(condition) else where)
    rows = tuple(all_of((*fixed, *branch)) for branch in split)
    return Plan(query, rows, comps, comps is not None)


def _where(condition: Condition, found: Found | None) -> Sql:
    parts = []
    if found is not None:
        parts.append(_among_places(found))
    for parameter, terms in _by_parameter(condition.alternatives).items():
        if parameter.place == "identifier":
            terms = [term for term in terms if term.code is None]
        if terms and parameter.place != "id":
            parts.append(SEARCH_TYPES[parameter.type].where(terms, parameter))
    return any_of(parts)


def _by_parameter(alternatives: Sequence[Alternative]) -> dict[Any, list[Any]]:
    grouped: dict[Any, list[Any]] = {}
    for one in alternatives:
        grouped.setdefault(one.parameter, []).append(one.term)
    return grouped


def _comps(query: Query, found: Mapping[str, Found]) -> tuple[int, ...] | None:
    """The compartments in which all that can be found lies, as far as the query tells."""
    comps: set[int] | None = None
    for at, condition in enumerate(query.conditions):
        here = _comps_of(condition, found.get(_name(at)))
        if here is not None:
            comps = here if comps is None else comps & here
    if query.compartment is not None:
        homes = {person_comp(patient) for patient in query.compartment}
        homes |= {comp for comp, _ in found["compartment"]}
        comps = homes if comps is None else comps & homes
    return None if comps is None else tuple(sorted(comps))


def _comps_of(condition: Condition, found: Found | None) -> set[int] | None:
    parameter = condition.parameter
    if parameter is None:
        return None
    if parameter.place in ("id", "identifier"):
        is_all = found is not None and not _has_systems_alone(condition)
        return {comp for comp, _ in found or ()} if is_all else None
    if _is_home(condition):
        return {person_comp(term.patient) for term in condition.terms}
    return None


def _is_home(condition: Condition) -> bool:
    """Whether it names the Patients in whose compartments the resource lies."""
    parameter = condition.parameter
    return (
        parameter is not None
        and parameter.is_home
        and all(term.patient for term in condition.terms)
    )


def _in_compartment(patients: Sequence[str], members: Found) -> Sql:
    home = among("r.comp", [person_comp(patient) for patient in patients])
    return any_of((home, _among_places(members))) if members else home


def _among_places(places: Found) -> Sql:
    if not places:
        return FALSE
    return all_of(
        (
            among("r.comp", sorted({comp for comp, _ in places})),
            among("r.key", sorted({key for _, key in places})),
        )
    )


def _directory_hashes(condition: Condition) -> list[int]:
    return [
        hash_
        for one in condition.alternatives
        if one.term.code is not None
        for hash_ in token.stored(one.parameter, one.term)
    ]


def _has_systems_alone(condition: Condition) -> bool:
    return any(term.code is None for term in condition.terms)


def _name(at: int) -> str:
    return f"condition {at}"


def _union(parts: Sequence[Sql]) -> Sql:
    if len(parts) == 1:
        return parts[0]
    return Sql(
        " union all ".join(f"({part.text})" for part in parts),
        tuple(param for part in parts for param in part.params),
    )


def _limited(part: Sql, limit: int | None) -> Sql:
    return part if limit is None else Sql(f"{part.text} limit {limit}", part.params)
