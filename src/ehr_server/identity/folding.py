"""Names and other words as they are compared: without case, tones, accents and đ.

`Nguyễn Thị Ánh` and `NGUYEN THI ANH` fold to the same. What two texts must share to be found by
one another, https://hl7.org/fhir/R4/search.html#string.
"""

import re
from functools import lru_cache
from unicodedata import normalize

# The accents of Latin, Greek and Cyrillic. Marks of other scripts are letters to their readers
# (a Khmer vowel is one), so they stay.
_ACCENTS = re.compile("[\u0300-\u036f]")
_LIKE = str.maketrans(
    {"đ": "d", "‘": "'", "’": "'", "ʼ": "'", "‐": "-", "‑": "-", "–": "-", "—": "-"}
)  # fmt: skip


_CACHED_MAX = 200  # characters: names repeat; a text of a megabyte must not stay


def fold(text: str) -> str:
    """The text in its compared form: lower case, no accents, single spaces. Folding is final:
    `fold(fold(x)) == fold(x)`."""
    return _cached(text) if len(text) < _CACHED_MAX else _fold(text)


def _fold(text: str) -> str:
    if text.isascii():
        return " ".join(text.lower().split())
    bare = _ACCENTS.sub("", normalize("NFD", text.casefold()))
    return " ".join(normalize("NFC", bare.translate(_LIKE)).split())


_cached = lru_cache(maxsize=8192)(_fold)
