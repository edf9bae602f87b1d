"""The names and values of a search to a `Query`, or a refusal that names every fault.

https://hl7.org/fhir/R4/search.html. Strict: what is not understood is refused, for a parameter
that is left out silently returns the records of everyone. A client that prefers lenient handling
is told what was left out; a malformed value is refused all the same.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import tzinfo
from urllib.parse import parse_qsl

from ehr_server.definitions import definitions
from ehr_server.errors import Invalid
from ehr_server.fhir.outcome import Issue
from ehr_server.search.escapes import split
from ehr_server.search.malformed import Malformed
from ehr_server.search.parameters import TYPES, searched
from ehr_server.search.query import Alternative, Condition, Query
from ehr_server.search.results import RESULT_PARAMETERS, Wanted
from ehr_server.search.rules import Rules
from ehr_server.search.types.registry import SEARCH_TYPES

SEARCHABLE = frozenset(TYPES)  # the types of parameters that can be searched by

VALUES_MAX = 1000  # of one parameter, parted by commas

_MODIFIERS = frozenset(
    ("missing", "exact", "contains", "text", "not", "in", "not-in", "above", "below", "of-type",
     "identifier", "iterate")
)  # fmt: skip
_ELSEWHERE = frozenset(("_format", "_pretty"))  # decided by the web


def parse(type_name: str, pairs: Iterable[tuple[str, str]], rules: Rules) -> Query:
    """What the decoded pairs of an address or a form ask for.

    Raises `Invalid` with an issue for each unknown parameter, modifier and malformed value.
    """
    conditions: list[Condition] = []
    issues: list[Issue] = []
    unknown: list[str] = []
    wanted = Wanted(type_name, rules)
    for name, value in pairs:
        try:
            if name in RESULT_PARAMETERS:
                wanted.take(name, value)
            elif name in _ELSEWHERE:
                continue
            elif _is_known(type_name, name):
                conditions.append(_condition(type_name, name, value, rules))
            else:
                unknown.append(name)
        except Malformed as fault:
            issues.append(_issue(name, fault))
    if not rules.lenient:
        issues = [*(_unknown(type_name, name) for name in unknown), *issues]
    if issues:
        raise Invalid(issues=issues)
    return wanted.query(tuple(conditions), tuple(unknown))


def parse_criteria(type_name: str, criteria: str, zone: tzinfo, base: str = "") -> Query:
    """The query of `If-None-Exist`, a conditional reference and their like: criteria alone.

    https://hl7.org/fhir/R4/http.html#ccreate. Raises `Invalid`; also where nothing is asked,
    because that would match everything.
    """
    pairs = parse_qsl(criteria.removeprefix("?"), keep_blank_values=True)
    results = sorted({name for name, _ in pairs} & RESULT_PARAMETERS.keys())
    query = parse(type_name, pairs, Rules(zone, base))
    if results or not query.conditions:
        reason = f"{', '.join(results)} is not a criterion." if results else "There are none."
        raise Invalid(
            f"Criteria must say which {type_name} is meant. {reason}",
            vi=f"Điều kiện phải nêu rõ {type_name} nào.",
        )
    return query


def _is_known(type_name: str, name: str) -> bool:
    code, _, modifier = name.partition(":")
    code, dot, _ = code.partition(".")
    known: Mapping[str, object] = definitions().search_parameters[type_name]
    return code in known or code == "_has" or (not modifier and not dot and code in _LATER)


def _condition(type_name: str, name: str, value: str, rules: Rules) -> Condition:
    code, colon, modifier = name.partition(":")
    _refuse_joins(name, modifier)
    if code in _LATER:
        raise Malformed("is not supported yet", "chưa được hỗ trợ")
    definition = definitions().search_parameters[type_name][code]
    if colon:
        raise _modifier(modifier)
    if code not in searched(type_name).by_code:
        reason = f"is a {definition.type} parameter" if definition.expression else "searches texts"
        raise Malformed(f"{reason}, which is not supported yet", "chưa được hỗ trợ")
    if any(ord(character) < 32 or "\ud800" <= character <= "\udfff" for character in value):
        raise Malformed("holds a control character", "chứa ký tự điều khiển")
    return Condition(name, _alternatives(type_name, code, split(value, ","), rules))


def _alternatives(
    type_name: str, code: str, values: Sequence[str], rules: Rules
) -> tuple[Alternative, ...]:
    if len(values) > VALUES_MAX:
        raise Malformed(
            f"has {len(values)} values; at most {VALUES_MAX} are allowed",
            f"có {len(values)} giá trị; tối đa {VALUES_MAX}",
        )
    if not all(values):
        raise Malformed("has an empty value", "có giá trị bỏ trống")
    found = (
        Alternative(
            source.parameter, SEARCH_TYPES[source.parameter.type].parse(value, source, rules)
        )
        for source in searched(type_name).by_code[code]
        for value in values
    )
    return tuple(dict.fromkeys(found))


_LATER = frozenset(
    ("_include", "_revinclude", "_elements", "_contained", "_containedType", "_score", "_type")
)


def _refuse_joins(name: str, modifier: str) -> None:
    if name.startswith("_has:") or "." in name:
        raise Malformed("is a chain, which is not supported yet", "là tìm kiếm nối, chưa hỗ trợ")
    if modifier in definitions().type_number:
        raise Malformed(
            f"has the modifier :{modifier}, which is not supported yet", "chưa hỗ trợ bổ ngữ này"
        )


def _modifier(modifier: str) -> Malformed:
    if modifier in _MODIFIERS:
        return Malformed(
            f"has the modifier :{modifier}, which is not supported yet",
            f"có bổ ngữ :{modifier}, chưa được hỗ trợ",
        )
    return Malformed(
        f"has the modifier :{modifier}, which FHIR does not know",
        f"có bổ ngữ :{modifier}, FHIR không có",
    )


def _issue(name: str, fault: Malformed) -> Issue:
    return Issue(
        "error",
        "invalid",
        f"The search parameter {name} {fault.text}.",
        vi=f"Tham số tìm kiếm {name} {fault.vi}.",
    )


def _unknown(type_name: str, name: str) -> Issue:
    return Issue(
        "error",
        "not-supported",
        f"{type_name} has no search parameter {name}.",
        vi=f"{type_name} không có tham số tìm kiếm {name}.",
    )
