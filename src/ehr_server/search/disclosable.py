"""What may be told to who asks, as a condition on a narrow row: `consent.decide`, said to SQL.

https://hl7.org/fhir/R4/consent.html. Nearly all rows meet it, so it must lead nowhere: it stands in
scalar subqueries, of which the database makes no join, and is looked at in each row that comes by.
A row whose person has said nothing costs one look into an index. Rows of a format without the marks
(`search.marks.SINCE`) are not told to anybody until they are indexed anew.
"""

from ehr_server.consent.rule import DENY, NEITHER, PERMIT, Ask
from ehr_server.definitions import definitions
from ehr_server.search.marks import RESTRICTED, SHARED, SINCE
from ehr_server.search.sql import TRUE, Sql, all_of, any_of

_PATIENT = definitions().type_number["Patient"]


def where(ask: Ask, row: str) -> Sql:
    """The condition that the row of that name may be told."""
    if ask.is_broken:
        return TRUE
    return all_of((Sql(f"{row}.fmt >= {SINCE}"), _not_denied(ask, row), _is_open(ask, row)))


def _not_denied(ask: Ask, row: str) -> Sql:
    comps = (
        f"case when {row}.has & {SHARED} <> 0 then {row}.toks || {row}.comp"
        f" else array[{row}.comp] end"
    )
    decides = _decides(ask, row, is_strict=False)
    return Sql(
        f"((select true from directive p where p.comp = any({comps}) limit 1) is null or"
        f" (select true from directive d where d.comp = any({comps}) and d.effect = {DENY}"
        f" and ({row}.type <> {_PATIENT} or d.hides_patient) and {decides.text} limit 1) is null)",
        decides.params,
    )


def _is_open(ask: Ask, row: str) -> Sql:
    closed = list(ask.closed)
    is_told = TRUE
    if closed:
        is_told = Sql(
            f"({row}.has & {RESTRICTED} = 0 or not {row}.toks && %s::bigint[])", (closed,)
        )
    if ask.default == "open" and not closed:
        return TRUE
    if ask.default == "closed":
        is_told = all_of((Sql(f"{row}.comp & 1 = 0"), is_told))
    return any_of((is_told, _opened(ask, row)))


def _opened(ask: Ask, row: str) -> Sql:
    """A permit names the purpose, where it must, and all that is restricted, or the very one."""
    decides = _decides(ask, row, is_strict=True)
    named = TRUE
    if ask.default == "closed":
        named = Sql("d.names && %s::bigint[]", (list(ask.purposes),))
    covered = Sql(
        f"({row}.has & {RESTRICTED} = 0 or {row}.own = any(d.instances) or not exists(select from"
        f" unnest(%s::bigint[]) m where m = any({row}.toks) and m <> all(d.names)))",
        (list(ask.closed),),
    )
    met = all_of((named, covered, decides))
    return Sql(
        f"(select true from directive d where d.comp = {row}.comp and d.effect = {PERMIT}"
        f" and {row}.has & {SHARED} = 0 and {met.text} limit 1) is not null",
        met.params,
    )


def _decides(ask: Ask, row: str, *, is_strict: bool) -> Sql:
    """The rule `d` matches, and all that it lies in, and no exception to it."""
    own = _matches("d", ask, row, is_strict=is_strict)
    outer = _matches("o", ask, row, is_strict=is_strict)
    exception = any_of(
        all_of((Sql(f"x.effect = {effect}"), _timed("x", row, is_strict=effect == PERMIT)))
        for effect in (PERMIT, DENY)
    )
    within = all_of((_narrowed("x", ask, row), exception))
    return Sql(
        f"{own.text} and (select true from directive o where o.comp = d.comp and o.key = d.key"
        f" and o.number = any(d.above) and not {outer.text} limit 1) is null"
        f" and (select true from directive x where x.comp = d.comp and x.key = d.key"
        f" and x.parent = d.number and x.effect <> {NEITHER} and {within.text} limit 1) is null",
        (*own.params, *outer.params, *within.params),
    )


def _matches(rule: str, ask: Ask, row: str, *, is_strict: bool) -> Sql:
    return all_of((_narrowed(rule, ask, row), _timed(rule, row, is_strict=is_strict)))


def _narrowed(rule: str, ask: Ask, row: str) -> Sql:
    return Sql(
        f"({rule}.since <= %s::timestamptz and {rule}.until > %s::timestamptz"
        f" and ({rule}.actors = '{{}}' or {rule}.actors && %s::bigint[])"
        f" and ({rule}.purposes = '{{}}' or {rule}.purposes && %s::bigint[])"
        f" and ({rule}.labels = '{{}}' or {rule}.labels && {row}.toks)"
        f" and ({rule}.classes = '{{}}' or {row}.type = any({rule}.classes))"
        f" and ({rule}.codes = '{{}}' or {rule}.codes && {row}.toks)"
        f" and ({rule}.instances = '{{}}' or {row}.own = any({rule}.instances)))",
        (ask.at, ask.at, list(ask.actors), list(ask.purposes)),
    )


def _timed(rule: str, row: str, *, is_strict: bool) -> Sql:
    """Undated data (`search.rows.UNDATED`) lie before all that a rule can name."""
    if is_strict:
        is_of = f"{row}.d1 >= {rule}.data_from and {row}.d1e <= {rule}.data_until"
        return Sql(f"({rule}.data_from is null or coalesce({is_of}, false))")
    is_of = f"{row}.d1 < {rule}.data_until and {rule}.data_from < {row}.d1e"
    return Sql(
        f"({rule}.data_from is null or {row}.d1 is null or {row}.d1 < '0001-01-02 00:00+00'"
        f" or {is_of})"
    )
