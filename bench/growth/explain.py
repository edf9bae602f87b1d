"""What the database does for a query: pages touched, and tables read from end to end."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ehr_server.store.connect import Connection

_READ = ("select", "with")
_LARGE = ("resource_", "version_")
_BESIDE = ("string", "date", "quantity", "ident", "rid", "member")


class Recorder:
    """A connection that keeps the statements which it is given to execute."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.statements: list[tuple[Any, Any]] = []

    def execute(self, statement: Any, params: Any = None, **options: Any) -> Any:
        self.statements.append((statement, params))
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


def effort(connection: Connection, statements: list[tuple[Any, Any]]) -> Effort:
    """Runs every statement that reads once more, under EXPLAIN."""
    found = Effort()
    for statement, params in statements:
        text = statement.decode() if isinstance(statement, bytes) else str(statement)
        if not text.lstrip(" (").lower().startswith(_READ):
            continue
        explained = f"explain (analyze, buffers, format json) {text}"
        rows = connection.execute(explained.encode(), params, prepare=False).fetchall()
        plan = rows[0][0][0]["Plan"]
        found.statements += 1
        found.buffers += plan["Shared Hit Blocks"] + plan["Shared Read Blocks"]
        for node in _nodes(plan):
            kind, table = node["Node Type"], node.get("Relation Name", "")
            if kind.endswith("Scan"):
                found.rows += _rows(node)
            if kind == "Seq Scan" and is_large(table):
                found.scanned.add(table)
    return found


def is_large(table: str) -> bool:
    """Whether the table grows with the record."""
    return table.startswith(_LARGE) or table in _BESIDE


def _rows(node: dict[str, Any]) -> int:
    """Those that came out and those that were thrown away, of all loops."""
    removed = ("Rows Removed by Filter", "Rows Removed by Index Recheck")
    each: float = node["Actual Rows"] + sum(node.get(name, 0) for name in removed)
    return round(each * int(node["Actual Loops"]))


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for inner in plan.get("Plans", ()):
        yield from _nodes(inner)
