"""Writes docs/reference/access.md from the table of who may ask for what.

The table is tests/api/access.txt, which tests/api/test_access_table.py asks of a real server, cell
by cell. Its lines: `# ` a heading, `>` a text, else a request and a cell for each caller.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
TABLE = ROOT / "tests" / "api" / "access.txt"
PAGE = ROOT / "docs" / "reference" / "access.md"

# Those that callers cannot be made of yet: their cells are not shown.
WAITING = frozenset(("guardian",))

_HEAD = """\
# Who may ask for what

Made from `tests/api/access.txt` by `tools/make_access_page.py`. Each cell is asked of a real server
by `tests/api/test_access_table.py`, which fails as well where an interaction or an operation of the
server has no row here, and where a refused write leaves anything behind.

"""
_LEGEND = """\
| cell | what is answered |
|---|---|
| yes | it is done |
| none | a search that finds nothing: for this caller there is nothing |
| 401 | who calls must bring a token |
| 403 | not allowed: neither the policy nor the scopes of the token lead there |
| 404 | there is no such resource, in the same words whether it is hidden or was never there |
| 501 | not done by this server, for nobody |
"""


@dataclass(frozen=True)
class Row:
    """A request, such as `GET Patient/p1`, `<` with the name of its body; what each caller is
    answered."""

    request: str
    cells: dict[str, str]


@dataclass(frozen=True)
class Part:
    """A heading, the text below it, and rows."""

    heading: str
    text: str
    rows: tuple[Row, ...]


def parts() -> list[Part]:
    """The table as it stands in its file."""
    found: list[Part] = []
    columns: list[str] = []
    heading, text, rows = "", "", list[Row]()
    for line in [*TABLE.read_text(encoding="utf-8").splitlines(), "# "]:
        if line.startswith("# "):
            if heading:
                found.append(Part(heading, text.strip(), tuple(rows)))
            heading, text, rows = line[2:], "", []
        elif line.startswith(">"):
            text += f"{line[2:]}\n"
        elif line.startswith("request "):
            columns = line.split()[1:]
        elif line.strip():
            request, *cells = line.rsplit(maxsplit=len(columns))
            given = dict(zip(columns, cells, strict=True))
            rows += (Row(one, given) for one in _each(request))
    return found


def page() -> str:
    """The page, in Markdown."""
    first, *others = parts()
    return "\n".join([_HEAD + _about(first), _LEGEND, *map(_part, others)])


def _each(request: str) -> list[str]:
    """`GET/POST Patient` is two requests."""
    methods, _, rest = request.partition(" ")
    return [f"{method} {rest}" for method in methods.split("/")]


def _about(first: Part) -> str:
    return f"{first.text}\n"


def _part(part: Part) -> str:
    columns = [name for name in part.rows[0].cells if name not in WAITING]
    lines = [
        f"## {part.heading}",
        *(["", part.text] if part.text else []),
        "",
        f"| request | {' | '.join(columns)} |",
        f"|---|{'---|' * len(columns)}",
    ]
    lines += (
        f"| `{_shown(row.request)}` | {' | '.join(row.cells[name] for name in columns)} |"
        for row in part.rows
    )
    return "\n".join([*lines, ""])


def _shown(request: str) -> str:
    return request.replace("|", "\\|")


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
