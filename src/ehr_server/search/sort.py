"""The order of what is found: always a total one, so that a page can begin after any row.

https://hl7.org/fhir/R4/search.html#sort. A resource without the value comes last, whichever way is
asked for; of several values the first in the order counts. The last word is the key, which every
resource has and never changes.

Where many are found, the order is read from an index, never made by sorting all there is
(`search.plan`). So it comes in stages, one after the other: the resources that have the value, led
by the table that holds it; then those without. Of a few, the whole order is made of expressions
(`keys`). People whom a name finds come in the order of their names, those first whose name begins
so.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Literal

from ehr_server.fhir.dates import LATEST
from ehr_server.search.parameter import Parameter
from ehr_server.search.query import Condition, Criterion, Query, SortKey
from ehr_server.search.rows import UNDATED
from ehr_server.search.sql import TRUE, Sql, all_of, any_of
from ehr_server.search.types import string

Kind = Literal["instant", "number", "text", "whole"]


@dataclass(frozen=True, slots=True)
class Column:
    """One expression to order by."""

    text: str
    kind: Kind
    descending: bool


@dataclass(frozen=True, slots=True)
class Stage:
    """A part of what is found: `condition` on the narrow row `r`.

    Where there is a `lead`, the name of a side table, rows `s` of it lead: each resource comes by
    the first that meets `led`. Ordered by the columns, then by `key`, which goes the way of the
    last column.
    """

    columns: tuple[Column, ...]
    condition: Sql = TRUE
    lead: str = ""
    led: Sql = TRUE
    key: str = "r.key"

    def turned(self) -> "Stage":
        """The same the other way round."""
        columns = tuple(replace(one, descending=not one.descending) for one in self.columns)
        return replace(self, columns=columns)


@dataclass(frozen=True, slots=True)
class _Side:
    """How values lie in a side table: the column, what tells two rows of one value apart, and the
    columns of the index between value and key."""

    table: str
    column: str
    kind: Kind
    apart: tuple[str, ...]
    ties: tuple[tuple[str, Kind], ...]


_CASTS: dict[Kind, str] = {
    "instant": "timestamptz",
    "number": "float8",
    "text": "text",
    "whole": "bigint",
}
_DATES = _Side("date", "lo", "instant", ("lo", "hi"), (("hi", "instant"), ("comp", "whole")))
_TEXTS = _Side("string", "value", "text", ("value", "exact"), (("comp", "whole"),))
_NUMBERS = _Side(
    "quantity",
    "value",
    "number",
    ("value", "unit", "beside", "beside_system"),
    (("unit", "whole"), ("comp", "whole")),
)
_SIDES = {"date": _DATES, "string": _TEXTS, "number": _NUMBERS, "quantity": _NUMBERS}

_NEVER = LATEST + timedelta(hours=1)  # later than any date, and still one in Python
_LAST: dict[Kind, tuple[str, str]] = {  # what stands for no value: going up, going down
    "instant": (f"'{_NEVER.isoformat()}'::timestamptz", f"'{UNDATED.isoformat()}'::timestamptz"),
    "number": ("'infinity'::float8", "'-infinity'::float8"),
    "text": ("'\U0010ffff'", "''"),
    "whole": ("0", "0"),
}


def stages(query: Query) -> tuple[Stage, ...]:
    """The stages of the order that the query asks for; one at least."""
    if not query.order:
        return (Stage((Column("r.key", "whole", True),)),)
    first, *rest = query.order
    later = tuple(_column(key) for key in rest)
    match first.parameter.place, first.parameter.type:
        case "updated", _:
            return (Stage((Column("r.at", "instant", first.descending), *later)),)
        case "main", "date":
            return _by_main_date(first.descending, later)
        case "main", _:
            column = Column("r.q1", "number", first.descending)
            without = Stage(later or _as_stored(first), condition=Sql("r.q1 is null"))
            return Stage((column, *later), condition=Sql("r.q1 is not null")), without
    return _by_side(first, later, query)


def keys(query: Query, *, is_back: bool = False) -> tuple[tuple[Sql, Kind, bool], ...]:
    """The whole order as expressions on a row `r` that has the columns of the narrow one, each
    with its kind and whether it goes down: for the sorting of a few. `is_back`: turned round."""
    if not query.order:
        return ((Sql("r.key"), "whole", not is_back),)
    begun = _begun(query)
    first, *rest = query.order
    start = begun.folded if begun else ""
    values = [_value(first, start), *(_value(key) for key in rest)]
    return tuple(
        (value, _kind(key), key.descending is not is_back)
        for value, key in zip(values, query.order, strict=True)
    )


def order(stage: Stage, names: Sequence[str], key: str) -> str:
    """The ORDER BY of the stage, its columns and key under the names given."""
    parts = [
        f"{name} {_way(column.descending)}"
        for column, name in zip(stage.columns, names, strict=True)
    ]
    return ", ".join((*parts, f"{key} {_way(_last_way(stage))}"))


def after(stage: Stage, values: Sequence[Any], key: int) -> Sql:
    """The condition that a row comes after the one with these values and key."""
    over = stage.columns
    ways = {column.descending for column in over} or {False}
    casts = [f"%s::{_CASTS[column.kind]}" for column in over] + ["%s::bigint"]
    texts = [*(column.text for column in over), stage.key]
    params = (*values, key)
    if len(ways) == 1:
        sign = "<" if ways.pop() else ">"
        return Sql(f"({', '.join(texts)}) {sign} ({', '.join(casts)})", params)
    descending = [*(column.descending for column in over), _last_way(stage)]
    steps = []
    for at, text in enumerate(texts):
        same = [f"{texts[i]} = {casts[i]}" for i in range(at)]
        further = f"{text} {'<' if descending[at] else '>'} {casts[at]}"
        steps.append(Sql(f"({' and '.join((*same, further))})", params[: at + 1]))
    return any_of(steps)


def is_sortable(parameter: Parameter) -> bool:
    """Whether the values of a parameter have an order that is kept."""
    return parameter.type in _SIDES and parameter.place != "id"


def leading_condition(criteria: Sequence[Criterion]) -> Condition | None:
    """The first criterion that asks for one beginning of one text."""
    for one in criteria:
        if isinstance(one, Condition) and len(one.alternatives) == 1:
            (term,) = one.terms
            if isinstance(term, string.Words) and term.how == "starts":
                return one
    return None


def _by_main_date(descending: bool, later: tuple[Column, ...]) -> tuple[Stage, ...]:
    """Without a date it is the year 1: going down, such come last by themselves."""
    column = Column("r.d1", "instant", descending)
    if descending:
        return (Stage((column, *later)),)
    undated = f"'{UNDATED.isoformat()}'::timestamptz"
    return (
        Stage((column, *later), condition=Sql(f"r.d1 > {undated}")),
        Stage((column, *later), condition=Sql(f"r.d1 = {undated}")),
    )


def _by_side(first: SortKey, later: tuple[Column, ...], query: Query) -> tuple[Stage, ...]:
    """Led by the side rows in the order of their index; each resource by its first value alone."""
    parameter, side = first.parameter, _SIDES[first.parameter.type]
    columns = (Column(f"s.{side.column}", side.kind, first.descending), *later)
    key = "r.key"
    if not later:
        columns += tuple(Column(f"s.{name}", kind, first.descending) for name, kind in side.ties)
        key = "s.key"
    begun = _begun(query)
    start = begun.folded if begun else ""
    led = all_of((_of(parameter, side, "s", start), _is_first(first, side, start)))
    first_stage = Stage(columns, TRUE, side.table, led, key)
    if begun is not None and not begun.words:
        return (first_stage,)
    there = _of(parameter, side, "x", start)
    without = Sql(
        f"not exists (select from {side.table} x where x.comp = r.comp and x.key = r.key"
        f" and {there.text})",
        there.params,
    )
    return first_stage, Stage(later or _as_stored(first), without)


def _begun(query: Query) -> string.Words | None:
    """The beginning of a text in whose order what is found comes, if no other was asked for."""
    found = None if query.is_sorted else leading_condition(query.criteria)
    return None if found is None else found.terms[0]


def _of(parameter: Parameter, side: _Side, row: str, start: str = "") -> Sql:
    """A side row that counts as a value of the parameter; a text that begins so."""
    if side is _TEXTS:  # a row of hash 0 is a word of a text
        own = string.of_parameter(parameter, row, start)
        return all_of((own, Sql(f"{row}.exact <> 0")))
    return Sql(f"{row}.param = {parameter.number}")


def _is_first(key: SortKey, side: _Side, start: str) -> Sql:
    """Of the rows of the resource that count, `s` comes first.

    Asked for each row by itself: as `not exists` the database would compare all rows with all.
    """
    own, other = (", ".join(f"{row}.{name}" for name in side.apart) for row in "sy")
    rest = _of(key.parameter, side, "y", start)
    return Sql(
        f"(select true from {side.table} y where y.comp = s.comp and y.key = s.key"
        f" and {rest.text} and ({other}) {'>' if key.descending else '<'} ({own}) limit 1) is null",
        rest.params,
    )


def _as_stored(first: SortKey) -> tuple[Column, ...]:
    """Those without the value: as they were stored, the way that was asked for."""
    return (Column("r.at", "instant", first.descending),)


def _column(key: SortKey) -> Column:
    """A further key, as an expression on the row `r`."""
    return Column(_value(key).text, _kind(key), key.descending)


def _value(key: SortKey, start: str = "") -> Sql:
    """The first value in the order, or what comes last; of texts the first that begins so."""
    parameter, descending = key.parameter, key.descending
    last = _LAST[_kind(key)][descending]
    if parameter.place == "updated":
        return Sql("r.at")
    if parameter.place == "main" and parameter.type == "date":
        undated = f"'{UNDATED.isoformat()}'::timestamptz"
        return Sql(f"coalesce(nullif(r.d1, {undated}), {last})")
    if parameter.place == "main":
        return Sql(f"coalesce(r.q1, {last})")
    side = _SIDES[parameter.type]
    value = ("max" if descending else "min") + f"(x.{side.column})"
    own = _of(parameter, side, "x", start)
    return Sql(
        f"coalesce((select {value} from {side.table} x where x.comp = r.comp and x.key = r.key"
        f" and {own.text}), {last})",
        own.params,
    )


def _kind(key: SortKey) -> Kind:
    if key.parameter.place == "updated":
        return "instant"
    return _SIDES[key.parameter.type].kind


def _last_way(stage: Stage) -> bool:
    return stage.columns[-1].descending if stage.columns else False


def _way(descending: bool) -> str:
    return "desc" if descending else "asc"
