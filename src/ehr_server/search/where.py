"""A criterion to the condition on a narrow row that it is met.

https://hl7.org/fhir/R4/search.html. A chain is followed in one of two ways, which find the same:
where few are meant, they are looked up first and the row compared with them (`Reached.own`); else
the condition on them becomes part of the statement, and the database finds the best way through.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ehr_server.definitions import definitions
from ehr_server.hashing import hash64
from ehr_server.layout import OTHER, leaf
from ehr_server.search import disclosable
from ehr_server.search.facts import Facts, Lookup
from ehr_server.search.parameter import Parameter, Source
from ehr_server.search.query import (
    Alternative,
    At,
    Chain,
    Condition,
    Conjunction,
    Criterion,
    Disclosable,
    Disjunction,
    Has,
    Missing,
    Negation,
)
from ehr_server.search.sql import (
    FALSE,
    Sql,
    all_of,
    among,
    any_of,
    checked,
    has_any,
    negated,
    overlaps,
)
from ehr_server.search.types import reference, token
from ehr_server.search.types.registry import SEARCH_TYPES, lookups

REACHED_MAX = 500  # resources that a chain may lead to and still be looked up first


@dataclass(frozen=True, slots=True)
class Reached:
    """Where a chain leads: the `own` hashes and compartments of all that are meant, or, where
    they are many, None and the facts by which a statement finds them."""

    own: tuple[int, ...] | None
    comps: tuple[int, ...]
    facts: Facts


def where(criterion: Criterion, row: str, facts: Facts) -> Sql:
    """The condition on the row of that name."""
    match criterion:
        case Condition():
            return any_of(
                SEARCH_TYPES[parameter.type].where(tuple(terms), parameter, row, facts)
                for parameter, terms in by_parameter(criterion.alternatives).items()
            )
        case Missing():
            there = any_of(_is_there(source, row) for source in criterion.sources)
            return negated(there) if criterion.is_missing else there
        case Negation():
            return negated(where(criterion.criterion, row, facts))
        case Conjunction():
            return all_of(where(one, row, facts) for one in criterion.criteria)
        case Disjunction():
            return any_of(where(one, row, facts) for one in criterion.criteria)
        case Chain():
            return _refers(criterion, row, facts[criterion])
        case Has():
            return _is_referred_to(criterion, row, facts[criterion])
        case At():
            return token.among_places(criterion.places, row)
        case Disclosable():
            return disclosable.where(criterion.ask, row)


def asked_of_directories(criterion: Criterion) -> Iterator[Lookup]:
    """What must be looked up before `where` can be called; where chains lead is asked apart."""
    for one in _leaves(criterion):
        if isinstance(one, Condition):
            for parameter, terms in by_parameter(one.alternatives).items():
                yield from lookups(parameter.type, tuple(terms), parameter)


def chains(criterion: Criterion) -> Iterator[Chain | Has]:
    """The chains that begin in a criterion; those that go on from there are not among them."""
    return (one for one in _leaves(criterion) if isinstance(one, Chain | Has))


def by_parameter(alternatives: Sequence[Alternative]) -> dict[Parameter, list[Any]]:
    """The terms, by the parameter that they are searched in."""
    grouped: dict[Parameter, list[Any]] = {}
    for one in alternatives:
        grouped.setdefault(one.parameter, []).append(one.term)
    return grouped


def there_mark(parameter: Parameter) -> int:
    """The hash in the array of a resource that has a value of a parameter without a bit."""
    return hash64(parameter.name, "there")


def of_type(types: Sequence[str], row: str) -> list[Sql]:
    """What a row of the types' leaf must also meet: there is one leaf of many types."""
    if leaf(types[0]) != OTHER:
        return []
    numbers = definitions().type_number
    if len(types) == 1:
        return [Sql(f"{row}.type = {numbers[types[0]]}")]
    return [Sql(f"{row}.type = any(%s::smallint[])", ([numbers[name] for name in types],))]


def table(type_name: str) -> str:
    """The leaf of the narrow rows of the type."""
    return f"resource_{leaf(type_name)}"


def is_home_of(source: Source, type_name: str) -> bool:
    """Whether by this source a resource lies in the compartment of the one it refers to."""
    return type_name == "Patient" and source.parameter.is_home


def leads_home(has: Has) -> bool:
    """Whether those that refer lie in the compartment of the one that they refer to."""
    return has.source.parameter.is_home and has.source.targets == ("Patient",)


def _leaves(criterion: Criterion) -> Iterator[Criterion]:
    """What the tree holds that is not put together of others about the same resource."""
    match criterion:
        case Negation():
            yield from _leaves(criterion.criterion)
        case Conjunction() | Disjunction():
            for one in criterion.criteria:
                yield from _leaves(one)
        case _:
            yield criterion


def _is_there(source: Source, row: str) -> Sql:
    parameter = source.parameter
    if parameter.place in ("id", "updated"):
        return Sql("true")
    bit = parameter.bit if source.bit is None else source.bit
    if bit is None:
        return has_any(row, [there_mark(parameter)])
    return Sql(f"{row}.has & {1 << bit} <> 0")


def _refers(chain: Chain, row: str, reached: Reached) -> Sql:
    mark = reference.mark(chain.source.parameter)
    is_home = is_home_of(chain.source, chain.type)
    if reached.own is not None:
        if not reached.own:
            return FALSE
        refers = overlaps(f"{row}.refs", [own ^ mark for own in reached.own])
        if not is_home:
            return refers
        return all_of((among(f"{row}.comp", reached.comps), checked(refers)))
    other = _deeper(row)
    met = where(chain.criterion, other, reached.facts)
    joined = f"{other}.own = any (select ref # {mark} from unnest({row}.refs) ref)"
    if is_home:
        is_meant = f"coalesce({row}.refs @> array[{other}.own # {mark}], false)"
        joined = f"{other}.comp = {row}.comp and {is_meant}"
    return _exists(chain.type, other, joined, met)


def _is_referred_to(has: Has, row: str, reached: Reached) -> Sql:
    mark = reference.mark(has.source.parameter)
    if reached.own is not None:
        return among(f"{row}.own", reached.own) if reached.own else FALSE
    other = _deeper(row)
    joined = f"{other}.refs @> array[{row}.own # {mark}]"
    if leads_home(has):
        joined = f"{other}.comp = {row}.comp and coalesce({joined}, false)"
    return _exists(has.type, other, joined, where(has.criterion, other, reached.facts))


def _exists(type_name: str, row: str, joined: str, met: Sql) -> Sql:
    rest = all_of((*of_type((type_name,), row), met))
    met = Sql(
        f"exists (select from {table(type_name)} {row} where {joined} and {rest.text})",
        rest.params,
    )
    return checked(met)  # many meet it, or they would have been looked up


def _deeper(row: str) -> str:
    return f"{row}r"
