"""The parameters that shape the answer and not the set that is found.

https://hl7.org/fhir/R4/search.html#return
"""

from collections.abc import Callable, Mapping
from dataclasses import replace

from ehr_server.search.malformed import Malformed
from ehr_server.search.parameters import searched
from ehr_server.search.query import Condition, Query, SortKey
from ehr_server.search.rules import Rules

SORTABLE = frozenset(("date", "string", "number", "quantity"))
SORT_KEYS_MAX = 5


class Wanted:
    """Gathers them while a search is parsed; each may come once."""

    def __init__(self, type_name: str, rules: Rules) -> None:
        self._query = Query(type_name, count=min(rules.count, rules.count_max))
        self._count_max = rules.count_max
        self._taken: set[str] = set()

    def take(self, name: str, value: str) -> None:
        """One of `RESULT_PARAMETERS`. Raises `Malformed`."""
        if name in self._taken:
            raise Malformed("comes more than once", "xuất hiện nhiều lần")
        self._taken.add(name)
        self._query = RESULT_PARAMETERS[name](self._query, value, self._count_max)

    def query(self, conditions: tuple[Condition, ...], ignored: tuple[str, ...]) -> Query:
        """The whole query."""
        return replace(self._query, conditions=conditions, ignored=ignored)


def _count(query: Query, value: str, count_max: int) -> Query:
    if not (value.isascii() and value.isdigit() and len(value) < 10):
        raise Malformed("must be a whole number", "phải là số nguyên")
    if query.count == 0:  # `_summary=count` came before
        return query
    return replace(query, count=min(int(value), count_max))


def _total(query: Query, value: str, count_max: int) -> Query:  # noqa: ARG001
    match value:
        case "none" | "estimate" | "accurate":
            return replace(query, total=value)
    raise Malformed("must be none, estimate or accurate", "phải là none, estimate hoặc accurate")


def _summary(query: Query, value: str, count_max: int) -> Query:  # noqa: ARG001
    if value == "false":
        return query
    if value == "count":
        return replace(query, count=0, total="accurate")
    raise Malformed("can only be count or false so far", "hiện chỉ hỗ trợ count hoặc false")


def _sort(query: Query, value: str, count_max: int) -> Query:  # noqa: ARG001
    keys = value.split(",")
    if len(keys) > SORT_KEYS_MAX:
        raise Malformed(f"has more than {SORT_KEYS_MAX} keys", "có quá nhiều khóa sắp xếp")
    return replace(query, sort=tuple(_sort_key(query.type, key) for key in keys))


def _sort_key(type_name: str, key: str) -> SortKey:
    code = key.removeprefix("-")
    sources = searched(type_name).by_code.get(code)
    if sources is None:
        raise Malformed(
            f"names {code or 'nothing'}, which {type_name} cannot be searched by",
            f"nêu {code or 'tham số trống'}, {type_name} không có tham số này",
        )
    parameter = sources[0].parameter
    if len(sources) > 1 or parameter.type not in SORTABLE:
        raise Malformed(
            f"names {code}; only dates, texts, numbers and quantities can be sorted by",
            f"nêu {code}; chỉ sắp xếp được theo ngày, chữ, số và đại lượng",
        )
    return SortKey(parameter, key.startswith("-"))


def _page(query: Query, value: str, count_max: int) -> Query:  # noqa: ARG001
    return replace(query, page=value)


RESULT_PARAMETERS: Mapping[str, Callable[[Query, str, int], Query]] = {
    "_count": _count,
    "_total": _total,
    "_summary": _summary,
    "_sort": _sort,
    "_page": _page,
}
