"""What of a sender's own words a text may repeat: no number that may be a person's.

An unknown parameter is named in the refusal, so that its sender finds it; but where a card number
was put in the place of the name, it would be told to whoever reads the outcome. Whatever else asks
what may be somebody's number, such as the links of a search, asks here.
"""

import re
from collections.abc import Iterator
from unicodedata import normalize

LEFT_OUT = "…"

# What typists and copied texts have between the digits of one number.
BETWEEN = "[\\s.\\-\u00ad\u200b-\u200f\u2010-\u2015\u2060\u2212\ufeff]"
_SEPARATORS = re.compile(f"{BETWEEN}+")
_DIGITS = re.compile(rf"\d(?:{BETWEEN}{{0,3}}\d){{5,}}")
# A personal number, a card, and what else people have of nine digits and more; a passport.
_ID = re.compile(r"[A-Z]{0,2}\d{9,15}|[A-Z]{1,2}\d{6,8}")
# What looks alike and tells of nobody: days and months, codes of LOINC such as 85354-9, OIDs.
_OF_NOBODY = re.compile(
    r"(?:1[89]|2[01])[0-9]{2}-(?:0[1-9]|1[0-2])(?:-(?:0[1-9]|[12][0-9]|3[01]))?"
    r"|[1-9][0-9]{0,4}-[0-9]"
    r"|(?:1\.[23]|2\.(?:16|25|999))(?:\.(?:0|[1-9][0-9]*))+"
)


def without_numbers(text: str) -> str:
    """The text, with `…` in the place of six digits and more, in whatever script and however they
    are parted; dates, codes and OIDs stay."""
    parts, at = [], 0
    for begin, end in _numbers(text):
        parts += [text[at:begin], LEFT_OUT]
        at = end
    return "".join((*parts, text[at:]))


def holds_number(text: str) -> bool:
    """Whether a number by which a person may be found stands among the words of a text."""
    return next(_numbers(text), None) is not None


def id_without_number(id_: str) -> str:
    """An id as a text shows it: `…` where somebody's number was taken for one, in any of its
    spellings. Other ids, such as the server's own, stay whole, whatever digits are in them."""
    plain = _plain(id_)
    is_number = _ID.fullmatch(_SEPARATORS.sub("", plain).upper())
    return LEFT_OUT if is_number and not _OF_NOBODY.fullmatch(plain) else id_


def _numbers(text: str) -> Iterator[tuple[int, int]]:
    """Where they begin and end."""
    for found in _DIGITS.finditer(_plain(text)):
        if not _OF_NOBODY.fullmatch(found[0]):
            yield found.span()


def _plain(text: str) -> str:
    """The text in characters of normal width, each in its place."""
    return text if text.isascii() else "".join(map(_plain_character, text))


def _plain_character(character: str) -> str:
    normal = normalize("NFKC", character)
    return normal if len(normal) == 1 else character
