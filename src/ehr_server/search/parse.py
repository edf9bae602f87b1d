"""The names and values of a search to a `Query`, or a refusal that names every fault.

https://hl7.org/fhir/R4/search.html. Strict: what is not understood is refused, for a parameter
that is left out silently returns the records of everyone. A client that prefers lenient handling
is told what was left out; a malformed value is refused all the same.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from urllib.parse import parse_qsl

from ehr_server.errors import Invalid
from ehr_server.issue import Issue
from ehr_server.redact import without_numbers
from ehr_server.search.criteria import criterion
from ehr_server.search.malformed import Malformed
from ehr_server.search.private import is_private
from ehr_server.search.query import (
    Chain,
    Condition,
    Conjunction,
    Criterion,
    Disjunction,
    Has,
    Negation,
    Query,
    SortKey,
)
from ehr_server.search.results import Wanted, is_result_parameter
from ehr_server.search.rules import Rules

PRESENTATION = frozenset(("_format", "_pretty"))  # allowed everywhere, heeded by the web
# What clients send along that changes nothing: each with who does.
HARMLESS = frozenset(("_totalMethod", "_totalmethod"))  # fhirpy

PARAMETERS_MAX = 50  # of one search: three hundred criteria keep a database busy for 18 s
# Values of a search of one type, and of all types together; a chain to one type is a statement of
# its own, which costs as much as so many. Ten times as many take 7 s to put into words.
VALUES_MAX = 10_000
VALUES_OF_ALL_MAX = 200_000
_CHAIN_VALUES = 10

_TOO_MANY = Issue(
    "error",
    "too-costly",
    f"A search takes at most {PARAMETERS_MAX} parameters; ask for several values as name=a,b.",
    vi=f"Mỗi lần tìm tối đa {PARAMETERS_MAX} tham số; nhiều giá trị thì viết name=a,b.",
)

_TOO_MUCH = Issue(
    "error",
    "too-costly",
    "So many values, in so many types, are too much for one search: ask for some at a time, and"
    " name the type that a chain leads to, as in subject:Patient.name.",
    vi="Quá nhiều giá trị và loại cho một lần tìm: xin tìm từng phần, và nêu loại mà chuỗi nối tới,"
    " ví dụ subject:Patient.name.",
)

_ONE_ORDER = Issue(
    "error",
    "not-supported",
    "The search parameter _sort takes _lastUpdated alone where several types are searched.",
    vi="Khi tìm nhiều loại, tham số tìm kiếm _sort chỉ nhận _lastUpdated.",
)


def is_criterion(name: str) -> bool:
    """Whether a parameter says what is found, and not how it is shown."""
    return not is_result_parameter(name) and name not in PRESENTATION | HARMLESS


def parse(type_name: str, pairs: Iterable[tuple[str, str]], rules: Rules) -> Query:
    """What the decoded pairs of an address or a form ask for.

    Raises `Invalid` with an issue for each unknown parameter, modifier and malformed value, and
    for too much at once.
    """
    pairs = list(pairs)
    if len(pairs) > PARAMETERS_MAX:
        raise Invalid(issues=[_TOO_MANY])
    criteria: list[Criterion] = []
    asked: list[tuple[str, str]] = []
    issues: list[Issue] = []
    ignored: list[tuple[str, str]] = []
    private: list[tuple[str, str]] = []
    load = 0
    wanted = Wanted(type_name, rules)
    for name, value in pairs:
        try:
            if is_result_parameter(name):
                wanted.take(name, value)
            elif is_criterion(name):
                criteria.append(criterion(type_name, name, value, rules))
                asked.append((name, value))
                load += values_of(criteria[-1])
                if is_private(criteria[-1], value):
                    private.append((name, value))
        except Malformed as fault:
            if fault.is_unsupported and rules.lenient:
                ignored.append((name, value))
            else:
                issues.append(_issue(name, fault))
        if load > VALUES_MAX:
            raise Invalid(issues=[_TOO_MUCH])
    if issues:
        raise Invalid(issues=issues)
    try:
        query = wanted.query(tuple(criteria), tuple(asked), tuple(ignored))
    except Malformed as fault:
        raise Invalid(issues=[_issue("_summary", fault)]) from None
    return replace(query, private=tuple(private))


def parse_types(
    types: Sequence[str], pairs: Iterable[tuple[str, str]], rules: Rules
) -> list[Query]:
    """A search of several types: a query for each, all in the order in which they were stored.

    https://hl7.org/fhir/R4/search.html#all: what is asked must be known of every one of them.
    Raises `Invalid`.
    """
    pairs = list(pairs)
    queries = _parsed(types, pairs, rules)
    left_out = {pair for query in queries for pair in query.ignored}
    if left_out:  # by one is by all, or the others would return the records of everyone untold
        kept = [pair for pair in pairs if pair not in left_out]
        ignored = tuple(pair for pair in pairs if pair in left_out)
        queries = [replace(query, ignored=ignored) for query in _parsed(types, kept, rules)]
    private = tuple(dict.fromkeys(pair for query in queries for pair in query.private))
    return [replace(_in_one_order(query, rules), private=private) for query in queries]


def _parsed(
    types: Sequence[str], pairs: Sequence[tuple[str, str]], rules: Rules
) -> Sequence[Query]:
    queries: list[Query] = []
    for type_name in types:
        queries.append(parse(type_name, pairs, rules))
        if sum(map(values_of, queries[0].criteria)) * len(types) > VALUES_OF_ALL_MAX:
            raise Invalid(issues=[_TOO_MUCH])
    return queries


def _in_one_order(query: Query, rules: Rules) -> Query:
    if not query.is_sorted:
        updated = rules.parameters.of(query.type).by_code["_lastUpdated"][0].parameter
        return replace(query, order=(SortKey(updated, True),))
    if [key.parameter.place for key in query.order] != ["updated"]:
        raise Invalid(issues=[_ONE_ORDER])
    return query


def parse_criteria(type_name: str, criteria: str, rules: Rules) -> Query:
    """The query of `If-None-Exist`, a conditional reference and their like: criteria alone.

    https://hl7.org/fhir/R4/http.html#ccreate. Raises `Invalid`; also where nothing is asked,
    because that would match everything.
    """
    try:
        pairs = parse_qsl(criteria.removeprefix("?"), keep_blank_values=True, errors="strict")
    except UnicodeDecodeError:
        raise Invalid("Criteria must be UTF-8.", vi="Điều kiện phải là UTF-8.") from None
    results = sorted({name for name, _ in pairs if is_result_parameter(name)})
    query = parse(type_name, pairs, rules)
    if results or not query.criteria:
        reason = f"{', '.join(results)} is not a criterion." if results else "There are none."
        raise Invalid(
            f"Criteria must say which {type_name} is meant. {reason}",
            vi=f"Điều kiện phải nêu rõ {type_name} nào.",
        )
    return query


def values_of(criterion: Criterion) -> int:
    """How many values are compared, a chain to one type counted as several."""
    match criterion:
        case Condition():
            return len(criterion.alternatives)
        case Negation():
            return values_of(criterion.criterion)
        case Conjunction() | Disjunction():
            return sum(map(values_of, criterion.criteria))
        case Chain() | Has():
            return _CHAIN_VALUES + values_of(criterion.criterion)
        case _:
            return 1


def _issue(name: str, fault: Malformed) -> Issue:
    return Issue(
        "error",
        "not-supported" if fault.is_unsupported else "invalid",
        without_numbers(f"The search parameter {name} {fault.text}."),
        vi=without_numbers(f"Tham số tìm kiếm {name} {fault.vi}."),
    )
