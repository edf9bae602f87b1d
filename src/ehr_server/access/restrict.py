"""What a caller may find: the restriction is part of the query, never a filter after the fetch.

So totals, includes and exports cannot leak what a read would refuse. Where a query looks at other
resources, by a chain or `_has`, what the caller may not see does not count: of one who may not see
a Condition `_has:Condition:patient:code=...` finds nobody, and a negation of it everybody.
"""

from dataclasses import replace

from ehr_server.access.caller import Caller
from ehr_server.access.rights import IN_CONTEXT, NOTHING, Reach, Rights
from ehr_server.errors import Forbidden
from ehr_server.search.query import (
    Chain,
    Condition,
    Conjunction,
    Criterion,
    Disjunction,
    Has,
    Negation,
    Query,
)
from ehr_server.search.types.hierarchy import Kin


def restrict(query: Query, caller: Caller) -> Query:
    """The query narrowed to what the caller may read. On loopback nothing is withheld.

    Raises `Forbidden` for what cannot be narrowed.
    """
    rights = caller.narrowing
    if rights is None:
        return query
    reach = _found(rights, query.type)
    criteria = tuple(_narrowed(one, rights) for one in query.criteria)
    narrowed = replace(query, criteria=(*criteria, *reach.criteria))
    if narrowed == query:
        return query
    # An estimate is made of all rows, those too that may not be counted.
    total = "accurate" if query.total == "estimate" else query.total
    compartment = reach.patients if query.compartment is None else query.compartment
    return replace(narrowed, total=total, compartment=compartment)


def searched(query: Query, caller: Caller) -> Query:
    """The query of a search that names several types at once, or none: it finds nothing of one that
    the caller may read and not search."""
    rights = caller.narrowing
    if rights is None or rights.reach(query.type, "s") is not None:
        return query
    return replace(query, criteria=(*query.criteria, NOTHING))


def _found(rights: Rights, type_name: str) -> Reach:
    """What of the type is found, where it is meant."""
    nothing = Reach((NOTHING,))
    if type_name in IN_CONTEXT and not rights.policy.is_whole:
        return nothing
    return rights.reach(type_name, "r") or nothing


def _looked_through(rights: Rights, type_name: str) -> Reach:
    """What of the type a search of another may look at: it is a search of both. Exports, which may
    read all that they find, need no right to search."""
    if not rights.by_export and rights.reach(type_name, "s") is None:
        return Reach((NOTHING,))
    return _found(rights, type_name)


def _narrowed(criterion: Criterion, rights: Rights) -> Criterion:
    match criterion:
        case Negation():
            return Negation(_narrowed(criterion.criterion, rights))
        case Conjunction():
            return Conjunction(tuple(_narrowed(one, rights) for one in criterion.criteria))
        case Disjunction():
            return Disjunction(tuple(_narrowed(one, rights) for one in criterion.criteria))
        case Chain() | Has():
            reach = _looked_through(rights, criterion.type)
            inner = _narrowed(criterion.criterion, rights)
            if reach.criteria:
                inner = Conjunction((inner, *reach.criteria))
            return replace(criterion, criterion=inner)
        case Condition():
            _refuse_hidden_kin(criterion, rights)
            return criterion
        case _:
            return criterion


def _refuse_hidden_kin(condition: Condition, rights: Rights) -> None:
    """`:above` and `:below` go from one to the next, and what is in between may be hidden."""
    for one in condition.alternatives:
        if isinstance(one.term, Kin) and not rights.is_all(one.term.type):
            raise Forbidden(
                f"{condition.name}:{one.term.way} goes through resources of {one.term.type}, of"
                " which you may not read all; name those that you mean.",
                vi=f"{condition.name}:{one.term.way} đi qua các {one.term.type} mà bạn không được"
                " đọc hết; xin nêu rõ từng tài nguyên.",
            )
