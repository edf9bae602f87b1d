"""The measures of style: short files and functions, telling names, a docstring on every module."""

import ast
import re

import pytest

from house.sources import SOURCE, expect_none, python_files, shown, text_files, tree

_FILE_LINES_MAX = 500
_FUNCTION_LINES_MAX = 70
_PARAMETERS_MAX = 5
_UNTOLD_LINES_MAX = 15  # of a function whose name may say all
_BANNED = {
    *("manager", "service", "util", "utils", "helper", "helpers", "common", "base", "core"),
    *("impl", "processor", "wrapper", "misc"),
}
_ALL = ("src", "tests", "tools", "bench", "examples", "migrations")


def _functions(folder: str) -> list[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    return [
        (shown(path, node.lineno), node)
        for path in python_files(folder)
        for node in ast.walk(tree(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]


@pytest.mark.parametrize("folder", _ALL)
def test_files_are_short(folder: str) -> None:
    expect_none(
        [
            f"{shown(path)}: {lines} lines"
            for path in python_files(folder)
            if (lines := len(path.read_text(encoding="utf-8").splitlines())) > _FILE_LINES_MAX
        ]
    )


@pytest.mark.parametrize("folder", _ALL)
def test_functions_are_short(folder: str) -> None:
    expect_none(
        [
            f"{place} {node.name}: {lines} lines"
            for place, node in _functions(folder)
            if (lines := (node.end_lineno or 0) - node.lineno + 1) > _FUNCTION_LINES_MAX
        ]
    )


def test_functions_take_few_parameters() -> None:
    """Five at most, `self` and the options of a class's constructor aside: else a dataclass."""
    expect_none(
        [
            f"{place} {node.name}: {count} parameters"
            for place, node in _functions("src")
            if node.name != "__init__"
            and (count := len([a for a in _parameters(node) if a not in ("self", "cls")]))
            > _PARAMETERS_MAX
        ]
    )


def _parameters(node: ast.FunctionDef | ast.AsyncFunctionDef) -> list[str]:
    arguments = node.args
    return [a.arg for a in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)]


@pytest.mark.parametrize("folder", _ALL)
def test_every_module_says_what_it_is(folder: str) -> None:
    expect_none(
        [
            shown(path)
            for path in python_files(folder)
            if tree(path).body and not ast.get_docstring(tree(path))
        ]
    )


def test_public_functions_say_what_they_do() -> None:
    """What another module may use, short functions aside. A refusal's class has a telling name."""
    expect_none(
        [
            f"{shown(path, node.lineno)} {node.name}"
            for path in python_files("src")
            if path != SOURCE / "errors.py"
            for node in tree(path).body
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
            and not node.name.startswith("_")
            and not ast.get_docstring(node)
            and (node.end_lineno or 0) - node.lineno > _UNTOLD_LINES_MAX
        ]
    )


def test_names_tell_what_a_thing_is() -> None:
    found = []
    for path in python_files("src"):
        names = [(1, path.stem), *((1, folder) for folder in path.relative_to(SOURCE).parts[:-1])]
        names += [
            (node.lineno, node.name)
            for node in ast.walk(tree(path))
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        ]
        for line, name in names:
            words = re.findall(
                r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", re.sub(r"base(?=_url|\d)", "", name)
            )
            if _BANNED & {word.lower() for word in words} or name.startswith("get_"):
                found.append(f"{shown(path, line)} {name}")
    expect_none(found)


def test_there_is_no_deep_inheritance() -> None:
    """One level, except for the tree of refusals: the parent of a class has no parent of ours."""
    parents = {
        node.name: [base.id for base in node.bases if isinstance(base, ast.Name)]
        for path in python_files("src")
        if path != SOURCE / "errors.py"
        for node in ast.walk(tree(path))
        if isinstance(node, ast.ClassDef)
    }
    expect_none(
        [
            name
            for name, bases in parents.items()
            for base in bases
            if any(grandparent in parents for grandparent in parents.get(base, ()))
        ]
    )


def test_nothing_is_left_to_do_in_comments() -> None:
    marks = re.compile(r"\b(?:TO" r"DO|FIX" r"ME|X" r"XX|HA" r"CK)\b")
    expect_none(
        [
            shown(path, text[: match.start()].count("\n") + 1)
            for path, text in text_files()
            if path.suffix in {".py", ".md", ".toml", ""}
            for match in marks.finditer(text)
        ]
    )
