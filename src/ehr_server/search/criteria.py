"""One name and value of a search to a criterion: modifiers, chains, `_has`, composites.

https://hl7.org/fhir/R4/search.html
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from ehr_server.definitions import definitions
from ehr_server.search.escapes import split
from ehr_server.search.malformed import Malformed, unsupported
from ehr_server.search.parameter import Context, Source
from ehr_server.search.query import (
    Alternative,
    Chain,
    Condition,
    Conjunction,
    Criterion,
    Disjunction,
    Has,
    Missing,
    Negation,
)
from ehr_server.search.rules import Rules
from ehr_server.search.types import composite, fulltext, reference
from ehr_server.search.types.registry import SEARCH_TYPES, takes

VALUES_MAX = 1000  # of one parameter, parted by commas
CHAINED_MAX = 10  # links of one chain

MODIFIERS = frozenset(
    ("missing", "exact", "contains", "text", "not", "in", "not-in", "above", "below", "of-type",
     "identifier", "iterate")
)  # fmt: skip
NEGATED = {"not": "", "not-in": "in"}
_UNWRITABLE = re.compile("[\x00-\x1f\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class _Name:
    """`code:modifier`, and what comes after the first dot."""

    code: str
    modifier: str
    rest: str


def criterion(type_name: str, name: str, value: str, rules: Rules, depth: int = 0) -> Criterion:
    """What `name=value` asks of resources of the type. Raises `Malformed`."""
    if _UNWRITABLE.search(value):
        raise Malformed("holds a control character", "chứa ký tự điều khiển")
    if depth > CHAINED_MAX:
        raise Malformed(
            f"is a chain of more than {CHAINED_MAX} links", f"có chuỗi hơn {CHAINED_MAX} mắt xích"
        )
    if name.startswith("_has:"):
        return _has(type_name, name, value, rules, depth)
    parts = _parted(name)
    if parts.code in SPECIAL:
        return SPECIAL[parts.code](type_name, parts, value, rules)
    sources = rules.parameters.of(type_name).by_code.get(parts.code)
    if parts.rest:
        return _chain(type_name, parts, value, rules, depth)
    contexts = rules.parameters.of(type_name).composites.get(parts.code)
    if contexts is not None:
        return _composite(parts, contexts, value, rules)
    if sources is None:
        raise _unknown(type_name, parts.code, rules)
    if parts.modifier == "missing":
        return Missing(sources, _yes_or_no(value))
    return condition(parts.code, parts.modifier, sources, value, rules)


def condition(
    code: str, modifier: str, sources: Sequence[Source], text: str, rules: Rules
) -> Criterion:
    """One of the values, parted by commas, in one of the sources."""
    check_modifier(modifier, sources)
    values = _values(text)
    if not all(values):
        raise Malformed("has an empty value", "có giá trị bỏ trống")
    way = NEGATED.get(modifier, modifier)
    found = Condition(
        code,
        tuple(
            dict.fromkeys(
                Alternative(
                    source.parameter,
                    SEARCH_TYPES[source.parameter.type].parse(value, source, rules, way),
                )
                for source in sources
                for value in values
            )
        ),
    )
    met = _or_assumed(found, sources)
    return Negation(met) if modifier in NEGATED else met


def _or_assumed(found: Condition, sources: Sequence[Source]) -> Criterion:
    """A Patient "is generally assumed to be active if no value is provided":
    https://hl7.org/fhir/R4/patient-definitions.html#Patient.active. Who looks for people in use by
    a number must not miss one whose sender left it out."""
    is_assumed = any(
        (one.parameter.base, one.parameter.code) == ("Patient", "active")
        and getattr(one.term, "code", None) == "true"
        for one in found.alternatives
    )
    return Disjunction((found, Missing(tuple(sources), is_missing=True))) if is_assumed else found


def check_modifier(modifier: str, sources: Sequence[Source]) -> None:
    """Raises `Malformed` if parameters of the type do not have it."""
    type_ = sources[0].parameter.type
    if not modifier or takes(type_, modifier):
        return
    if modifier in MODIFIERS or modifier in definitions().type_number:
        raise Malformed(
            f"has the modifier :{modifier}, which is not one for a {type_}",
            f"có bổ ngữ :{modifier}, không dùng cho kiểu {type_}",
        )
    raise Malformed(
        f"has the modifier :{modifier}, which FHIR does not know",
        f"có bổ ngữ :{modifier}, FHIR không có",
    )


def references(type_name: str, code: str, rules: Rules) -> tuple[Source, ...]:
    """The sources of a reference parameter. Raises `Malformed` if the type has none of that
    code."""
    sources = rules.parameters.of(type_name).by_code.get(code)
    if sources is None:
        raise _unknown(type_name, code, rules)
    if sources[0].parameter.type != "reference":
        raise Malformed(
            f"goes on from {code}, which is no reference",
            f"nối tiếp từ {code}, không phải tham chiếu",
        )
    return sources


def followed(type_name: str, code: str, rules: Rules) -> tuple[Source, ...]:
    """As `references`, for a chain to go along. Raises `Malformed` also for canonical addresses:
    what these lead to is not looked up."""
    sources = references(type_name, code, rules)
    if all(source.parameter.types <= reference.ADDRESSES for source in sources):
        raise unsupported(f"goes on from {code}, which holds canonical addresses")
    return sources


def _values(text: str) -> list[str]:
    values = split(text, ",")
    if len(values) > VALUES_MAX:
        raise Malformed(
            f"has {len(values)} values; at most {VALUES_MAX} are allowed",
            f"có {len(values)} giá trị; tối đa {VALUES_MAX}",
        )
    return values


def _parted(name: str) -> _Name:
    head, dot, rest = name.partition(".")
    if dot and not rest:
        raise Malformed("ends in a dot", "kết thúc bằng dấu chấm")
    code, colon, modifier = head.partition(":")
    if colon and not modifier:
        raise Malformed("has an empty modifier", "có bổ ngữ bỏ trống")
    return _Name(code, modifier, rest)


def _chain(type_name: str, parts: _Name, value: str, rules: Rules, depth: int) -> Criterion:
    """`subject:Patient.name`, `subject.name`: of all types that it may refer to and that have
    such a parameter. https://hl7.org/fhir/R4/search.html#chaining"""
    sources = followed(type_name, parts.code, rules)
    targets = dict.fromkeys(target for source in sources for target in source.targets)
    known = targets or dict.fromkeys(definitions().resource_types)
    if parts.modifier and parts.modifier not in known:
        raise Malformed(
            f"has the type :{parts.modifier}, to which {parts.code} cannot refer",
            f"có loại :{parts.modifier} mà {parts.code} không thể tham chiếu tới",
        )
    code = parts.rest.partition(".")[0].partition(":")[0]
    asked = (
        [parts.modifier] if parts.modifier else [one for one in known if _knows(one, code, rules)]
    )
    if not asked:
        raise Malformed(
            f"goes on to {code}, which nothing that {parts.code} refers to can be searched by",
            f"nối tới {code}, không loại nào {parts.code} tham chiếu có tham số này",
        )
    links = [
        Chain(source, target, criterion(target, parts.rest, value, rules, depth + 1))
        for target in asked
        for source in sources
        if not source.targets or target in source.targets
    ]
    return links[0] if len(links) == 1 else Disjunction(tuple(links))


