"""Patterns on an engine that is linear in time, whatever the text.

Python's own `re` takes a second and gigabytes for a narrative of some megabytes, and for ever for
`(a+)+$`. What this engine cannot hold (lookaround, backreferences) it refuses when it compiles.
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING

from jsonschema_rs import Draft4Validator, RegexOptions, ValidationError

if TYPE_CHECKING:
    from collections.abc import Callable

OPTIONS = RegexOptions(size_limit=50_000_000)  # bytes, compiled: a narrative's pattern is large

# Atoms, the last of which may be repeated: nothing follows that could ask to try again.
_SIMPLE = re.compile(
    r"""
    (?: \\[dDsSwW.\\/()\[\]{}+*?|^$nrt-] | [^\\()\[\]{}+*?|^$]
      | \[\^? (?: \\. | [^\[\]\\] )+ \] )+
    [*+]?
    """,
    re.VERBOSE | re.DOTALL,
)
_PLAIN = re.compile(r"\\.|\[(?:\\.|[^\]\\])*\]|(?P<plain>[.\]])", re.DOTALL)


def matches(pattern: str, text: str) -> bool:
    """Whether the pattern is found in the text; patterns that mean all of it are anchored."""
    return _compiled(pattern).is_valid(text)


def matcher(pattern: str) -> Callable[[str], bool]:
    """`matches` with one pattern as `spelled`. Raises `ValueError` as that does."""
    return _compiled(spelled(pattern)).is_valid


def spelled(pattern: str) -> str:
    """The pattern as this engine, and a schema, takes it; in it `.` is any character.

    Raises `ValueError` for a pattern that is none, or that this engine does not hold.
    """
    found = _PLAIN.sub(_plainly, pattern)
    try:
        _compiled(found)
    except ValidationError:
        raise ValueError("no regular expression without lookaround and backreferences") from None
    return found


def replacer(pattern: str, substitute: str) -> Callable[[str], str]:
    """A function that replaces what the pattern finds; `$1` and its like are not for it.

    Of patterns only those of which Python's `re` is linear too: characters and classes one after
    another, the last of which may be repeated. Raises `ValueError` for any other.
    """
    if _SIMPLE.fullmatch(pattern) is None:
        raise ValueError("replacing wants characters and classes, only the last of them repeated")
    try:
        compiled = re.compile(pattern, re.DOTALL | re.ASCII)
    except re.error:
        raise ValueError("no regular expression") from None
    return lambda text: compiled.sub(lambda _: substitute, text)


@cache
def _compiled(pattern: str) -> Draft4Validator:
    return Draft4Validator({"pattern": pattern}, pattern_options=OPTIONS)


def _plainly(match: re.Match[str]) -> str:
    """A dot that means any character, the end of a line too, and a bracket that closes none."""
    return {".": r"[\s\S]", "]": r"\]"}.get(match["plain"] or "", match.group())
