"""Statements as they ran: what was asked, how many rows came, how long it took, and by which plan.

https://www.postgresql.org/docs/current/using-explain.html. A connection is watched by the cursors
it makes, so whatever runs on it is seen, and one that is not watched pays nothing.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, Self, TypeVar

import psycopg

from ehr_server.clock import ticks_ms
from ehr_server.store.connect import Connection, snapshot

_T = TypeVar("_T")

_ANALYZED, _PLANNED = "analyze, buffers, format text", "format text"
_LINE_MAX = 96  # characters
_CLAUSE = re.compile(
    r"(?<!\bleft) (?=(?:from|left join|join|where|order by|limit|union all|and|or)\b)"
    r"|(?<=,) (?=\w+ as materialized\b)|(?<=\)) (?=select\b)"
)


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement that ran. `rows` None: it was stopped. `is_kept`: prepared, so the database may
    keep one plan for all values. `sql` has the values in it, to be pasted into psql; `plan` are
    the lines of EXPLAIN, none where there is nothing to explain."""

    text: str
    params: Sequence[Any]
    rows: int | None
    ms: float
    is_kept: bool
    sql: str = ""
    plan: tuple[str, ...] = ()


def explained(
    connection: Connection, deed: Callable[[], _T]
) -> tuple[_T | None, list[Statement], bool]:
    """What the deed gives, the statements that it ran on the connection, and whether their plans
    were measured.

    All of one moment, read only, each statement run twice within the time-out: once by the deed,
    once by EXPLAIN. Where one takes too long, the plans are those that would have been chosen; if
    that was the deed's own, what it gives is None. The connection must not be in a transaction.
    """
    ran: list[Statement] = []
    found = None
    try:
        with snapshot(connection):
            with _watched(connection, ran):
                found = deed()
            return found, [_planned(connection, one, _ANALYZED) for one in ran], True
    except psycopg.errors.QueryCanceled:
        pass
    with snapshot(connection):
        return found, [_planned(connection, one, _PLANNED) for one in ran], False


@contextmanager
def _watched(connection: Connection, ran: list[Statement]) -> Iterator[None]:
    """Adds the statements that run on the connection in the block, as they end."""

    class Watching(psycopg.Cursor[tuple[Any, ...]]):
        def execute(
            self,
            query: Any,
            params: Any = None,
            *,
            prepare: bool | None = None,
            binary: bool | None = None,
        ) -> Self:
            begun, rows = ticks_ms(), None
            try:
                super().execute(query, params, prepare=prepare, binary=binary)
                rows = self.rowcount
            finally:
                ms = ticks_ms() - begun
                is_kept = prepare is not False
                ran.append(Statement(str(query), tuple(params or ()), rows, ms, is_kept))
            return self

    usual = connection.cursor_factory
    connection.cursor_factory = Watching
    try:
        yield
    finally:
        connection.cursor_factory = usual


def _planned(connection: Connection, ran: Statement, options: str) -> Statement:
    shown = psycopg.ClientCursor(connection).mogrify(laid_out(ran.text), ran.params)
    if ran.text.startswith("explain"):
        return replace(ran, sql=shown)
    rows = connection.execute(f"explain ({options}) {ran.text}", ran.params, prepare=False)
    return replace(ran, sql=shown, plan=tuple(line for (line,) in rows))


def laid_out(text: str, depth: int = 0) -> str:
    """SQL on lines that can be read: what is too long for one is broken at its clauses, and within
    its longest brackets. The text is that of our own making: no literal in it holds a bracket."""
    margin = "  " * depth
    if len(margin + text) <= _LINE_MAX:
        return margin + text
    lines: list[str] = []
    for part in _clauses(text):
        first, last = _longest_brackets(part)
        if part.startswith(("and ", "or ")) and _has_room(lines[-1], part):
            lines[-1] += f" {part}"
        elif len(margin + part) <= _LINE_MAX or last - first < 2:
            lines.append(margin + part)
        else:
            inner = laid_out(part[first + 1 : last], depth + 1)
            lines += [margin + part[: first + 1], inner, margin + part[last:]]
    return "\n".join(lines)


def _has_room(line: str, part: str) -> bool:
    return len(line) + len(part) < _LINE_MAX and not line.lstrip().startswith(")")


def _clauses(text: str) -> list[str]:
    """The text cut before each clause that stands outside of brackets."""
    starts = [0]
    for found in _CLAUSE.finditer(text):
        before = text[: found.start()]
        if before.count("(") == before.count(")"):
            starts.append(found.end())
    return [text[a:b].rstrip() for a, b in pairwise([*starts, len(text)])]


def _longest_brackets(text: str) -> tuple[int, int]:
    """Where the longest pair of outermost brackets opens and closes; (0, 0) if there is none."""
    longest, begun, depth = (0, 0), 0, 0
    for at, mark in enumerate(text):
        if mark == "(":
            begun = begun if depth else at
            depth += 1
        elif mark == ")":
            depth -= 1
            if not depth and at - begun > longest[1] - longest[0]:
                longest = begun, at
    return longest