def _knows(type_name: str, code: str, rules: Rules) -> bool:
    here = rules.parameters.of(type_name)
    known = (here.by_code, here.composites, here.unready)
    return code == "_has" or any(code in several for several in known)


def _has(type_name: str, name: str, value: str, rules: Rules, depth: int) -> Criterion:
    """`_has:Observation:patient:code`: https://hl7.org/fhir/R4/search.html#has"""
    parts = name.split(":", 3)
    if len(parts) != 4 or not all(parts):
        raise Malformed(
            "must be _has:Type:reference:parameter", "phải là _has:Loại:tham chiếu:tham số"
        )
    _, other, code, rest = parts
    if other not in definitions().type_number:
        raise Malformed("names a type that FHIR does not have", "nêu loại tài nguyên không có")
    sources = [
        replace(source, targets=(type_name,))
        for source in followed(other, code, rules)
        if not source.targets or type_name in source.targets
    ]
    if not sources:
        raise Malformed(
            f"goes on from {code} of {other}, which cannot refer to {type_name}",
            f"{code} của {other} không thể tham chiếu tới {type_name}",
        )
    inner = criterion(other, rest, value, rules, depth + 1)
    links = [Has(other, source, inner) for source in sources]
    return links[0] if len(links) == 1 else Disjunction(tuple(links))


