"""The bytes of a version at rest: zstd with a dictionary that lives in the database.

PostgreSQL does not compress rows under 2 kB, and most resources are smaller. A frame names its
dictionary by the column `enc`; a dictionary is never changed or deleted.
"""

from importlib.resources import files
from threading import local

import zstandard

PLAIN = 0
CURRENT = 1  # the dictionary that new contents are written with

_LEVEL = 3


class Contents:
    """Packs and unpacks contents; `dictionaries` are the rows of `zdict`. Safe across threads."""

    def __init__(self, dictionaries: dict[int, bytes]) -> None:
        self._dictionaries = {
            number: zstandard.ZstdCompressionDict(data) for number, data in dictionaries.items()
        }
        self._dictionaries[CURRENT].precompute_compress(level=_LEVEL)
        self._mine = local()  # a zstd context serves one thread at a time

    def pack(self, content: bytes) -> tuple[int, bytes]:
        """`(enc, bytes)` as they are stored."""
        packer = getattr(self._mine, "packer", None)
        if packer is None:
            packer = self._mine.packer = zstandard.ZstdCompressor(
                level=_LEVEL,
                dict_data=self._dictionaries[CURRENT],
                write_checksum=False,
                write_dict_id=False,
            )
        return CURRENT, packer.compress(content)

    def unpack(self, enc: int, stored: bytes) -> bytes:
        """The content as it was written."""
        if enc == PLAIN:
            return stored
        unpackers: dict[int, zstandard.ZstdDecompressor] = self._mine.__dict__.setdefault(
            "unpackers", {}
        )
        unpacker = unpackers.get(enc)
        if unpacker is None:
            unpacker = unpackers[enc] = zstandard.ZstdDecompressor(
                dict_data=self._dictionaries[enc]
            )
        return unpacker.decompress(stored)


def starter_dictionary() -> bytes:
    """Dictionary 1, trained by `tools/make_dictionary.py`."""
    return files(__package__).joinpath("dictionary_1.zdict").read_bytes()
