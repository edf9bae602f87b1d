"""The comparisons that dates, numbers and quantities are searched by.

https://hl7.org/fhir/R4/search.html#prefix
"""

from typing import Literal, cast, get_args

Prefix = Literal["eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap"]

_PREFIXES = frozenset(get_args(Prefix))


def cut(text: str) -> tuple[Prefix, str]:
    """The prefix of a value, `eq` if it has none, and the rest."""
    if text[:2] in _PREFIXES:
        return cast(Prefix, text[:2]), text[2:]
    return "eq", text
