"""What may be told to who asks, as a condition on a narrow row: `consent.decide`, said to SQL.

https://hl7.org/fhir/R4/consent.html. Nearly all rows meet it, and few people have said anything: so
a row is asked first whether its person has, by a look into an index or, where many rows are looked
at, into a table of all who have; the database chooses. The rest is in two functions of the
database, `directive_denies` and `directive_opens` (the migration that makes them says why). Rows of
a format without the marks (`search.marks.SINCE`) are not told to anybody until they are indexed
anew.

No index leads to such rows, and the database must take them for what they are, nearly all: hence
the form `nullif(..., false) is not null`, of which it believes so.
"""

from collections.abc import Sequence
from functools import lru_cache

from ehr_server.consent.rule import Ask
from ehr_server.search.marks import RESTRICTED, SHARED, SINCE
from ehr_server.search.sql import TRUE, Sql, all_of, among, any_of


def where(ask: Ask, row: str, comps: Sequence[int] | None = None) -> Sql:
    """The condition that the row of that name may be told; `comps` are the compartments in which
    it lies for sure, if that is known: so they are asked once, and not in each row."""
    if ask.is_broken:
        return TRUE
    told = all_of((_not_denied(ask, row, comps), _is_open(ask, row)))
    return Sql(f"({row}.fmt >= {SINCE} and nullif({told.text}, false) is not null)", told.params)


def by_row(condition: Sql, row: str) -> Sql:
    """The condition for where the first of many rows are read, not all: a table of all who have
    said something would take longer to make than to look at each of so few (`offset 0` keeps the
    database from making it)."""
    found = _SPOKEN.format(row=row)
    return Sql(condition.text.replace(found, f"{found[:-1]} offset 0)"), condition.params)


# Written together, `exists(`, so as not to be taken for what leads elsewhere (`search.plan`).
_SPOKEN = "exists(select from directive p where p.comp = {row}.comp)"


def _not_denied(ask: Ask, row: str, comps: Sequence[int] | None) -> Sql:
    here, spoken = TRUE, _SPOKEN.format(row=row)
    if comps is not None:
        here = among("p.comp", comps)
        spoken = f"exists(select from directive p where {here.text})"
    silent = f"{row}.has & {SHARED} = 0 and not {spoken}"
    about = (
        f"case when {row}.has & {SHARED} = 0 then array[{row}.comp] else {row}.toks || {row}.comp"
        " end"
    )
    return Sql(
        f"(({silent}) or not directive_denies({about}, {_asked(row)}))",
        (*here.params, *_ask(ask)),
    )


def _is_open(ask: Ask, row: str) -> Sql:
    closed, is_closed = _array(ask.closed), ask.default == "closed"
    if not ask.closed and not is_closed:
        return TRUE
    is_told = Sql(f"{row}.comp & 1 = 0") if is_closed else TRUE
    if ask.closed:
        marked = Sql(f"({row}.has & {RESTRICTED} = 0 or not {row}.toks && {closed})")
        if ask.named and not is_closed:
            named = Sql(f"{row}.refs && %s::text::bigint[]", (_braced(ask.named),))
            marked = any_of((marked, named))
        is_told = all_of((is_told, marked)) if is_closed else marked
    opened = Sql(
        f"({row}.has & {SHARED} = 0 and directive_opens({row}.comp, {_asked(row)}, {closed},"
        f" {is_closed}))",
        _ask(ask),
    )
    return any_of((is_told, opened))


@lru_cache(maxsize=4096)
def _braced(hashes: tuple[int, ...]) -> str:
    """An array as the text that it comes as: some two hundred numbers take longer to send one by
    one than the rest of a read."""
    return f"{{{','.join(map(str, hashes))}}}"


def _array(marks: Sequence[int]) -> str:
    """As text, since they are the program's own, and the same in all searches of a policy."""
    return f"'{{{','.join(map(str, marks))}}}'::bigint[]"


def _asked(row: str) -> str:
    values = f"{row}.type, {row}.own, {row}.toks, {row}.d1, {row}.d1e"
    return f"{values}, %s::bigint[], %s::bigint[], %s::timestamptz"


def _ask(ask: Ask) -> tuple[list[int], list[int], object]:
    return list(ask.actors), list(ask.purposes), ask.at
