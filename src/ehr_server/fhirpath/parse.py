"""Tokens to a tree, by precedence climbing. http://hl7.org/fhirpath/N1/#grammar"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any, TypeAlias

from ehr_server.fhirpath.amounts import CALENDAR, quantity
from ehr_server.fhirpath.errors import FHIRPathError
from ehr_server.fhirpath.lexer import KEYWORD_OPERATORS, Token, tokens


@dataclass(frozen=True, slots=True)
class Literal:
    """A value written out; `type` is its FHIR type. `{}` is the type "" and None."""

    value: str | bool | int | Decimal | dict[str, Any] | None
    type: str
    at: int


@dataclass(frozen=True, slots=True)
class Variable:
    """`$this` and its like, `%resource` and its like; the name keeps its sign."""

    name: str
    at: int


@dataclass(frozen=True, slots=True)
class Member:
    """`source.name`, or a name at the beginning: an element or a type."""

    source: Node | None
    name: str
    at: int


@dataclass(frozen=True, slots=True)
class Invocation:
    """`source.name(arguments)`; without a source the function is applied to the focus."""

    source: Node | None
    name: str
    arguments: tuple[Node, ...]
    at: int


@dataclass(frozen=True, slots=True)
class Indexer:
    """`source[index]`."""

    source: Node
    index: Node
    at: int


@dataclass(frozen=True, slots=True)
class Operation:
    """`left operator right`; for `is` and `as` the right side names a type."""

    operator: str
    left: Node
    right: Node
    at: int


@dataclass(frozen=True, slots=True)
class Negation:
    """`-operand`."""

    operand: Node
    at: int


Node: TypeAlias = Literal | Variable | Member | Invocation | Indexer | Operation | Negation

# http://hl7.org/fhirpath/N1/#operator-precedence, a higher number binds tighter.
_PRECEDENCE = {
    operator: level
    for level, operators in enumerate(
        (
            ("implies",),
            ("or", "xor"),
            ("and",),
            ("in", "contains"),
            ("=", "~", "!=", "!~"),
            ("<", "<=", ">", ">="),
            ("|",),
            ("is", "as"),
            ("+", "-", "&"),
            ("*", "/", "div", "mod"),
        )
    )
    for operator in operators
}
_SYSTEM_TYPES = {
    name[0].upper() + name[1:]: name
    for name in ("boolean", "date", "dateTime", "decimal", "integer", "string", "time")
}
_UNARY = len(_PRECEDENCE)
# `as`, `contains`, `in` and `is` are names too: `value.as(Quantity)`, `expansion.contains`.
_RESERVED = KEYWORD_OPERATORS - {"as", "contains", "in", "is"}


def parse(expression: str) -> Node:
    """The tree of the expression; raises `FHIRPathError` where it breaks the grammar."""
    parser = _Parser(expression)
    try:
        tree = parser.node(0)
    except RecursionError:
        raise FHIRPathError("the expression is nested too deeply", 0, expression) from None
    if parser.token.kind != "end":
        raise parser.unexpected()
    return tree


def type_name(node: Node) -> str | None:
    """The type that a node names, `Patient` or `FHIR.Patient`; None if it is no such name.

    FHIRPath's own primitives are read as FHIR's: the standard itself asks for `as(DateTime)`.
    """
    match node:
        case Member(source=None, name=name):
            return _SYSTEM_TYPES.get(name, name)
        case Member(source=Member(source=None, name="FHIR" | "System"), name=name):
            return _SYSTEM_TYPES.get(name, name)
    return None


class _Parser:
    def __init__(self, expression: str) -> None:
        self._expression = expression
        self._tokens = tokens(expression)
        self.token = next(self._tokens)

    def unexpected(self) -> FHIRPathError:
        what = repr(self.token.text) if self.token.text else "end of the expression"
        return FHIRPathError(f"unexpected {what}", self.token.at, self._expression)

    def node(self, level: int) -> Node:
        left = self._prefixed()
        while (found := self._operator_level()) is not None and found >= level:
            operator = self._advance()
            right = self.node(found + 1)
            left = Operation(operator.text, left, right, operator.at)
        return left

    def _operator_level(self) -> int | None:
        if self.token.kind == "symbol" or (
            self.token.kind == "name" and self.token.text in KEYWORD_OPERATORS
        ):
            return _PRECEDENCE.get(self.token.text)
        return None

    def _prefixed(self) -> Node:
        if self._is_symbol("-"):
            at = self._advance().at
            return Negation(self.node(_UNARY), at)
        if self._is_symbol("+"):
            self._advance()
            return self.node(_UNARY)
        return self._path()

    def _path(self) -> Node:
        node = self._term()
        while True:
            if self._is_symbol("."):
                self._advance()
                node = self._step(node)
            elif self._is_symbol("["):
                at = self._advance().at
                node = Indexer(node, self.node(0), at)
                self._expect("]")
            else:
                return node

    def _term(self) -> Node:
        token = self.token
        if token.kind == "symbol":
            return self._symbol_term()
        if token.kind == "string":
            return Literal(self._advance().text, "string", token.at)
        if token.kind == "number":
            return self._number()
        if token.kind == "date":
            return _date(self._advance())
        if token.kind == "name" and token.text in ("true", "false"):
            return Literal(self._advance().text == "true", "boolean", token.at)
        return self._step(None)

    def _symbol_term(self) -> Node:
        token = self._advance()
        if token.text == "(":
            node = self.node(0)
            self._expect(")")
            return node
        if token.text == "{":
            self._expect("}")
            return Literal(None, "", token.at)
        if token.text in "$%" and self.token.kind in ("name", "delimited", "string"):
            return Variable(token.text + self._advance().text, token.at)
        raise FHIRPathError(f"unexpected {token.text!r}", token.at, self._expression)

    def _number(self) -> Node:
        token, unit = self._advance(), self.token
        value = Decimal(token.text) if "." in token.text else int(token.text)
        if unit.kind == "string" or (unit.kind == "name" and unit.text in CALENDAR):
            return Literal(quantity(value, self._advance().text), "Quantity", token.at)
        return Literal(value, "decimal" if "." in token.text else "integer", token.at)

    def _step(self, source: Node | None) -> Node:
        token = self.token
        is_name = token.kind == "name" and token.text not in _RESERVED
        if not is_name and token.kind != "delimited":
            raise self.unexpected()
        self._advance()
        if token.kind == "name" and self._is_symbol("("):
            return Invocation(source, token.text, self._arguments(), token.at)
        return Member(source, token.text, token.at)

    def _arguments(self) -> tuple[Node, ...]:
        self._advance()
        arguments: list[Node] = []
        if not self._is_symbol(")"):
            arguments.append(self.node(0))
            while self._is_symbol(","):
                self._advance()
                arguments.append(self.node(0))
        self._expect(")")
        return tuple(arguments)

    def _is_symbol(self, text: str) -> bool:
        return self.token.kind == "symbol" and self.token.text == text

    def _expect(self, text: str) -> None:
        if not self._is_symbol(text):
            raise self.unexpected()
        self._advance()

    def _advance(self) -> Token:
        token = self.token
        if token.kind != "end":
            self.token = next(self._tokens)
        return token


def _date(token: Token) -> Literal:
    text = token.text[1:]
    kind = "time" if text.startswith("T") else "dateTime" if "T" in text else "date"
    return Literal(text.removeprefix("T").removesuffix("T"), kind, token.at)
