"""Expression text to tokens. http://hl7.org/fhirpath/N1/#lexical-elements"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from ehr_server.fhirpath.errors import FHIRPathError

KEYWORD_OPERATORS = frozenset(
    ("and", "as", "contains", "div", "implies", "in", "is", "mod", "or", "xor")
)

_PATTERN = re.compile(
    r"""
    (?P<space> \s+ | //[^\n]* | /\*.*?\*/ )
  | (?P<date> @T?\d(?: [\dT:+\-Z] | \.\d )* )
  | (?P<number> \d+(?:\.\d+)? )
  | (?P<string> '(?:\\.|[^'\\])*' )
  | (?P<delimited> `(?:\\.|[^`\\])+` )
  | (?P<name> [A-Za-z_]\w* )
  | (?P<symbol> != | !~ | <= | >= | [().,\[\]{}|&=~<>+\-*/$%] )
    """,
    re.VERBOSE | re.DOTALL | re.ASCII,
)
_ESCAPE = re.compile(r"\\(u[0-9A-Fa-f]{4}|.)", re.DOTALL)
_ESCAPED = {"f": "\f", "n": "\n", "r": "\r", "t": "\t"}


@dataclass(frozen=True, slots=True)
class Token:
    """One token: `kind` is name, string, number, date, symbol or end; `at` where it begins."""

    kind: str
    text: str
    at: int


def tokens(expression: str) -> Iterator[Token]:
    """The tokens of the expression without space and comments, closed by one of kind `end`.

    Strings come unescaped; a delimited identifier is a `delimited` token, never an operator.
    """
    at = 0
    while at < len(expression):
        match = _PATTERN.match(expression, at)
        if match is None:
            raise FHIRPathError(f"unexpected {expression[at]!r}", at, expression)
        kind = match.lastgroup or ""
        text = match.group()
        if kind in ("string", "delimited"):
            text = _unescaped(text[1:-1])
        if kind != "space":
            yield Token(kind, text, at)
        at = match.end()
    yield Token("end", "", at)


def _unescaped(text: str) -> str:
    return _ESCAPE.sub(_character, text) if "\\" in text else text


def _character(match: re.Match[str]) -> str:
    code = match.group(1)
    return chr(int(code[1:], 16)) if len(code) == 5 else _ESCAPED.get(code, code)
