"""Which resources a bulk read may give: by searches, and by what the caller may see, as of then.

https://hl7.org/fhir/uv/bulkdata/export.html#_typefilter-parameter. The searches of a type are
joined by "or", and all that access asks by "and". What is exact, and as of when:

- A resource that did not change since the export's moment is decided by its narrow row, in the
  statement that reads it (`conditions`).
- One that changed since is decided by the content that it had at that moment, in memory (`met`),
  but for chains, `_has`, `_list`, `:above` and `:below`: of these what stands in the resource is as
  of then, and what it leads to as it is when a part is written.
- What was deleted is never left out by a search: nobody knows whether it would have been found.
  To a caller who may read a part of its type it is not told (`tells_of_deletion`).

So a part that is written twice gives the same, unless what a chain leads to changed in between.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ehr_server.access.caller import Caller
from ehr_server.access.directories import estimated, facts_of, ready
from ehr_server.access.persons import of_persons
from ehr_server.access.restrict import restrict
from ehr_server.access.seen import seen
from ehr_server.definitions import definitions
from ehr_server.fhir import json
from ehr_server.hashing import own_comp, person_comp
from ehr_server.layout import OTHER, leaf
from ehr_server.search.facts import Facts
from ehr_server.search.index import index
from ehr_server.search.match import matches
from ehr_server.search.query import (
    At,
    Chain,
    Condition,
    Conjunction,
    Criterion,
    Disclosable,
    Disjunction,
    Has,
    Negation,
    Query,
)
from ehr_server.search.rows import FORMAT
from ehr_server.search.rules import Rules
from ehr_server.search.sql import FALSE, Sql, all_of, any_of
from ehr_server.search.types.hierarchy import Kin
from ehr_server.search.where import where
from ehr_server.store.connect import Connection, Store, asked
from ehr_server.store.read import Place

# A row in hand as `search.where` reads it, of those whose narrow row is of another version.
_IN_HAND = (
    "select r.key from jsonb_to_recordset(%s::jsonb) as r"
    " (comp bigint, key bigint, own bigint, refs bigint[], toks bigint[], type smallint,"
    " fmt smallint, has bigint, d1 timestamptz, d1e timestamptz) where "
)


# Of a leaf, above which it is read from its beginning to its end: found by the index each row
# takes three times as long.
SPARSE_SHARE = 0.2


@dataclass(frozen=True, slots=True)
class InHand:
    """A version whose resource may have another one by now."""

    comp: int
    key: int
    content: bytes


class Choice:
    """What is chosen of the types: of the queries of a type one is to be met; a type without any is
    narrowed by access alone."""

    def __init__(
        self,
        connection: Connection,
        queries: Mapping[str, Sequence[Query]],
        caller: Caller,
        rules: Rules,
    ) -> None:
        self._caller = caller
        self._rules = rules
        known: dict[Any, Any] = {}
        narrowed = {
            name: [restrict(one, caller) for one in several or (Query(name),)]
            for name, several in queries.items()
        }
        # Whoever finds a person by a number is given all records that carry it.
        self._queries: Mapping[int, list[Query]] = {
            definitions().type_number[name]: [
                of_persons(connection, replace(one, with_merged=True), known) for one in several
            ]
            for name, several in narrowed.items()
            if all(one.criteria or one.compartment is not None for one in several)
        }

    def is_narrowed(self, number: int) -> bool:
        """Whether anything of the type of this number may be left out."""
        return number in self._queries

    def readable(
        self, store: Store, connection: Connection, found: Mapping[tuple[str, str], Place]
    ) -> dict[tuple[str, str], Place]:
        """Those of the resources, by type and id, that the caller may read."""
        keys: set[int] = set()
        for type_name in {name for name, _ in found}:
            at = [place for (name, _), place in found.items() if name == type_name]
            keys |= seen(store, connection, self._caller, type_name, at)
        return {one: at for one, at in found.items() if at.key in keys}

    def tells_of_deletion(self, number: int, comp: int) -> bool:
        """Whether what was deleted, in a compartment, is named to the caller: what stood in it
        decides no longer, so where they are given a part of the type alone it is not, but in a
        record all of which is theirs."""
        rights = self._caller.narrowing
        if rights is None:
            return True
        reach = rights.reach(definitions().type_name[number], "r")
        if reach is None or not reach.criteria:
            return reach is not None
        own = {person_comp(id_) for id_ in reach.patients or ()}
        return comp in own and len(reach.criteria) == 1

    def conditions(self, connection: Connection) -> dict[str, tuple[str, Sequence[Any]]]:
        """For each leaf where something is left out, the condition on the narrow row `r`."""
        names = definitions().type_name
        by_leaf: dict[str, list[int]] = {}
        for number in self._queries:
            by_leaf.setdefault(leaf(names[number]), []).append(number)
        return {
            leaf_name: self._of_leaf(connection, numbers) for leaf_name, numbers in by_leaf.items()
        }

    def patients(self, content: bytes) -> set[int]:
        """The compartments that a version belongs to."""
        found = index(json.read_stored(content), self._rules)
        return {person_comp(patient) for patient in found.patients}

    def sparse(self, connection: Connection, most: int) -> set[str]:
        """The leaves of which the index chooses so few, `most` in number and a fifth of all."""
        return {
            leaf_name
            for leaf_name, (text, params) in self.conditions(connection).items()
            if leaf_name != OTHER
            and self._is_sparse(connection, leaf_name, Sql(text, (*params,)), most)
        }

    def met(self, connection: Connection, several: Sequence[InHand]) -> list[InHand]:
        """Those of the versions that are chosen; all of a type that is narrowed."""
        parsed = [json.read_stored(one.content) for one in several]
        facts_known: dict[Any, Any] = {}
        held: dict[int, set[int]] = {}
        for query in self._all_queries():
            of_type = [
                (one, resource)
                for one, resource in zip(several, parsed, strict=True)
                if resource["resourceType"] == query.type
            ]
            if not of_type:
                continue
            facts = facts_of(connection, query, facts_known)
            for criterion in _asked_of_others(query):
                if id(criterion) not in held:
                    found = self._led(connection, criterion, facts, of_type)
                    held[id(criterion)] = found
        return [
            one
            for one, resource in zip(several, parsed, strict=True)
            if any(
                self._is_met(query, one, resource, held)
                for query in self._queries[definitions().type_number[resource["resourceType"]]]
            )
        ]

    def _is_sparse(self, connection: Connection, leaf_name: str, condition: Sql, most: int) -> bool:
        """The estimate is looked into, for it may be far too low."""
        table = f"resource_{leaf_name}"
        rows = Sql(f"select 1 from {table} r where {condition.text}", condition.params)
        if estimated(connection, rows) > most:
            return False
        text = (
            f"select (select count(*) from ({rows.text} limit {most + 1}) f),"
            " (select reltuples from pg_class where oid = %s::regclass)"
        )
        ((number, every),) = connection.execute(text, (*rows.params, table)).fetchall()
        return bool(number <= most and number <= every * SPARSE_SHARE)

    def _all_queries(self) -> Iterator[Query]:
        for several in self._queries.values():
            yield from several

    def _of_leaf(self, connection: Connection, numbers: Sequence[int]) -> tuple[str, Sequence[Any]]:
        """Of the leaf of many types each by its own searches, and the others as they are."""
        parts = []
        known: dict[Any, Any] = {}
        for number in numbers:
            plans = [ready(connection, one, known) for one in self._queries[number]]
            found = any_of(all_of(plan.whole) if plan else FALSE for plan in plans)
            parts.append(all_of((Sql(f"r.type = {number}"), found)))
        if leaf(definitions().type_name[numbers[0]]) == OTHER:
            parts.append(Sql("r.type <> all(%s::smallint[])", (list(numbers),)))
        whole = any_of(parts)
        return whole.text, whole.params

    def _led(
        self,
        connection: Connection,
        criterion: Criterion,
        facts: Facts,
        several: Sequence[tuple[InHand, dict[str, Any]]],
    ) -> set[int]:
        """The keys of those for which a criterion holds that looks at other resources too."""
        rows = []
        for one, resource in several:
            found = index(resource, self._rules)
            name = resource["resourceType"]
            rows.append(
                {
                    "comp": one.comp,
                    "key": one.key,
                    "own": own_comp(name, resource["id"]),
                    "refs": found.refs,
                    "toks": [held for _, held in asked(connection, found.toks)] + found.marks,
                    "type": definitions().type_number[name],
                    "fmt": FORMAT,
                    "has": found.has,
                    "d1": found.d1 and found.d1.isoformat(),
                    "d1e": found.d1e and found.d1e.isoformat(),
                }
            )
        condition = where(criterion, "r", facts)
        values = (json.write(rows).decode(), *condition.params)
        return {key for (key,) in connection.execute(_IN_HAND + condition.text, values)}

    def _is_met(
        self, query: Query, one: InHand, resource: dict[str, Any], held: Mapping[int, set[int]]
    ) -> bool:
        inside = replace(query, criteria=())
        return matches(inside, resource, self._rules) and all(
            self._holds(criterion, one, resource, held) for criterion in query.criteria
        )

    def _holds(
        self,
        criterion: Criterion,
        one: InHand,
        resource: dict[str, Any],
        held: Mapping[int, set[int]],
    ) -> bool:
        match criterion:
            case Negation():
                return not self._holds(criterion.criterion, one, resource, held)
            case Conjunction():
                return all(self._holds(each, one, resource, held) for each in criterion.criteria)
            case Disjunction():
                return any(self._holds(each, one, resource, held) for each in criterion.criteria)
            case At():
                return (one.comp, one.key) in criterion.places
            case _ if _looks_at_others(criterion):
                return one.key in held[id(criterion)]
            case _:
                return matches(criterion, resource, self._rules)


def _asked_of_others(query: Query) -> Iterator[Criterion]:
    for criterion in query.criteria:
        yield from _leaves(criterion)


def _leaves(criterion: Criterion) -> Iterator[Criterion]:
    match criterion:
        case Negation():
            yield from _leaves(criterion.criterion)
        case Conjunction() | Disjunction():
            for one in criterion.criteria:
                yield from _leaves(one)
        case _ if _looks_at_others(criterion):
            yield criterion


def _looks_at_others(criterion: Criterion) -> bool:
    """Whether one resource alone does not tell."""
    if isinstance(criterion, Condition):
        return any(isinstance(one.term, Kin) for one in criterion.alternatives)
    return isinstance(criterion, Chain | Has | Disclosable)
