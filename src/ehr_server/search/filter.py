"""`_filter` to a tree: `given eq "peter" and birthdate ge 2014-10-10`.

https://hl7.org/fhir/R4/search_filter.html. The grammar of the standard, read character by
character since only the place tells a name from an operator or a value. What an operator means
for a parameter is said in `search.operators`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TypeAlias

from ehr_server.fhir import json
from ehr_server.search.malformed import Malformed

OPERATORS = (
    *("eq", "ne", "co", "sw", "ew", "gt", "lt", "ge", "le"),
    *("ap", "sa", "eb", "pr", "po", "ss", "sb", "in", "ni", "re"),
)  # fmt: skip

DEPTH_MAX = 20  # brackets within brackets, and names chained to names
COMPARISONS_MAX = 100  # each is a search of its own


@dataclass(frozen=True, slots=True)
class Step:
    """One name of a path; `where` is the filter in brackets behind it."""

    name: str
    where: Node | None = None


@dataclass(frozen=True, slots=True)
class Comparison:
    """`path operator value`, the path never empty, its last step without a filter.

    `value` is without quotes and JSON's escapes: the standard makes no difference between a string
    and a token. Of `pr` it is `true` or `false`.
    """

    path: tuple[Step, ...]
    operator: str
    value: str


@dataclass(frozen=True, slots=True)
class Negation:
    """`not(operand)`."""

    operand: Node


@dataclass(frozen=True, slots=True)
class Conjunction:
    """All of the parts, two or more: `a and b and c`."""

    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Disjunction:
    """At least one of the parts, which are two or more: `a or b or c`."""

    parts: tuple[Node, ...]


Node: TypeAlias = Comparison | Negation | Conjunction | Disjunction
_Expected: TypeAlias = tuple[str, str]  # what should be there, in English and Vietnamese

_JOINED: dict[str, type[Conjunction] | type[Disjunction]] = {"and": Conjunction, "or": Disjunction}

_SPACE = re.compile(r"\s+")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
_OPERATOR = re.compile(rf"(?:{'|'.join(OPERATORS)})(?!\S)")
_NOT = re.compile(r"not\s*\(")
_JOIN = re.compile(r"(?:and|or)(?![^\s(])")
_TOKEN = re.compile(r"[^\s\])\x00-\x1f\ud800-\udfff]+")
# A JSON string up to what cannot be part of one, or cannot be stored: NUL and half a surrogate.
_STRING = re.compile(
    r"""
    " (?: [^"\\\x00-\x1f\ud800-\udfff]
        | \\ ["\\/bfnrt]
        | \\u [dD][89abAB][0-9A-Fa-f]{2} \\u [dD][c-fC-F][0-9A-Fa-f]{2}
        | \\u (?! 0000 | [dD][89a-fA-F] ) [0-9A-Fa-f]{4}
      )*
    """,
    re.VERBOSE,
)

_BEGINNING = ("the name of a parameter or ( is", "tên tham số hoặc dấu (")
_CHAINED = ("the name of a parameter is", "tên tham số")
_BEHIND_NAME = ("a space, . or [ is", "dấu cách, dấu . hoặc dấu [")
_BEHIND_BRACKET = (". and the name of a parameter are", "dấu . và tên tham số")
_COMPARED = (f"one of {', '.join(OPERATORS)} is", f"một trong {', '.join(OPERATORS)}")
_VALUE = ("a value is", "giá trị")
_PRESENCE = ("true or false is", "true hoặc false")
_QUOTE = ('a character of a JSON string or " is', 'ký tự của chuỗi JSON hoặc dấu "')
_END = ("and, or or the end is", "and, or hoặc hết bộ lọc")
_CLOSING = {mark: (f"and, or or {mark} is", f"and, or hoặc dấu {mark}") for mark in ")]"}


def read(text: str) -> Node:
    """The tree of a filter as it was sent, decoded from the address or form.

    `and` and `or` bind alike, from left to right, as the standard says: `a or b and c` is
    `(a or b) and c`. Raises `Malformed` with the number of the character, from 1, at which the
    text breaks the grammar and what is expected there; also beyond `DEPTH_MAX` and
    `COMPARISONS_MAX`. A tree can be as deep as both together, where `and` and `or` take turns.
    """
    return _Reader(text).whole()


class _Reader:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._comparisons = 0

    def whole(self) -> Node:
        node = self._filter(0)
        if self._at < len(self._text):
            raise self._missing(_END)
        return node

    def _filter(self, depth: int) -> Node:
        """What is read so far becomes one part as soon as the other word follows."""
        parts, joined = [self._part(depth)], ""
        while word := self._take(_JOIN):
            if joined not in ("", word):
                parts = [_JOINED[joined](tuple(parts))]
            parts.append(self._part(depth))
            joined = word
        return _JOINED[joined](tuple(parts)) if joined else parts[0]

    def _part(self, depth: int) -> Node:
        self._take(_SPACE)
        node: Node
        if self._take(_NOT):
            node = Negation(self._enclosed(")", depth))
        elif self._takes("("):
            node = self._enclosed(")", depth)
        else:
            node = self._comparison(depth)
        self._take(_SPACE)
        return node

    def _enclosed(self, closing: str, depth: int) -> Node:
        """What stands between the bracket that was read last and the one that closes it."""
        self._check_depth(depth + 1)
        node = self._filter(depth + 1)
        if not self._takes(closing):
            raise self._missing(_CLOSING[closing])
        return node

    def _comparison(self, depth: int) -> Comparison:
        self._count()
        path = self._path(depth)
        if not self._take(_SPACE):
            raise self._missing(_BEHIND_NAME)
        operator = self._take(_OPERATOR)
        if not operator:
            raise self._missing(_COMPARED)
        self._take(_SPACE)
        return Comparison(path, operator, self._presence() if operator == "pr" else self._value())

    def _path(self, depth: int) -> tuple[Step, ...]:
        steps = [self._step(depth, _BEGINNING)]
        while self._takes("."):
            self._check_depth(depth + len(steps))
            steps.append(self._step(depth + len(steps), _CHAINED))
        if steps[-1].where is not None:  # it filters what the next name is asked of
            raise self._missing(_BEHIND_BRACKET)
        return tuple(steps)

    def _step(self, depth: int, expected: _Expected) -> Step:
        name = self._take(_NAME)
        if not name:
            raise self._missing(expected)
        return Step(name, self._enclosed("]", depth) if self._takes("[") else None)

    def _presence(self) -> str:
        start = self._at
        value = self._value().lower()
        if value not in ("true", "false"):
            self._at = start
            raise self._missing(_PRESENCE)
        return value

    def _value(self) -> str:
        quoted = self._take(_STRING)
        if quoted:
            if not self._takes('"'):
                raise self._missing(_QUOTE)
            return str(json.read(f'{quoted}"'.encode()))
        token = self._take(_TOKEN)
        if not token:
            raise self._missing(_VALUE)
        return token

    def _take(self, pattern: re.Pattern[str]) -> str:
        """What the pattern finds here, which is then behind; empty if it finds nothing."""
        match = pattern.match(self._text, self._at)
        if match is None:
            return ""
        self._at = match.end()
        return match.group()

    def _takes(self, mark: str) -> bool:
        is_here = self._text.startswith(mark, self._at)
        if is_here:
            self._at += len(mark)
        return is_here

    def _check_depth(self, depth: int) -> None:
        if depth > DEPTH_MAX:
            raise Malformed(
                f"is nested more than {DEPTH_MAX} deep at character {self._at}",
                f"lồng nhau quá {DEPTH_MAX} tầng ở ký tự thứ {self._at}",
            )

    def _count(self) -> None:
        self._comparisons += 1
        if self._comparisons > COMPARISONS_MAX:
            raise Malformed(
                f"has more than {COMPARISONS_MAX} comparisons at character {self._at + 1}",
                f"có quá {COMPARISONS_MAX} phép so sánh ở ký tự thứ {self._at + 1}",
            )

    def _missing(self, expected: _Expected) -> Malformed:
        text, vi = expected
        return Malformed(
            f"is not a filter: at character {self._at + 1} {text} expected",
            f"không phải bộ lọc hợp lệ: ở ký tự thứ {self._at + 1} cần {vi}",
        )
