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
    # An estimate is made of all rows, those too that may not be counted.
    is_exact = query.total == "estimate" and (reach.criteria or criteria != query.criteria)
    total = "accurate" if is_exact else query.total
    narrowed = replace(query, criteria=(*criteria, *reach.criteria), total=total)
    if not reach.criteria:
        return narrowed
    compartment = reach.patients if query.compartment is None else query.compartment
    return replace(narrowed, compartment=compartment)


def _found(rights: Rights, type_name: str) -> Reach:
    """What a search of the type may find."""
    nothing = Reach((NOTHING,))
    if type_name in IN_CONTEXT and not rights.policy.is_whole:
        return nothing
    return rights.reach(type_name, "r") or nothing


def _narrowed(criterion: Criterion, rights: Rights) -> Criterion:
    match criterion:
        case Negation():
            return Negation(_narrowed(criterion.criterion, rights))
        case Conjunction():
            return Conjunction(tuple(_narrowed(one, rights) for one in criterion.criteria))
        case Disjunction():
            return Disjunction(tuple(_narrowed(one, rights) for one in criterion.criteria))
        case Chain() | Has():
            reach = _found(rights, criterion.type)
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
