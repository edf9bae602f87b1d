"""Where a function or an operator stands in an expression: what it is applied to, and how."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ehr_server.fhirpath.errors import FHIRPathError
from ehr_server.fhirpath.flow import DYNAMIC, Branch, Flow, all_typed, start
from ehr_server.fhirpath.parse import Literal, Node, type_name

if TYPE_CHECKING:
    from collections.abc import Callable

    from ehr_server.definitions import Definitions


@dataclass(frozen=True, slots=True)
class Site:
    """A call as its row of the table sees it.

    `source` is what the function is applied to, `arguments` are still trees: `argument` compiles
    one on the focus of the whole expression, `criterion` on the values of a branch of the source.
    `follows`: whether resolve() leads to resources, or to no more than their types.
    """

    name: str
    source: Flow
    arguments: tuple[Node, ...]
    at: int
    definitions: Definitions
    focus: Branch
    compile: Callable[[Node, Branch], Flow]
    follows: bool = False

    def argument(self, number: int = 0) -> Flow:
        """An argument as a value, such as the text in `startsWith('A')`."""
        return self.compile(self.arguments[number], self.focus)

    def criterion(self, branch: Branch, number: int = 0) -> Flow:
        """An argument asked of each value, such as the test in `where(use = 'home')`."""
        return self.compile(self.arguments[number], start(branch.type))

    def whole(self) -> Branch:
        """All that the function is applied to, as the focus of its arguments."""
        if len(self.source.branches) == 1:
            return self.source.branches[0]
        return Branch(DYNAMIC, all_typed(self.source), True)

    def named_type(self, number: int = 0) -> str:
        """An argument that names a type. Raises `FHIRPathError` if it does not."""
        node = self.arguments[number]
        name = type_name(node)
        if name is None or name not in self.definitions.types:
            raise FHIRPathError(f"{self.name}() wants the name of a type", node.at)
        return name

    def text(self, number: int = 0) -> str:
        """An argument that is a text written out. Raises `FHIRPathError` if it is not."""
        node = self.arguments[number]
        if not isinstance(node, Literal) or not isinstance(node.value, str):
            raise FHIRPathError(f"{self.name}() wants a string", node.at)
        return node.value
