"""Conditions that an index answers only in parts, each part read in order by itself.

A page by main code and date: the resources whose first coding it is lie together in the index, in
the order of their date; those of which it is a further coding are few and come by the array. One
statement for both would read and sort all that there are (7,591 rows, 8 ms against 0.7 ms).
The branches of a condition are disjoint, so nothing is found twice.
"""

from collections.abc import Iterable, Sequence
from itertools import product
from typing import cast

from ehr_server.fhir.dates import EARLIEST
from ehr_server.search.facts import Facts
from ehr_server.search.query import Condition, Criterion, Disjunction
from ehr_server.search.sort import Stage
from ehr_server.search.sql import Sql, all_of, any_of, checked, has_any, negated
from ehr_server.search.types import date, token
from ehr_server.search.where import where

CODES_MAX = 8  # a branch each; more are one condition without branches
PARTS_MAX = 4  # so too of a disjunction


def branches(
    criteria: Iterable[Criterion], stages: Sequence[Stage], is_pinned: bool, facts: Facts
) -> tuple[list[tuple[Sql, ...]], list[Criterion]]:
    """The branches, each as the conditions that stand for the criteria taken, and the criteria
    that are left, which hold for all branches.

    `is_pinned`: the compartments are known, so that few rows are read whatever their date.
    """
    criteria = list(criteria)
    # By key, the last of them, means that no order is asked for.
    by_main = stages[0].columns[0].text in ("r.d1", "r.q1", "r.key")
    conditions = [one for one in criteria if isinstance(one, Condition)]
    code = next(filter(_is_code, conditions), None) if by_main else None
    since = either = None
    if not is_pinned:
        since = next(filter(_is_since, conditions), None)
        either = next((one for one in criteria if isinstance(one, Disjunction)), None)
    parts = [_by_code(code)] if code else []
    parts += [_by_length(since)] if since else []
    if either and 1 < len(either.criteria) <= PARTS_MAX:
        parts.append(_by_part(either, facts))
    else:
        either = None
    taken = (code, since, either)
    rest = [one for one in criteria if not any(one is other for other in taken)]
    return list(product(*parts)), rest


def _by_part(either: Disjunction, facts: Facts) -> list[Sql]:
    """Each part by itself, less what the parts before it have found: `combo-code-value-quantity`
    is in the row or in what lies beside it, and no one index leads to both."""
    parts = [where(one, "r", facts) for one in either.criteria]
    return [
        all_of((part, *(negated(before) for before in parts[:at]))) for at, part in enumerate(parts)
    ]


def _is_code(condition: Condition) -> bool:
    parameter = condition.parameter
    return (
        parameter is not None
        and (parameter.type, parameter.place) == ("token", "main")
        and len(condition.terms) <= CODES_MAX
        and all(isinstance(term, token.Token) and term.code is not None for term in condition.terms)
    )


def _by_code(condition: Condition) -> list[Sql]:
    """By each of the codes as the first one, then by all of them as a further one."""
    parameter = condition.alternatives[0].parameter
    groups: dict[int, list[token.Token]] = {}
    for term in cast(tuple[token.Token, ...], condition.terms):
        groups.setdefault(token.main_code(parameter, term) or 0, []).append(term)
    first, further = [], []
    for bare, terms in groups.items():
        system = [checked(part) for part in _systems(condition, terms)]
        first.append(all_of((Sql("r.c1 = %s::bigint", (bare,)), *system)))
        further.append(all_of((has_any("r", [bare]), *system)))
    if len(first) == 1:  # a code in `c1` is not in the array as well
        return [*first, *further]
    return [*first, all_of((any_of(further), negated(any_of(first))))]


def _systems(condition: Condition, terms: list[token.Token]) -> list[Sql]:
    """What must be in the array besides the bare code: nothing, if that alone will do."""
    if any(term.system is None for term in terms):
        return []
    parameter = condition.alternatives[0].parameter
    hashes = [hash_ for term in terms for hash_ in token.stored(parameter, term)]
    return [has_any("r", hashes)]


def _is_since(condition: Condition) -> bool:
    parameter = condition.parameter
    return (
        parameter is not None
        and (parameter.type, parameter.place) == ("date", "main")
        and len(condition.terms) == 1
        and condition.terms[0].prefix in ("ge", "gt")
    )


def _by_length(condition: Condition) -> list[Sql]:
    """What began not long before the day, then what began earlier but is long."""
    parameter, term = condition.alternatives[0].parameter, condition.terms[0]
    whole = date.where((term,), parameter, "r", {})
    begin = max(term.lo, EARLIEST + date.LONG) - date.LONG
    return [
        all_of((Sql("r.d1 >= %s", (begin,)), whole)),
        all_of(
            (
                has_any("r", [date.long_mark(parameter)]),
                Sql("r.d1 < %s", (begin,)),
                whole,
            )
        ),
    ]
