"""The directories of searches: what codes are called, and the units that quantities came in.

There are few of them, and they come again and again; each is written down once, in the transaction
that brings it first.
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from ehr_server.store.connect import Connection, Store

UNIT = 0  # in place of a parameter's number: the word is a unit of UCUM
KNOWN_MAX = 200_000  # words that a process remembers: some 30 MB

Word: TypeAlias = tuple[int, str]  # number of a parameter, folded text of one of its codes


def learn(store: Store, connection: Connection, words: AbstractSet[Word]) -> None:
    """Write down the words that this process has not yet seen written."""
    unknown = sorted(words - store.words_known)
    if not unknown:
        return
    there = set(_there(connection, unknown))
    if len(store.words_known) > KNOWN_MAX:
        store.words_known.clear()
    store.words_known |= there  # the others may be rolled back yet
    for word in unknown:  # sorted, so that two transactions cannot wait for each other
        if word not in there:
            _write(connection, word)


def _there(connection: Connection, words: list[Word]) -> list[Word]:
    rows = connection.execute(
        "select d.param::integer, d.value from display d join unnest(%s::smallint[], %s::text[])"
        " as w (param, value) on d.param = w.param and d.value = w.value"
        " union all select 0, u.code from unit u where u.code = any(%s::text[])",
        (
            [number for number, _ in words],
            [text for _, text in words],
            [text for number, text in words if number == UNIT],
        ),
    ).fetchall()
    return [(row[0], row[1]) for row in rows]


def _write(connection: Connection, word: Word) -> None:
    number, text = word
    if number == UNIT:
        connection.execute("insert into unit (code) values (%s) on conflict do nothing", (text,))
    else:
        connection.execute(
            "insert into display (param, value) values (%s, %s) on conflict do nothing",
            (number, text),
        )
