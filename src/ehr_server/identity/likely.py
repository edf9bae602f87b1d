"""Letters that were typed for digits: `00108501234O`. They are told, never put right in silence."""

from collections.abc import Mapping
from types import MappingProxyType
from unicodedata import normalize

from ehr_server.identity.kinds import Kind

# Latin, Cyrillic and Greek letters, and the stroke that stands on the keyboard beside Enter.
_DIGIT_OF: Mapping[str, str] = MappingProxyType(
    {
        **dict.fromkeys("OoQОоΟο", "0"),
        **dict.fromkeys("IiLl|ІΙ", "1"),
        **dict.fromkeys("Zz", "2"),
        **dict.fromkeys("Ss", "5"),
        "B": "8",
    }
)
_TABLE = str.maketrans(dict(_DIGIT_OF))
_LETTERS_OF_A_CARD = 2


def likely_digit(kind: Kind, value: str) -> tuple[int, str, str] | None:
    """The first letter that stands for a digit: its place from 1, the letter and the digit.

    None where the value would not be one of the kind with all such letters put right, or has none.
    """
    if kind.is_free:
        return None
    wide = normalize("NFKC", value)
    for start in (0, _LETTERS_OF_A_CARD):  # the first letters of an insurance card are its group
        meant = wide[:start] + wide[start:].translate(_TABLE)
        if meant != wide and kind.has_shape(kind.normal(meant)):
            at = next(at for at, letter in enumerate(wide) if meant[at] != letter)
            return at + 1, wide[at], meant[at]
    return None
