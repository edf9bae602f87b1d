"""Writes docs/reference/search.md: what can be asked for, each with the tests that prove it.

    python tools/make_search_page.py [--check]

The tests say it themselves: `@pytest.mark.covers("token", ":not")` names a row and its columns. A
cell that R4 allows and no test covers makes the tool fail; with `--check` so does a page that is
not what the tool makes.
"""

from __future__ import annotations

import argparse
import io
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "reference" / "search.md"
TESTS = ROOT / "tests" / "spec"
REFUSALS = "test_search_refusals.py"  # what only its tests cover is refused

_ORDERED = ("eq ne", "gt ge lt le", "sa eb", "ap")

# What R4 allows: https://hl7.org/fhir/R4/search.html#modifiers, #prefix, #sort, #chaining
ALLOWED: Mapping[str, Sequence[str]] = {
    "number": ("value", *_ORDERED, ":missing", "_filter", "_sort"),
    "date": ("value", *_ORDERED, ":missing", "_filter", "_sort"),
    "quantity": ("value", "unit", *_ORDERED, ":missing", "_filter", "_sort"),
    "string": ("value", ":missing", ":exact", ":contains", "_filter", "_sort"),
    "token": (
        *("value", ":missing", ":text", ":not", ":in", ":not-in", ":below", ":above", ":of-type"),
        *("_filter", "_sort"),
    ),
    "reference": (
        *("value", ":missing", ":[type]", ":identifier", ":below", ":above"),
        *("chain", "_has", "_list", "_filter", "_sort"),
    ),
    "composite": ("value", "_sort"),
    "uri": ("value", ":missing", ":below", ":above", "_filter", "_sort"),
    "special": ("value", ":missing", "_sort"),
}
_FURTHER = ("value", "unit", *_ORDERED, "chain", "_has", "_list", "_filter", "_sort")
_MODIFIERS = (
    *(":missing", ":exact", ":contains", ":text", ":not", ":in", ":not-in", ":below", ":above"),
    *(":of-type", ":[type]", ":identifier"),
)
EVERY = (
    *("_id", "_lastUpdated", "_tag", "_profile", "_security", "_source", "_text", "_content"),
    *("_list", "_has", "_filter"),
)
RESULTS = (
    *("_count", "_total", "_summary", "_elements", "_sort", "_include", "_revinclude"),
    "_contained",
)

_HEAD = """\
# Search

Made by `tools/make_search_page.py` from the tests, which name what they cover. A number is a test,
listed below; - is what R4 does not have; **refused** is what R4 leaves to the server and this one
answers with 400. The standard: https://hl7.org/fhir/R4/search.html
"""

Covered = dict[tuple[str, str], list[str]]  # row and column -> tests, as file::name


class Gaps(Exception):
    """Cells without a test, or marks of no cell."""


class _Collector:
    """A plugin of pytest that reads the marks of what is collected."""

    def __init__(self) -> None:
        self.covered: Covered = {}

    def pytest_collection_modifyitems(self, items: list[pytest.Function]) -> None:
        for item in items:
            test = f"{item.path.name}::{item.originalname}"
            for mark in item.iter_markers("covers"):
                row, *columns = mark.args
                for column in columns:
                    tests = self.covered.setdefault((row, column), [])
                    if test not in tests:
                        tests.append(test)


def covered() -> Covered:
    """What the tests say they cover."""
    collector = _Collector()
    options = ["--collect-only", "-q", "-p", "no:cacheprovider", f"--rootdir={ROOT}"]
    said = io.StringIO()
    with redirect_stdout(said):
        code = pytest.main([*options, *map(str, _files())], plugins=[collector])
    if code != pytest.ExitCode.OK:
        raise Gaps(said.getvalue())
    return collector.covered


def page(found: Covered) -> str:
    """The page in Markdown. Raises `Gaps`."""
    cells = {(row, column) for row, columns in ALLOWED.items() for column in columns}
    cells |= {("every", name) for name in EVERY} | {("result", name) for name in RESULTS}
    gaps = [f"no test covers {row} {column}" for row, column in sorted(cells - found.keys())]
    gaps += [f"{row} {column} is no cell" for row, column in sorted(found.keys() - cells)]
    if gaps:
        raise Gaps("\n".join(gaps))
    tests = sorted({test for several in found.values() for test in several})
    number = {test: at for at, test in enumerate(tests, 1)}
    return "\n".join(
        [
            _HEAD,
            "## Modifiers",
            "",
            *_table(_MODIFIERS, found, number),
            "",
            "## Values, prefixes, chains and orders",
            "",
            "`value` without prefix or modifier; `unit` with one of UCUM, converted; `chain` as in"
            " `subject.name`.",
            "",
            *_table(_FURTHER, found, number),
            "",
            "## Of every resource",
            "",
            *_list("every", EVERY, found, number),
            "",
            "## What shapes the answer",
            "",
            *_list("result", RESULTS, found, number),
            "",
            "## Tests",
            "",
            *(f"{at}. {_link(test)}" for test, at in number.items()),
            "",
        ]
    )


def _files() -> Iterable[Path]:
    return sorted(TESTS.glob("test_search_*.py"))


def _table(columns: Sequence[str], found: Covered, number: Mapping[str, int]) -> list[str]:
    heads = " | ".join(f"`{column}`" for column in columns)
    lines = [f"| type | {heads} |", f"|{'---|' * (len(columns) + 1)}"]
    for row, allowed in ALLOWED.items():
        cells = [
            _cell(found[row, column], number) if column in allowed else "-" for column in columns
        ]
        lines.append(f"| {row} | {' | '.join(cells)} |")
    return lines


def _list(row: str, names: Sequence[str], found: Covered, number: Mapping[str, int]) -> list[str]:
    cells = [f"| `{name}` | {_cell(found[row, name], number)} |" for name in names]
    return ["| parameter | tests |", "|---|---|", *cells]


def _cell(tests: Sequence[str], number: Mapping[str, int]) -> str:
    links = ", ".join(f"[{number[test]}]({_address(test)})" for test in sorted(tests))
    is_refused = all(test.startswith(REFUSALS) for test in tests)
    return f"**refused** {links}" if is_refused else links


def _link(test: str) -> str:
    return f"[{test}]({_address(test)})"


def _address(test: str) -> str:
    return f"../../tests/spec/{test.partition('::')[0]}"


def main() -> int:
    parser = argparse.ArgumentParser(description="write the page of search from its tests")
    parser.add_argument("--check", action="store_true", help="compare, write nothing")
    is_check = parser.parse_args().check
    try:
        text = page(covered())
    except Gaps as gaps:
        print(gaps, file=sys.stderr)
        return 1
    if not is_check:
        PAGE.write_text(text, encoding="utf-8")
    elif not PAGE.exists() or PAGE.read_text(encoding="utf-8") != text:
        print("run python tools/make_search_page.py", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