def _composite(parts: _Name, contexts: Sequence[Context], text: str, rules: Rules) -> Criterion:
    """`code$value,code$value`: https://hl7.org/fhir/R4/search.html#combining"""
    if parts.modifier:
        raise Malformed(
            f"has the modifier :{parts.modifier}; a composite takes none",
            f"có bổ ngữ :{parts.modifier}; tham số ghép không nhận bổ ngữ",
        )
    found = tuple(
        _in_context(parts.code, context, split(value, "$"), rules)
        for value in _values(text)
        for context in contexts
    )
    return found[0] if len(found) == 1 else Disjunction(found)


def _in_context(code: str, context: Context, values: Sequence[str], rules: Rules) -> Criterion:
    count = len(context.outside) + len(context.within)
    if len(values) != count or not all(values):
        raise Malformed(
            f"must have {count} parts, parted by $", f"phải có {count} phần, cách nhau bởi $"
        )
    met: list[Criterion] = [
        condition(code, "", sources, values[at], rules) for at, sources in context.outside
    ]
    if context.inside is not None:
        terms = [
            SEARCH_TYPES[part.parameter.type].parse(values[at], Source(part.parameter), rules)
            for at, part in zip(context.within, context.inside.parts, strict=True)
        ]
        together = composite.together(terms, context.inside)
        met.append(Condition(code, (Alternative(context.inside, together),)))
    return met[0] if len(met) == 1 else Conjunction(tuple(met))


def _list(type_name: str, parts: _Name, value: str, rules: Rules) -> Criterion:
    """Members of a List: https://hl7.org/fhir/R4/search.html#list"""
    _plain(parts)
    if value.startswith("$"):  # https://hl7.org/fhir/R4/lifecycle.html#current
        raise unsupported("names a list that is kept by function")
    (source,) = references("List", "item", rules)
    by_id = rules.parameters.of("List").by_code["_id"]
    source = replace(source, targets=(type_name,))
    ids = ",".join(one.removeprefix("List/") for one in split(value, ","))
    return Has("List", source, condition("_id", "", by_id, ids, rules))


def _filter(type_name: str, parts: _Name, value: str, rules: Rules) -> Criterion:
    """https://hl7.org/fhir/R4/search_filter.html"""
    from ehr_server.search.filtered import filtered  # which asks for criteria in its turn

    _plain(parts)
    return filtered(type_name, value, rules)


def _full_text(type_name: str, parts: _Name, value: str, rules: Rules) -> Criterion:
    """https://hl7.org/fhir/R4/search.html#text"""
    _plain(parts)
    return condition(parts.code, "", (fulltext.source(type_name, parts.code),), value, rules)


def _plain(parts: _Name) -> None:
    if parts.modifier or parts.rest:
        raise Malformed("takes no modifier", "không nhận bổ ngữ")


# Parameters that are no value of a resource, each with what makes a criterion of it.
SPECIAL: Mapping[str, Callable[[str, _Name, str, Rules], Criterion]] = {
    "_list": _list,
    "_filter": _filter,
    **dict.fromkeys(fulltext.CODES, _full_text),
}


def _yes_or_no(value: str) -> bool:
    if value not in ("true", "false"):
        raise Malformed("is neither true nor false", "phải là true hoặc false")
    return value == "true"


def _unknown(type_name: str, code: str, rules: Rules) -> Malformed:
    rules.parameters.refuse_unready(type_name, code)
    known = rules.parameters.definitions(type_name).get(code)
    if known is not None:
        return unsupported("is one of the standard's, without a value that could be looked at")
    return Malformed(
        f"is not one that {type_name} has", f"không có ở {type_name}", is_unsupported=True
    )
