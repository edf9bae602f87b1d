"""The operators, one row each: two flows to one. http://hl7.org/fhirpath/N1/#operations"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, TypeAlias

from ehr_server.fhirpath.flow import Flow, all_values, boolean, single, truth, union

Operator: TypeAlias = Callable[[Flow, Flow], Flow]


def equal(left: Flow, right: Flow) -> Flow:
    """`=`: empty if either side is. http://hl7.org/fhirpath/N1/#equality"""
    return _compared(left, right, operator.eq)


def not_equal(left: Flow, right: Flow) -> Flow:
    """`!=`: empty if either side is."""
    return _compared(left, right, operator.ne)


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
    if _is_single(left) and _is_single(right):
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


def _is_single(flow: Flow) -> bool:
    return len(flow.branches) == 1 and not flow.branches[0].is_list


OPERATORS: Mapping[str, Operator] = MappingProxyType(
    {
        "=": equal,
        "!=": not_equal,
        "and": both,
        "or": either,
        "xor": differ,
        "implies": implies,
        "in": within,
        "contains": contains,
        "|": joined,
    }
)
