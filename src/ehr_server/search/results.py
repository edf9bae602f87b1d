"""The parameters that shape the answer and not the set that is found.

https://hl7.org/fhir/R4/search.html#return
"""

from collections.abc import Callable, Mapping
from dataclasses import replace

from ehr_server.definitions.subset import SUMMARIES, elements, unknown_elements
from ehr_server.search.includes import include
from ehr_server.search.malformed import Malformed, unsupported
from ehr_server.search.query import Condition, Criterion, Query, SortKey
from ehr_server.search.rules import Rules
from ehr_server.search.sort import is_sortable, leading_condition
from ehr_server.search.types.token import leads_by_place

SORT_KEYS_MAX = 5
EXPLAIN = "_explain"  # no parameter of the standard

_REPEATED = frozenset(("_include", "_revinclude"))


class Wanted:
    """Gathers them while a search is parsed; each may come once, but for includes."""

    def __init__(self, type_name: str, rules: Rules) -> None:
        self._query = Query(type_name, count=min(rules.count, rules.count_max))
        self._rules = rules
        self._taken: set[str] = set()

    def take(self, name: str, value: str) -> None:
        """One of `RESULT_PARAMETERS`, perhaps with a modifier. Raises `Malformed`."""
        code, _, modifier = name.partition(":")
        if code in self._taken and code not in _REPEATED:
            raise Malformed("comes more than once", "xuất hiện nhiều lần")
        self._taken.add(code)
        if code in _REPEATED:
            one = include(code, modifier, value, self._rules)
            self._query = replace(self._query, includes=(*self._query.includes, one))
        elif modifier:
            raise Malformed(f"takes no modifier :{modifier}", f"không nhận bổ ngữ :{modifier}")
        else:
            self._query = RESULT_PARAMETERS[code](self._query, value, self._rules)

    def query(
        self,
        criteria: tuple[Criterion, ...],
        asked: tuple[tuple[str, str], ...],
        ignored: tuple[tuple[str, str], ...],
    ) -> Query:
        """The whole query."""
        found = replace(self._query, criteria=criteria, asked=asked, ignored=ignored)
        if not found.order:
            found = replace(found, order=_usual_order(found, self._rules))
        if found.subset is not None and found.subset.mode == "text" and found.includes:
            raise Malformed(
                "is text, which goes with no _include", "là text, không dùng cùng _include"
            )
        return found


def is_result_parameter(name: str) -> bool:
    """Whether it shapes the answer, whatever its modifier."""
    code = name.partition(":")[0]
    return code in RESULT_PARAMETERS or code in _REPEATED


def _usual_order(query: Query, rules: Rules) -> tuple[SortKey, ...]:
    """Without a wish the text that is asked for, as a list of names; else the main date of the
    type, newest first.

    What an id or an identifier leads to is a handful: it is ordered by key alone, and the database
    is not tempted to read an index of dates in the hope of meeting them soon.
    """
    named = leading_condition(query.criteria)
    if any(map(_is_identifying, query.criteria)):
        return ()
    if named is not None and named.parameter is not None:
        return (SortKey(named.parameter, False),)
    main_date = rules.parameters.of(query.type).main_date
    return (SortKey(main_date, True),) if main_date else ()


def _is_identifying(criterion: Criterion) -> bool:
    if not isinstance(criterion, Condition) or criterion.parameter is None:
        return False
    parameter = criterion.parameter
    is_token = parameter.place == "id" or parameter.types == {"Identifier"}
    return is_token and leads_by_place(criterion.terms)


def _count(query: Query, value: str, rules: Rules) -> Query:
    if not (value.isascii() and value.isdigit() and len(value) < 10):
        raise Malformed("must be a whole number", "phải là số nguyên")
    if query.count == 0:  # `_summary=count` came before
        return query
    return replace(query, count=min(int(value), rules.count_max))


def _total(query: Query, value: str, rules: Rules) -> Query:  # noqa: ARG001
    match value:
        case "none" | "estimate" | "accurate":
            return replace(query, total=value)
    raise Malformed("must be none, estimate or accurate", "phải là none, estimate hoặc accurate")


def _summary(query: Query, value: str, rules: Rules) -> Query:  # noqa: ARG001
    if value == "count":
        return replace(query, count=0, total="accurate")
    if value not in SUMMARIES:
        raise Malformed(
            "must be true, text, data, count or false", "phải là true, text, data, count hoặc false"
        )
    return query if query.subset is not None else replace(query, subset=SUMMARIES[value])


def _elements(query: Query, value: str, rules: Rules) -> Query:  # noqa: ARG001
    wanted = elements(value)
    unknown = unknown_elements(wanted, query.type)
    if unknown:
        raise Malformed(
            f"names {', '.join(unknown) or 'nothing'}, which {query.type} does not have",
            f"nêu {', '.join(unknown) or 'trống'}, {query.type} không có",
        )
    return replace(query, subset=wanted)


def _sort(query: Query, value: str, rules: Rules) -> Query:
    keys = value.split(",")
    if len(keys) > SORT_KEYS_MAX:
        raise Malformed(f"has more than {SORT_KEYS_MAX} keys", "có quá nhiều khóa sắp xếp")
    order = tuple(_sort_key(query.type, key, rules) for key in keys)
    return replace(query, order=order, is_sorted=True)


def _sort_key(type_name: str, key: str, rules: Rules) -> SortKey:
    code = key.removeprefix("-")
    here = rules.parameters.of(type_name)
    sources = here.by_code.get(code)
    if sources is None and code not in here.composites:
        rules.parameters.refuse_unready(type_name, code)
        raise Malformed(
            f"names {code or 'nothing'}, which {type_name} cannot be searched by",
            f"nêu {code or 'tham số trống'}, {type_name} không có tham số này",
        )
    if sources is None or len(sources) > 1 or not is_sortable(sources[0].parameter):
        raise Malformed(
            f"names {code}; only dates, texts, numbers and quantities can be sorted by",
            f"nêu {code}; chỉ sắp xếp được theo ngày, chữ, số và đại lượng",
        )
    return SortKey(sources[0].parameter, key.startswith("-"))


def _contained(query: Query, value: str, rules: Rules) -> Query:  # noqa: ARG001
    if value != "false":
        raise unsupported("asks for contained resources")
    return query


def _explain(query: Query, value: str, rules: Rules) -> Query:  # noqa: ARG001
    if value != "true":
        raise Malformed("must be true or not there", "phải là true, hoặc không có")
    return replace(query, is_explained=True)


def _page(query: Query, value: str, rules: Rules) -> Query:  # noqa: ARG001
    return replace(query, page=value)


RESULT_PARAMETERS: Mapping[str, Callable[[Query, str, Rules], Query]] = {
    "_count": _count,
    "_total": _total,
    "_summary": _summary,
    "_elements": _elements,
    "_sort": _sort,
    "_contained": _contained,
    "_page": _page,
    EXPLAIN: _explain,
}
