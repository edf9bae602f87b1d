"""The operators, one row each: two flows to one. http://hl7.org/fhirpath/N1/#operations"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, TypeAlias

from ehr_server.fhirpath import compare
from ehr_server.fhirpath.arithmetic import calculated
from ehr_server.fhirpath.flow import (
    DYNAMIC,
    Flow,
    Many,
    all_typed,
    all_values,
    boolean,
    is_single,
    single,
    single_typed,
    truth,
    union,
)
from ehr_server.fhirpath.system import kind

Operator: TypeAlias = Callable[[Flow, Flow], Flow]


def equal(left: Flow, right: Flow) -> Flow:
    """`=`: empty if either side is. http://hl7.org/fhirpath/N1/#equality"""
    if _is_plain(left, right):
        return _compared(left, right, operator.eq)
    return _compared_typed(left, right, lambda found: found)


def not_equal(left: Flow, right: Flow) -> Flow:
    """`!=`: empty if either side is."""
    if _is_plain(left, right):
        return _compared(left, right, operator.ne)
    return _compared_typed(left, right, operator.not_)


def equivalent(left: Flow, right: Flow) -> Flow:
    """`~`: never empty. http://hl7.org/fhirpath/N1/#equivalence"""
    first, second = all_typed(left), all_typed(right)
    return boolean(
        lambda focus, resource: compare.all_equivalent(
            first(focus, resource), second(focus, resource)
        )
    )


def not_equivalent(left: Flow, right: Flow) -> Flow:
    """`!~`"""
    (branch,) = equivalent(left, right).branches
    return boolean(lambda focus, resource: not branch.run(focus, resource))


def ordered(test: Callable[[int, int], bool]) -> Operator:
    """A row for one of `< <= > >=`: of the order of two values and 0."""

    def compile_(left: Flow, right: Flow) -> Flow:
        if _are_numbers(left, right):
            return _compared(left, right, test)
        one, other = single_typed(left), single_typed(right)

        def run(focus: Any, resource: Any) -> bool | None:
            value, given = one(focus, resource), other(focus, resource)
            if value is None or given is None or value.value is None or given.value is None:
                return None
            found = compare.order(value, given)
            return None if found is None else test(found, 0)

        return boolean(run)

    return compile_


def calculating(sign: str) -> Operator:
    """A row for one of `+ - * / div mod &`."""
    return lambda left, right: calculated(sign, left, right)


def both(left: Flow, right: Flow) -> Flow:
    """`and`, with three values: False wins, then empty."""
    first, second = truth(left), truth(right)

    def run(focus: Any, resource: Any) -> bool | None:
        one = first(focus, resource)
        if one is False:
            return False
        other = second(focus, resource)
        return other if one or other is False else None

    return boolean(run)


def either(left: Flow, right: Flow) -> Flow:
    """`or`, with three values: True wins, then empty."""
    first, second = truth(left), truth(right)

    def run(focus: Any, resource: Any) -> bool | None:
        one = first(focus, resource)
        if one:
            return True
        other = second(focus, resource)
        return other if one is False or other else None

    return boolean(run)


def differ(left: Flow, right: Flow) -> Flow:
    """`xor`: empty if either side is."""
    first, second = truth(left), truth(right)

    def run(focus: Any, resource: Any) -> bool | None:
        one, other = first(focus, resource), second(focus, resource)
        return None if one is None or other is None else one is not other

    return boolean(run)


def implies(left: Flow, right: Flow) -> Flow:
    """`implies`: what is False implies anything. http://hl7.org/fhirpath/N1/#implies"""
    first, second = truth(left), truth(right)

    def run(focus: Any, resource: Any) -> bool | None:
        one = first(focus, resource)
        if one is False:
            return True
        other = second(focus, resource)
        return other if one or other else None

    return boolean(run)


def within(left: Flow, right: Flow) -> Flow:
    """`in`: whether the one value on the left is among those on the right."""
    one, values = single(left), all_values(right)

    def run(focus: Any, resource: Any) -> bool | None:
        value = one(focus, resource)
        return None if value is None else value in values(focus, resource)

    return boolean(run)


def contains(left: Flow, right: Flow) -> Flow:
    """`contains`: `in`, the other way round."""
    return within(right, left)


def joined(left: Flow, right: Flow) -> Flow:
    """`|`: the values of both sides, each once."""
    return union((*left.branches, *right.branches))


def _compared(left: Flow, right: Flow, test: Callable[[Any, Any], bool]) -> Flow:
    if is_single(left) and is_single(right):
        one, other = single(left), single(right)

        def run(focus: Any, resource: Any) -> bool | None:
            value, wanted = one(focus, resource), other(focus, resource)
            return None if value is None or wanted is None else test(value, wanted)

        return boolean(run)
    first, second = all_values(left), all_values(right)

    def run_all(focus: Any, resource: Any) -> bool | None:
        values, wanted = first(focus, resource), second(focus, resource)
        return test(list(values), list(wanted)) if values and wanted else None

    return boolean(run_all)


def _compared_typed(left: Flow, right: Flow, said: Callable[[bool], bool]) -> Flow:
    first, second = _there(left), _there(right)

    def run(focus: Any, resource: Any) -> bool | None:
        values, wanted = first(focus, resource), second(focus, resource)
        found = compare.all_equal(values, wanted) if values and wanted else None
        return None if found is None else said(found)

    return boolean(run)


def _there(flow: Flow) -> Many:
    """The typed values, without primitives that have but extensions."""
    values = all_typed(flow)
    if all(branch.type != DYNAMIC for branch in flow.branches):
        return values
    return lambda focus, resource: [
        value for value in values(focus, resource) if value.value is not None
    ]


def _is_plain(left: Flow, right: Flow) -> bool:
    """Whether values of the two are equal if JSON says so: the usual case."""
    branches = (*left.branches, *right.branches)
    if any(branch.type == DYNAMIC for branch in branches):
        return False
    kinds = [{kind(branch.type) for branch in flow.branches} for flow in (left, right)]
    both = kinds[0] & kinds[1]
    if kinds[0] | kinds[1] >= {"boolean", "number"}:
        return False
    return not both & {"moment", "quantity"}


def _are_numbers(left: Flow, right: Flow) -> bool:
    branches = (*left.branches, *right.branches)
    is_each_single = is_single(left) and is_single(right)
    return is_each_single and all(kind(branch.type) == "number" for branch in branches)


OPERATORS: Mapping[str, Operator] = MappingProxyType(
    {
        "=": equal,
        "!=": not_equal,
        "~": equivalent,
        "!~": not_equivalent,
        "<": ordered(operator.lt),
        "<=": ordered(operator.le),
        ">": ordered(operator.gt),
        ">=": ordered(operator.ge),
        "and": both,
        "or": either,
        "xor": differ,
        "implies": implies,
        "in": within,
        "contains": contains,
        "|": joined,
        **{sign: calculating(sign) for sign in ("+", "-", "*", "/", "div", "mod", "&")},
    }
)
