"""Stable 64-bit hashes: what index rows and compartment keys are made of.

The values stand in the database, so the function may never change. Collisions are possible
(about 3e-4 for one pair among 1e8 patients). Hence a hit on an identifier is checked against the
content before it is served, and one on a compartment against the hash of the reference to the
patient, which is made apart (`access.find`).
"""

from functools import lru_cache
from hashlib import blake2b
from struct import Struct

_SEPARATOR = "\x1f"
_SIGNED = Struct(">q").unpack


class Tokens(tuple[int, ...]):
    """Hashes that a statement asks the search index for. A type of their own, since the index of a
    record that is encrypted holds them keyed: the connection does it (`store.connect`), and one
    that knows nothing of them sends what the database refuses."""

    __slots__ = ()


def hash64(*parts: str) -> int:
    """The signed 64-bit hash of the parts, told apart by a character that no FHIR string holds."""
    text = _SEPARATOR.join(parts).encode("utf-8", "surrogatepass")
    number: int = _SIGNED(blake2b(text, digest_size=8).digest())[0]
    return number


@lru_cache(maxsize=65_536)
def person_comp(patient_id: str) -> int:
    """The compartment key of `Patient/<patient_id>`: odd, so that a row tells it is a person's."""
    return hash64("Patient", patient_id) | 1


@lru_cache(maxsize=16_384)  # a resource, and what refers to it, ask for the same
def own_comp(type_name: str, id_: str) -> int:
    """The compartment key of a resource that is in no patient's compartment: even."""
    return hash64(type_name, id_) & ~1
