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


@lru_cache(maxsize=8192)
def fold(text: str) -> str:
    """The text in its compared form: lower case, no accents, single spaces. Folding is final:
    `fold(fold(x)) == fold(x)`."""
    if text.isascii():
        return " ".join(text.lower().split())
    bare = _ACCENTS.sub("", normalize("NFD", text.casefold()))
    return " ".join(normalize("NFC", bare.translate(_LIKE)).split())
