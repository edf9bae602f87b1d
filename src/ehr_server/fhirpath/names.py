"""What an expression looks at, told from its text."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import Any

from ehr_server.fhirpath.parse import Member, Variable, parse


def names(expression: str) -> frozenset[str] | None:
    """The names at which the expression enters a value: its elements, and those of values within,
    as in `code.coding.where(system = 'x')`: `code` and `system`.

    None where it looks at a whole resource (`%resource`). Raises `FHIRPathError`.
    """
    nodes = list(_nodes(parse(expression)))
    if any(isinstance(node, Variable) and node.name.startswith("%") for node in nodes):
        return None
    return frozenset(
        node.name for node in nodes if isinstance(node, Member) and node.source is None
    )


def _nodes(value: Any) -> Iterator[Any]:
    """The nodes of a tree; a node's fields are nodes, tuples of nodes, and plain values."""
    if isinstance(value, tuple):
        for one in value:
            yield from _nodes(one)
    elif is_dataclass(value):
        yield value
        for field in fields(value):
            yield from _nodes(getattr(value, field.name))
