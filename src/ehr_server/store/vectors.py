"""Words and their places as a tsvector, in the binary form in which PostgreSQL takes one.

https://www.postgresql.org/docs/current/datatype-textsearch.html. The form is that of its function
`tsvectorrecv`: the number of words, then each word, its end, the number of its places, its places
with the weight in the upper two bits. Made here, so that PostgreSQL has no text to parse.
"""

from collections.abc import Mapping, Sequence
from struct import pack

from psycopg import adapters
from psycopg.adapt import Dumper
from psycopg.pq import Format


class Vector(bytes):
    """A tsvector, to be written to a column."""


class _VectorDumper(Dumper):
    oid = adapters.types["tsvector"].oid
    format = Format.BINARY

    def dump(self, obj: bytes) -> bytes:
        return obj


adapters.register_dumper(Vector, _VectorDumper)


def vector(places: Mapping[str, Sequence[int]]) -> Vector:
    """The tsvector of words with their places: growing, at most 255 of each word."""
    parts = [pack(">I", len(places))]
    for word, several in sorted(places.items()):  # by code points, which is the order of UTF-8
        parts.append(word.encode())
        parts.append(pack(f">xH{len(several)}H", len(several), *several))
    return Vector(b"".join(parts))
