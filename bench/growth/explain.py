"""What the database does for a query: pages touched, and tables read from end to end."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, LiteralString

from psycopg import ClientCursor, sql

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ehr_server.store.connect import Connection

_SMALL = 8  # pages: a table of so few is rightly read whole
_READ = ("select", "with")
_EXPLAIN: LiteralString = "explain (analyze, buffers, format json) "
_PREPARED = """
select name from pg_prepared_statements where statement = %s
order by generic_plans + custom_plans desc limit 1
"""
_LARGE = ("resource_", "version_")
_BESIDE = ("string", "date", "quantity", "ident", "rid", "member")


@dataclass(frozen=True, slots=True)
class Statement:
    """What was executed; one that is not `planned_anew` may have been prepared."""

    text: str
    params: tuple[Any, ...]
    planned_anew: bool = False


class Recorder:
    """A connection that keeps the statements which it is given to execute."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.statements: list[Statement] = []

    def execute(self, statement: Any, params: Any = None, **options: Any) -> Any:
        text = statement.decode() if isinstance(statement, bytes) else str(statement)
        is_anew = options.get("prepare") is False
        self.statements.append(Statement(text, tuple(params or ()), is_anew))
        return self._connection.execute(statement, params, **options)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)


@dataclass(slots=True)
class Effort:
    """Pages of 8 kB touched, in memory or not, the tables read from end to end, and rows read.

    Rows count wherever they are read, in an index as well as in a table: a list of the index of
    hashes is short on pages and long on rows.
    """

    statements: int = 0
    buffers: int = 0
    rows: int = 0
    scanned: set[str] = field(default_factory=set)


def effort(connection: Connection, statements: Sequence[Statement]) -> Effort:
    """Runs every statement that reads once more, under EXPLAIN."""
    found = Effort()
    for statement in statements:
        if not statement.text.lstrip(" (").lower().startswith(_READ):
            continue
        plan = _plan(connection, statement)
        found.statements += 1
        found.buffers += _pages(plan)
        for node in _nodes(plan):
            kind, table = node["Node Type"], node.get("Relation Name", "")
            if kind.endswith("Scan"):
                found.rows += _rows(node)
            if kind == "Seq Scan" and is_large(table) and _pages(node) > _SMALL:
                found.scanned.add(table)
    return found


def _plan(connection: Connection, statement: Statement) -> dict[str, Any]:
    """The plan as it was run: of a prepared statement the kept one, which may fit less well."""
    name = None if statement.planned_anew else _prepared(connection, statement.text)
    if name is None:
        text = (_EXPLAIN + statement.text).encode()
        cursor = connection.execute(text, statement.params, prepare=False)
    else:
        values = sql.SQL(", ").join(sql.Placeholder() * len(statement.params))
        call = sql.SQL("({})").format(values) if statement.params else sql.SQL("")
        again = sql.SQL(_EXPLAIN + "execute {}{}").format(sql.Identifier(name), call)
        cursor = ClientCursor(connection).execute(again, statement.params)
    plan: dict[str, Any] = cursor.fetchall()[0][0][0]["Plan"]
    return plan


def _prepared(connection: Connection, text: str) -> str | None:
    """The name under which the connection has prepared the statement."""
    first, *rest = text.split("%s")
    numbered = first + "".join(f"${at}{part}" for at, part in enumerate(rest, 1))
    row = connection.execute(_PREPARED, (numbered.replace("%%", "%"),), prepare=False).fetchone()
    return None if row is None else str(row[0])


def is_large(table: str) -> bool:
    """Whether the table grows with the record."""
    return table.startswith(_LARGE) or table in _BESIDE


def _pages(node: dict[str, Any]) -> int:
    return int(node["Shared Hit Blocks"] + node["Shared Read Blocks"])


def _rows(node: dict[str, Any]) -> int:
    """Those that came out and those that were thrown away, of all loops."""
    removed = ("Rows Removed by Filter", "Rows Removed by Index Recheck")
    each: float = node["Actual Rows"] + sum(node.get(name, 0) for name in removed)
    return round(each * int(node["Actual Loops"]))


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for inner in plan.get("Plans", ()):
        yield from _nodes(inner)
