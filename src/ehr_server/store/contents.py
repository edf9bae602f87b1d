"""The bytes of a version at rest: zstd with a dictionary that lives in the database, then sealed
where the record is encrypted.

PostgreSQL does not compress rows under 2 kB, and most resources are smaller. A frame names its
dictionary by the column `enc`; a dictionary is never changed or deleted. What is sealed names its
key there, as a number below zero, and its dictionary in its first byte (`store.keyring`).
"""

from importlib.resources import files
from threading import local

import zstandard

from ehr_server.store.keyring import Keyring

PLAIN = 0
CURRENT = 1  # the dictionary that new contents are written with

_LEVEL = 3


class Contents:
    """Packs and unpacks contents; `dictionaries` are the rows of `zdict`, `keyring` None of a
    record in clear. Safe across threads."""

    def __init__(self, dictionaries: dict[int, bytes], keyring: Keyring | None = None) -> None:
        self._keyring = keyring
        self._dictionaries = {
            number: zstandard.ZstdCompressionDict(data) for number, data in dictionaries.items()
        }
        self._dictionaries[CURRENT].precompute_compress(level=_LEVEL)
        self._mine = local()  # a zstd context serves one thread at a time

    @property
    def enc(self) -> int:
        """By what is sealed at present: the `enc` of all that is written, but for dictionaries."""
        return PLAIN if self._keyring is None else self._keyring.enc

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
        packed: bytes = packer.compress(content)
        return (CURRENT, packed) if self._keyring is None else self._keyring.seal(CURRENT, packed)

    def keep(self, content: bytes) -> tuple[int, bytes]:
        """As `pack`, of what is not to be compressed."""
        return (PLAIN, content) if self._keyring is None else self._keyring.seal(PLAIN, content)

    def sealed_anew(self, enc: int, stored: bytes) -> tuple[int, bytes]:
        """`(enc, bytes)` of what is stored already, by the key that is current."""
        if self._keyring is None:
            raise TypeError("the record is in clear")
        if enc < 0:
            enc, stored = self._keyring.open(enc, stored)
        return self._keyring.seal(enc, stored)

    def unpack(self, enc: int, stored: bytes) -> bytes:
        """The content as it was written. Raises `ValueError` for what was altered on the disk."""
        if enc < 0:
            if self._keyring is None:
                raise ValueError("a content is sealed, and the record was opened without a key")
            enc, stored = self._keyring.open(enc, stored)
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
