"""The order of what is found: always a total one, so that a page can begin after any row.

https://hl7.org/fhir/R4/search.html#sort. A resource without the value counts as below all that
have it; of several values the first in the order counts. The last word is the key, which every
resource has and never changes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from ehr_server.fhir.dates import EARLIEST
from ehr_server.search.parameters import Parameter, searched
from ehr_server.search.query import Condition, Query
from ehr_server.search.sql import Sql, any_of

Kind = Literal["instant", "number", "text"]


@dataclass(frozen=True, slots=True)
class Column:
    """One expression on the row `r` to order by."""

    text: str
    kind: Kind
    descending: bool


_CASTS: dict[Kind, str] = {"instant": "timestamptz", "number": "float8", "text": "text"}
_SIDE: dict[str, tuple[str, str, Kind, str]] = {  # table, column, kind, below all values
    "date": ("date", "lo", "instant", f"'{EARLIEST.isoformat()}'::timestamptz"),
    "string": ("string", "value", "text", "''"),
    "number": ("quantity", "value", "number", "'-infinity'::float8"),
    "quantity": ("quantity", "value", "number", "'-infinity'::float8"),
}


def columns(query: Query) -> tuple[Column, ...]:
    """What to order by before the key; without a wish the main date of the type, newest first.

    Where an identifier leads to the one or two, the key alone: the database shall look them up,
    and not read the index of dates in the hope of meeting them soon.
    """
    if query.sort:
        return tuple(_column(key.parameter, key.descending) for key in query.sort)
    if any(map(_is_identifying, query.conditions)):
        return ()
    main_date = searched(query.type).main_date
    return (_column(main_date, True),) if main_date else ()


def order(over: Sequence[Column], names: Sequence[str], key: str) -> str:
    """The ORDER BY, of the columns under the names given and the key."""
    parts = [f"{name} {_way(column.descending)}" for column, name in zip(over, names, strict=True)]
    return ", ".join((*parts, f"{key} {_way(_last_way(over))}"))


def after(over: Sequence[Column], values: Sequence[Any], key: int) -> Sql:
    """The condition that a row comes after the one with these values and key."""
    ways = {column.descending for column in over} or {_last_way(over)}
    casts = [f"%s::{_CASTS[column.kind]}" for column in over] + ["%s::bigint"]
    texts = [*(column.text for column in over), "r.key"]
    params = (*values, key)
    if len(ways) == 1:
        sign = "<" if ways.pop() else ">"
        return Sql(f"({', '.join(texts)}) {sign} ({', '.join(casts)})", params)
    descending = [*(column.descending for column in over), _last_way(over)]
    steps = []
    for at, text in enumerate(texts):
        same = [f"{texts[i]} = {casts[i]}" for i in range(at)]
        further = f"{text} {'<' if descending[at] else '>'} {casts[at]}"
        steps.append(Sql(f"({' and '.join((*same, further))})", params[: at + 1]))
    return any_of(steps)


def _is_identifying(condition: Condition) -> bool:
    parameter = condition.parameter
    return (
        parameter is not None
        and (parameter.place == "id" or parameter.types == {"Identifier"})
        and all(term.code is not None for term in condition.terms)
    )


def _column(parameter: Parameter, descending: bool) -> Column:
    if parameter.place == "updated":
        return Column("r.at", "instant", descending)
    if parameter.place == "main" and parameter.type == "date":
        return Column("r.d1", "instant", descending)
    if parameter.place == "main":
        return Column("coalesce(r.q1, '-infinity'::float8)", "number", descending)
    table, column, kind, below = _SIDE[parameter.type]
    value = ("max" if descending else "min") + f"(x.{column})"
    return Column(
        f"coalesce((select {value} from {table} x where x.comp = r.comp and x.key = r.key"
        f" and x.param = {parameter.number}), {below})",
        kind,
        descending,
    )


def _last_way(over: Sequence[Column]) -> bool:
    return over[-1].descending if over else True


def _way(descending: bool) -> str:
    return "desc" if descending else "asc"
