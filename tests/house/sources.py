"""What the laws are checked on: the files of the project and their syntax trees."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "ehr_server"
_FOLDERS = (".ci", "bench", "docs", "examples", "migrations", "profiles", "src", "tests", "tools")
_LEFT_OUT = {"__pycache__", "results"}


def python_files(*folders: str) -> list[Path]:
    """The Python files below the folders (of the root), sorted."""
    return sorted(
        path
        for folder in folders
        for path in (ROOT / folder).rglob("*.py")
        if not _LEFT_OUT & set(path.parts)
    )


def text_files() -> Iterator[tuple[Path, str]]:
    """Every file of the project that is text, and its content."""
    paths = [path for path in ROOT.iterdir() if path.is_file() and path.name != ".env"]
    for folder in _FOLDERS:
        paths += [path for path in (ROOT / folder).rglob("*") if path.is_file()]
    for path in sorted(paths):
        if not _LEFT_OUT & set(path.parts):
            try:
                yield path, path.read_text(encoding="utf-8")
            except UnicodeDecodeError:
                continue


@cache
def tree(path: Path) -> ast.Module:
    """The syntax tree of a Python file."""
    return ast.parse(path.read_text(encoding="utf-8"))


def shown(path: Path, line: int | None = None) -> str:
    """A path as a finding names it: relative to the root, with the line."""
    relative = path.relative_to(ROOT)
    return f"{relative}:{line}" if line else str(relative)


def expect_none(findings: list[str]) -> None:
    """Fail with every finding on a line of its own."""
    assert not findings, "\n" + "\n".join(findings)
