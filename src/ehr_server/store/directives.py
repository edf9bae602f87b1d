"""What people allow and forbid, beside each record of theirs: see `store.tables`.

A Consent lies with one record of a person and counts for all that were merged, so its rules stand
by each of them: the look beside a row then needs no other table. A merge spreads them, and taking
it back takes away what has come that way.
"""

from collections.abc import Collection, Sequence
from dataclasses import astuple
from typing import Any

from ehr_server.consent.rule import Rule
from ehr_server.store.connect import Connection

_COLUMNS = (
    "number", "parent", "above", "effect", "since", "until", "actors", "purposes", "labels",
    "classes", "codes", "instances", "names", "data_from", "data_until", "hides_patient",
)  # fmt: skip
_NAMES = ", ".join(_COLUMNS)


def row(comp: int, key: int, rule: Rule) -> tuple[Any, ...]:
    """The row of a rule of the Consent that lies there, as `store.write` wants it."""
    _, number, *rest = astuple(rule)
    fields = (list(one) if isinstance(one, tuple) else one for one in rest)
    return (comp, key, number, comp, *fields)


def rules_of(connection: Connection, comps: Collection[int]) -> dict[int, list[Rule]]:
    """The rules that count in each of the compartments."""
    found: dict[int, list[Rule]] = {}
    if comps:
        rows = connection.execute(
            f"select comp, key, {_NAMES} from directive where comp = any(%s::bigint[])",
            (sorted(comps),),
        )
        for comp, *fields in rows:
            found.setdefault(comp, []).append(_rule(fields))
    return found


def spread(connection: Connection, comps: Collection[int]) -> None:
    """Put the rules of Consents that lie in the compartments by all records of their persons.

    No merge is made meanwhile, nor before the commit: one that began earlier is waited for, and
    seen.
    """
    connection.execute("lock table merged in share mode")
    names = ", ".join(f"d.{name}" for name in _COLUMNS)
    connection.execute(
        f"insert into directive (comp, home, key, {_NAMES})"
        f" select other.comp, d.home, d.key, {names} from directive d"
        " join merged own on own.comp = d.home join merged other on other.person = own.person"
        " where d.comp = any(%s::bigint[]) and d.comp = d.home and other.comp <> d.home"
        " on conflict do nothing",
        (sorted(comps),),
    )


def part(connection: Connection, comps: Collection[int]) -> None:
    """Take away the rules that stand by records of another person than the one who gave them."""
    connection.execute(
        "delete from directive d where d.comp = any(%s::bigint[]) and d.comp <> d.home"
        " and not exists (select from merged own join merged other on other.person = own.person"
        " where own.comp = d.home and other.comp = d.comp)",
        (sorted(comps),),
    )


def _rule(fields: Sequence[Any]) -> Rule:
    values: list[Any] = [tuple(one) if isinstance(one, list) else one for one in fields]
    return Rule(*values)
