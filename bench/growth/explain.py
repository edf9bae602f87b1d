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
    """Pages of 8 kB touched, in memory or not, and the tables read from end to end."""

    statements: int = 0
    buffers: int = 0
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
        found.scanned |= {
            node["Relation Name"] for node in _nodes(plan) if node["Node Type"] == "Seq Scan"
            and is_large(node["Relation Name"])
        }  # fmt: skip
    return found


def is_large(table: str) -> bool:
    """Whether the table grows with the record."""
    return table.startswith(_LARGE) or table in _BESIDE


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for inner in plan.get("Plans", ()):
        yield from _nodes(inner)
