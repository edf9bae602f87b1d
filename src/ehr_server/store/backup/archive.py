"""The file of a backup: a tar archive in one zstd stream, read and written from end to end.

    head.json                  what it is of, and the columns of each table
    tables/NAME/000000 ...     the rows of a table as `copy ... (format binary)` gives them
    manifest.json              of each table the rows, bytes and SHA-256; the sequences

The manifest is last, since only then the counts are known: a file without it was cut short. Any
`zstd` and `tar` read the file; it is never whole in memory.
"""

from __future__ import annotations

import hashlib
import io
import tarfile
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import IO, TYPE_CHECKING, Any

import zstandard

from ehr_server.errors import Refusal
from ehr_server.fhir import json

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

FORMAT = 1
BLOCK_BYTES = 1 << 20

_LEVEL = 1  # contents are compressed already; the rest shrinks to a third
_THREADS = 2
_READ_BYTES = 1 << 20
_HEAD, _MANIFEST = "head.json", "manifest.json"


class BackupError(Exception):
    """A backup or restore cannot be done; the text says why, and what to do."""


@dataclass(frozen=True, slots=True)
class Head:
    """What a backup is of: `revision` of the schema, `tx_end` above every `tx` in it, `columns` by
    table in the order of the rows."""

    revision: str
    tx_end: int
    made: str
    program: str
    postgresql: str
    columns: dict[str, list[str]]
    format: int = FORMAT


@dataclass(frozen=True, slots=True)
class Counted:
    """What a table holds, by its rows and by the bytes of its copy."""

    rows: int
    bytes: int
    sha256: str


@dataclass(slots=True)
class Manifest:
    """What a backup holds: `sequences` by their last value."""

    tables: dict[str, Counted] = field(default_factory=dict)
    sequences: dict[str, int] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        return sum(table.rows for table in self.tables.values())


class Writer:
    """Writes an archive, top to bottom; opened by `writing`."""

    def __init__(self, archive: tarfile.TarFile, head: Head) -> None:
        self._archive = archive
        self.manifest = Manifest()
        self._add(_HEAD, json.write_pretty(asdict(head)))

    def add(self, table: str, blocks: Iterator[bytes], rows: Iterable[int]) -> None:
        """The rows of a table; `rows` tells how many there were once the blocks are all read."""
        digest = hashlib.sha256()
        size = 0
        for number, block in enumerate(blocks):
            digest.update(block)
            size += len(block)
            self._add(f"tables/{table}/{number:06}", block)
        (count,) = rows
        self.manifest.tables[table] = Counted(count, size, digest.hexdigest())

    def end(self) -> None:
        """The manifest; without it the file is not whole."""
        self._add(_MANIFEST, json.write_pretty(asdict(self.manifest)))

    def _add(self, name: str, content: bytes) -> None:
        member = tarfile.TarInfo(name)
        member.size = len(content)
        member.mode = 0o600
        self._archive.addfile(member, io.BytesIO(content))
        _forget(self._archive)


@contextmanager
def writing(file: IO[bytes], head: Head) -> Iterator[Writer]:
    """A writer to a file that is open; the file is left open."""
    packer = zstandard.ZstdCompressor(level=_LEVEL, threads=_THREADS, write_checksum=True)
    with (
        packer.stream_writer(file, closefd=False) as stream,
        tarfile.open(mode="w", fileobj=stream, copybufsize=_READ_BYTES) as archive,  # type: ignore[call-overload]
    ):
        writer = Writer(archive, head)
        yield writer
        writer.end()


class Reader:
    """Reads an archive, top to bottom: first the head, then `tables`, then `manifest`.

    Raises `BackupError` for a file that is no backup, of a later form, or cut short.
    """

    def __init__(self, file: IO[bytes]) -> None:
        stream = zstandard.ZstdDecompressor().stream_reader(file, closefd=False)
        with _readable():
            self._archive = tarfile.open(mode="r|", fileobj=stream, bufsize=_READ_BYTES)  # noqa: SIM115
            self._next = self._archive.next()
            found = self._json(_HEAD)
        if found.get("format") != FORMAT:
            raise BackupError("The backup was written by a newer version; restore it with that one")
        self.head = Head(**found)
        self.manifest = Manifest()

    def tables(self) -> Iterator[tuple[str, Iterator[bytes]]]:
        """Each table with its blocks, which must be read before the next table."""
        while (name := self._table()) is not None:
            yield name, self._blocks(name)
        with _readable():
            found = self._json(_MANIFEST)
        tables = {name: Counted(**counted) for name, counted in found["tables"].items()}
        self.manifest = Manifest(tables, found["sequences"])

    def _table(self) -> str | None:
        parts = self._next.name.split("/") if self._next else []
        return parts[1] if len(parts) == 3 and parts[0] == "tables" else None

    def _blocks(self, table: str) -> Iterator[bytes]:
        while self._table() == table:
            with _readable():
                block = self._content()
                _forget(self._archive)
                self._next = self._archive.next()
            yield block

    def _content(self) -> bytes:
        if self._next is None:
            raise tarfile.ReadError
        content = self._archive.extractfile(self._next)
        if content is None:
            raise tarfile.ReadError
        with content:
            return content.read()

    def _json(self, name: str) -> dict[str, Any]:
        if self._next is None or self._next.name != name:
            raise tarfile.ReadError
        found: dict[str, Any] = json.read_own(self._content())
        _forget(self._archive)
        if name != _MANIFEST:
            self._next = self._archive.next()
        return found


def _forget(archive: tarfile.TarFile) -> None:
    """Or the names of all members stay in memory."""
    archive.members.clear()  # type: ignore[attr-defined]


@contextmanager
def _readable() -> Iterator[None]:
    try:
        yield
    except (
        tarfile.TarError,
        zstandard.ZstdError,
        EOFError,
        Refusal,
        ValueError,
        KeyError,
    ) as error:
        raise BackupError("The file is no backup, or it is damaged or cut short") from error
