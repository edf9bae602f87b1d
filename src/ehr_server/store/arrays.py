"""Lists of whole numbers as arrays, in the binary form in which PostgreSQL takes them by COPY.

The form is that of its function `array_recv`: the dimensions (one), whether there are nulls (none),
the type of the elements, their number, the first index, then each with its length. Made in one go:
psycopg packs element by element, which was half of what a COPY cost here.
"""

from collections.abc import Sequence
from struct import pack

from psycopg import adapters
from psycopg.adapt import Dumper
from psycopg.pq import Format


def pack_at_once() -> None:
    """From now on psycopg packs arrays so where it is told their type (`Copy.set_types`)."""
    _register("int8", "q", 8)
    _register("int4", "i", 4)


def _register(type_name: str, letter: str, size: int) -> None:
    info = adapters.types[type_name]
    pair = f"i{letter}"
    empty = pack(">iii", 0, 0, info.oid)

    class NumbersDumper(Dumper):
        oid = info.array_oid
        format = Format.BINARY

        def dump(self, obj: Sequence[int]) -> bytes:
            count = len(obj)
            if not count:
                return empty
            sized = [size] * (2 * count)
            sized[1::2] = obj
            return pack(f">iiiii{pair * count}", 1, 0, info.oid, count, 1, *sized)

    adapters.register_dumper(None, NumbersDumper)
