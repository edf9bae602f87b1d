"""Patterns on an engine that is linear in time, whatever the text.

Python's own `re` takes a second and gigabytes for a narrative of some megabytes.
"""

from functools import cache

from jsonschema_rs import Draft4Validator, RegexOptions

OPTIONS = RegexOptions(size_limit=50_000_000)  # bytes, compiled: a narrative's pattern is large


def matches(pattern: str, text: str) -> bool:
    """Whether the pattern is found in the text; patterns that mean all of it are anchored."""
    return _compiled(pattern).is_valid(text)


@cache
def _compiled(pattern: str) -> Draft4Validator:
    return Draft4Validator({"pattern": pattern}, pattern_options=OPTIONS)
