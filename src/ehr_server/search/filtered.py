"""A `_filter` to a criterion, by way of the ordinary searches that say the same.

https://hl7.org/fhir/R4/search_filter.html
"""

from ehr_server.search import filter as tree
from ehr_server.search.criteria import NEGATED, check_modifier, followed
from ehr_server.search.malformed import Malformed
from ehr_server.search.operators import INTERNAL, ordinary, ordinary_value
from ehr_server.search.query import (
    Alternative,
    Chain,
    Condition,
    Conjunction,
    Criterion,
    Disjunction,
    Missing,
    Negation,
)
from ehr_server.search.rules import Rules
from ehr_server.search.types.registry import SEARCH_TYPES


def filtered(type_name: str, text: str, rules: Rules) -> Criterion:
    """What the filter asks of resources of the type. Raises `Malformed`."""
    return _criterion(type_name, tree.read(text), rules)


def _criterion(type_name: str, node: tree.Node, rules: Rules) -> Criterion:
    match node:
        case tree.Negation():
            return Negation(_criterion(type_name, node.operand, rules))
        case tree.Conjunction():
            return Conjunction(tuple(_criterion(type_name, part, rules) for part in node.parts))
        case tree.Disjunction():
            return Disjunction(tuple(_criterion(type_name, part, rules) for part in node.parts))
        case tree.Comparison():
            return _along(type_name, node.path, node, rules)


def _along(
    type_name: str, path: tuple[tree.Step, ...], compared: tree.Comparison, rules: Rules
) -> Criterion:
    """`subject.name`, `subject[active eq true].name`: a chain to every type that is meant."""
    step, *further = path
    if not further:
        return _compared(type_name, step.name, compared, rules)
    links: list[Criterion] = []
    for source in followed(type_name, step.name, rules):
        for target in source.targets:
            if further[0].name in rules.parameters.of(target).by_code:
                inner = _along(target, tuple(further), compared, rules)
                if step.where is not None:
                    inner = Conjunction((_criterion(target, step.where, rules), inner))
                links.append(Chain(source, target, inner))
    if not links:
        raise Malformed(
            f"goes on to {further[0].name}, which nothing there can be searched by",
            f"nối tới {further[0].name}, không loại nào ở đó có tham số này",
        )
    return links[0] if len(links) == 1 else Disjunction(tuple(links))


def _compared(type_name: str, code: str, compared: tree.Comparison, rules: Rules) -> Criterion:
    sources = rules.parameters.of(type_name).by_code.get(code)
    if sources is None:
        rules.parameters.refuse_unready(type_name, code)
        raise Malformed(
            f"names {code}, which {type_name} cannot be searched by",
            f"nêu {code}, {type_name} không có tham số này",
        )
    type_ = sources[0].parameter.type
    means = ordinary(compared.operator, type_)
    if means.modifier == "missing":
        is_there = Missing(sources, is_missing=compared.value == "true")
        return Negation(is_there) if means.is_negated else is_there
    modifier, prefix = means.modifier, means.prefix
    if prefix in INTERNAL:
        modifier, prefix = prefix, ""
    if modifier not in INTERNAL:
        check_modifier(modifier, sources)
    value, way = prefix + ordinary_value(compared.value, type_), NEGATED.get(modifier, modifier)
    found = Condition(
        code,
        tuple(
            Alternative(source.parameter, SEARCH_TYPES[type_].parse(value, source, rules, way))
            for source in sources
        ),
    )
    return Negation(found) if means.is_negated or modifier in NEGATED else found
