"""Refusals speak English and Vietnamese."""

import ast

from ehr_server import errors
from house.sources import SOURCE, expect_none, python_files, shown, tree

_REFUSALS = {
    name
    for name, kind in vars(errors).items()
    if isinstance(kind, type) and issubclass(kind, errors.Refusal)
}
# On the command line everything is in English.
_COMMAND_LINE = ("store/migrate.py",)


def test_every_refusal_of_a_request_is_in_vietnamese_too() -> None:
    expect_none(
        [
            shown(path, node.lineno)
            for path in python_files("src")
            if not path.relative_to(SOURCE).as_posix().startswith(_COMMAND_LINE)
            for node in ast.walk(tree(path))
            if isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and node.func.id in _REFUSALS
            and not {"vi", "issues"} & {keyword.arg for keyword in node.keywords}
        ]
    )
