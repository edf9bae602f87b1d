"""A plain table: code, display and, if there are such columns, parent and display_vi.

The first line names the columns; they are parted by commas, semicolons or tabs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ehr_server.terminology.published.form import (
    Concept,
    Head,
    ListError,
    code_system,
    columns,
    concept,
    rows,
)

if TYPE_CHECKING:
    from pathlib import Path

_VIETNAMESE = "display_vi"


def read_table(path: Path, head: Head) -> dict[str, Any]:
    """The CodeSystem of a CSV or TSV file. Raises `ListError`."""
    with rows(path, _delimiter(path)) as table:
        columns(table, path, "code", "display")
        concepts = [_concept(row, table.line_num) for row in table]
    return code_system(head, concepts)


def _concept(row: dict[str, str], line: int) -> Concept:
    code = row["code"].strip()
    if not code:
        raise ListError(f"line {line} has no code")
    parent = row.get("parent", "").strip()
    made = concept(code, row["display"].strip(), [parent] if parent else ())
    vietnamese = row.get(_VIETNAMESE, "").strip()
    if vietnamese:
        made["designation"] = [{"language": "vi", "value": vietnamese}]
    return made


def _delimiter(path: Path) -> str:
    with path.open("rb") as file:
        first = file.readline(10_000)
    return max("\t", ";", ",", key=lambda one: first.count(one.encode()))
