"""The names and values of a search to a `Query`, or a refusal that names every fault.

https://hl7.org/fhir/R4/search.html. Strict: what is not understood is refused, for a parameter
that is left out silently returns the records of everyone. A client that prefers lenient handling
is told what was left out; a malformed value is refused all the same.
"""

import re
from collections.abc import Iterable, Sequence
from datetime import tzinfo
from urllib.parse import parse_qsl

from ehr_server.definitions import definitions
from ehr_server.errors import Invalid
from ehr_server.issue import Issue
from ehr_server.search.escapes import split
from ehr_server.search.malformed import Malformed, unsupported
from ehr_server.search.parameters import TYPES, searched
from ehr_server.search.query import Alternative, Condition, Query
from ehr_server.search.results import RESULT_PARAMETERS, Wanted
from ehr_server.search.rules import Rules
from ehr_server.search.types.registry import SEARCH_TYPES

SEARCHABLE = frozenset(TYPES)  # the types of parameters that can be searched by
PRESENTATION = frozenset(("_format", "_pretty"))  # allowed everywhere, heeded by the web

PARAMETERS_MAX = 50  # of one search: three hundred criteria keep a database busy for 18 s
VALUES_MAX = 1000  # of one parameter, parted by commas

_MODIFIERS = frozenset(
    ("missing", "exact", "contains", "text", "not", "in", "not-in", "above", "below", "of-type",
     "identifier", "iterate")
)  # fmt: skip
_LATER = frozenset(
    (
        "_include",
        "_revinclude",
        "_elements",
        "_contained",
        "_containedType",
        "_list",
        "_score",
        "_type",
    )
)
_TOO_MANY = Issue(
    "error",
    "too-costly",
    f"A search takes at most {PARAMETERS_MAX} parameters; ask for several values as name=a,b.",
    vi=f"Mỗi lần tìm tối đa {PARAMETERS_MAX} tham số; nhiều giá trị thì viết name=a,b.",
)
_UNWRITABLE = re.compile("[\x00-\x1f\ud800-\udfff]")


def parse(type_name: str, pairs: Iterable[tuple[str, str]], rules: Rules) -> Query:
    """What the decoded pairs of an address or a form ask for.

    Raises `Invalid` with an issue for each unknown parameter, modifier and malformed value.
    """
    pairs = list(pairs)
    if len(pairs) > PARAMETERS_MAX:
        raise Invalid(issues=[_TOO_MANY])
    conditions: list[Condition] = []
    issues: list[Issue] = []
    ignored: list[str] = []
    wanted = Wanted(type_name, rules)
    for name, value in pairs:
        try:
            if name in RESULT_PARAMETERS:
                wanted.take(name, value)
            elif name not in PRESENTATION:
                conditions.append(_condition(type_name, name, value, rules))
        except Malformed as fault:
            if fault.is_unsupported and rules.lenient:
                ignored.append(name)
            else:
                issues.append(_issue(name, fault))
    if issues:
        raise Invalid(issues=issues)
    return wanted.query(tuple(conditions), tuple(ignored))


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


def _condition(type_name: str, name: str, value: str, rules: Rules) -> Condition:
    code, colon, modifier = name.partition(":")
    here = definitions().search_parameters[type_name]
    if code.startswith("_has") or (code.partition(".")[0] in here and "." in name):
        raise unsupported("is a chain")
    if code in _LATER:
        raise unsupported("is one of the standard's")
    if code not in here:
        raise Malformed(
            f"is not one that {type_name} has", f"không có ở {type_name}", is_unsupported=True
        )
    if colon:
        raise _modifier(modifier)
    if code not in searched(type_name).by_code:
        raise unsupported(
            f"is of the type {here[code].type}" if here[code].expression else "is one"
        )
    if _UNWRITABLE.search(value):
        raise Malformed("holds a control character", "chứa ký tự điều khiển")
    return Condition(name, value, _alternatives(type_name, code, split(value, ","), rules))


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


def _modifier(modifier: str) -> Malformed:
    if modifier in _MODIFIERS or modifier in definitions().type_number:
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
        "not-supported" if fault.is_unsupported else "invalid",
        f"The search parameter {name} {fault.text}.",
        vi=f"Tham số tìm kiếm {name} {fault.vi}.",
    )
