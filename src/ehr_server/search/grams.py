"""Pieces of three characters, by which texts are found that contain another.

https://hl7.org/fhir/R4/search.html#modifiers, `:contains`. A text of the index keeps the hashes of
its pieces in an array; a text that contains another has all of its pieces. Few of those that have
them do not contain it, and they are looked at.
"""

from functools import lru_cache
from zlib import crc32

SIZE = 3  # a shorter text has no piece, and is looked for among all


def grams(parameter: int, text: str) -> list[int]:
    """The hashes, signed 32 bits, of the pieces of a folded text, sorted; they tell the
    parameter, so that a name is not compared with addresses."""
    return sorted({_hash(parameter, text[at : at + SIZE]) for at in range(len(text) - SIZE + 1)})


@lru_cache(maxsize=65_536)
def _hash(parameter: int, piece: str) -> int:
    number = crc32(piece.encode("utf-8", "surrogatepass"), parameter)
    return number - (1 << 32) if number >= 1 << 31 else number
