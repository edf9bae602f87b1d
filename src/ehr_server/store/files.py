"""The files of an export, seen by others only when they are whole.

https://hl7.org/fhir/uv/bulkdata/export.html#response---complete-status. A part writes one file
for each type it meets, under a name that says it is not finished; then all are on disk, then they
get their names.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

from isal import isal_zlib

from ehr_server import clock

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Generator, Iterable, Iterator, Sequence
    from datetime import datetime
    from pathlib import Path

Form = Literal["ndjson", "gzip", "parquet"]  # NDJSON, as it is or in gzip, or Parquet

NO_ROOM = "no room"  # what is the trouble with a job whose disk is full
# The kinds of lines that are not all of one type: deletions, and what belongs to a person together.
DELETED = "deleted"
BLOCKS = "Patient-block"
OUTCOMES = "OperationOutcome"  # about the export, which holds none of this type

_UNFINISHED = ".unfinished"
_CHUNK_BYTES = 1 << 20
_GZIP = 31  # zlib's word for the frame of gzip
# Of NDJSON: 1,400 MB/s and a thirteenth, where zlib gives 350 MB/s and a twelfth.
_LEVEL = 1


@dataclass(frozen=True, slots=True)
class File:
    """A finished file: `count` resources of `type`; of deletions the type is Bundle, and Patient of
    blocks, where headers count too.

    `bytes` and `sha256` (hexadecimal) are of the content, whether the file holds that as it is
    or, with `is_gzip`, under its name and `.gz`. `attempt` is of the job that wrote the part: what
    another writes of the same part has another name on the disk.
    """

    name: str
    type: str
    count: int
    bytes: int
    sha256: str
    is_deleted: bool = False
    is_gzip: bool = False
    attempt: str = ""

    def as_json(self) -> dict[str, Any]:
        """As a finished part keeps it; `file_of` reads it."""
        return asdict(self)

    @property
    def stored_name(self) -> str:
        """Its name in the folder."""
        name = self.name
        if self.attempt:
            stem, _, ending = name.rpartition(".")
            name = f"{stem}-{self.attempt}.{ending}"
        return f"{name}.gz" if self.is_gzip else name


def file_of(value: dict[str, Any]) -> File:
    """The file that `as_json` wrote."""
    return File(**value)


class Sheet(Protocol):
    """A file that is written from its beginning to its end. Close it, ended or not."""

    def add(self, lines: Sequence[bytes], /) -> None:
        """Append resources."""

    def add_piecewise(self, pieces: Iterable[bytes], /) -> None:
        """Append one resource, which is made while it is written."""

    def end(self) -> tuple[int, int, str]:
        """All is written, down to the disk: how many of what is counted, bytes, their SHA-256."""

    def close(self) -> None:
        """Let go of the file."""


@dataclass(frozen=True, slots=True)
class Sheets:
    """What the files of a part are: the `ending` of their names, how one is `opened` for a kind at
    a path, and whether what they hold is in gzip."""

    ending: str
    opened: Callable[[str, Path], Sheet]
    is_gzip: bool = False


def ndjson(form: Form) -> Sheets:
    """Files of NDJSON."""
    return Sheets("ndjson", lambda kind, path: Lines(path, form), form == "gzip")  # noqa: ARG005


class Lines:
    """NDJSON in a file, as it is or in gzip."""

    def __init__(self, path: Path, form: Form) -> None:
        # Records of persons: nobody but the server's own user reads them.
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        self._squeeze = isal_zlib.compressobj(_LEVEL, wbits=_GZIP) if form == "gzip" else None
        self._digest = hashlib.sha256()
        self._count = self._size = 0

    def add(self, lines: Sequence[bytes]) -> None:
        """Append resources, a line each."""
        self._count += len(lines)
        self._write(b"\n".join((*lines, b"")))

    def add_piecewise(self, pieces: Iterable[bytes]) -> None:
        """Append one line, which is made while it is written."""
        self._count += 1
        for piece in pieces:
            self._write(piece)
        self._write(b"\n")

    def end(self) -> tuple[int, int, str]:
        """All is written, down to the disk: how many lines, bytes, and their SHA-256."""
        if self._squeeze is not None:
            _write_all(self._file, self._squeeze.flush())
        os.fsync(self._file)
        return self._count, self._size, self._digest.hexdigest()

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._file)

    def _write(self, content: bytes) -> None:
        self._size += len(content)
        self._digest.update(content)
        if self._squeeze is not None:
            content = self._squeeze.compress(content)
        _write_all(self._file, content)


class PartFiles:
    """The files of part `number`, in a folder that is there. Close it, published or not.

    Of a job (`is_of_job`) no file takes the place of another, which may be in a manifest already:
    "SHALL NOT be altered once included" (the Bulk Data guide, of `allowPartialManifests`). In a
    folder of one export alone the names are plain.
    """

    def __init__(
        self, folder: Path, number: int, sheets: Sheets, *, is_of_job: bool = False
    ) -> None:
        self._folder = folder
        self._number = number
        self._sheets = sheets
        # Of this attempt alone: a worker that lost the job without knowing may still write its own.
        attempt = clock.new_id()
        self._unfinished = f".{attempt}{_UNFINISHED}"
        self._attempt = attempt if is_of_job else ""
        self._open: dict[str, Sheet] = {}

    def add(self, kind: str, lines: Sequence[bytes]) -> None:
        """Append resources to the file of a kind: a resource type, or one of those above."""
        self._of(kind).add(lines)

    def add_piecewise(self, kind: str, pieces: Iterable[bytes]) -> None:
        """Append one resource, which is made while it is written, to the file of a kind."""
        self._of(kind).add_piecewise(pieces)

    def publish(self) -> list[File]:
        """Bring all files to the disk, then give them their names."""
        finished = []
        for kind, sheet in sorted(self._open.items()):
            count, size, sha256 = sheet.end()
            is_deleted = kind == DELETED
            type_name = {DELETED: "Bundle", BLOCKS: "Patient"}.get(kind, kind)
            name, is_gzip = self._name(kind), self._sheets.is_gzip
            finished.append(
                File(name, type_name, count, size, sha256, is_deleted, is_gzip, self._attempt)
            )
        self.close()
        for one in finished:
            (self._folder / (one.name + self._unfinished)).replace(self._folder / one.stored_name)
        _sync_folder(self._folder)
        return finished

    def close(self) -> None:
        """Let go of the files; what is not published is left for `remove_unfinished`."""
        for sheet in self._open.values():
            sheet.close()
        self._open.clear()

    def _of(self, kind: str) -> Sheet:
        sheet = self._open.get(kind)
        if sheet is None:
            path = self._folder / (self._name(kind) + self._unfinished)
            sheet = self._open[kind] = self._sheets.opened(kind, path)
        return sheet

    def _name(self, kind: str) -> str:
        return f"{kind}.{self._number:06}.{self._sheets.ending}"


def stored(path: Path, start: int, length: int) -> Generator[bytes, None, None]:
    """`length` bytes of a file from `start` on, piece by piece."""
    with path.open("rb") as file:
        file.seek(start)
        while length and (piece := file.read(min(length, _CHUNK_BYTES))):
            yield piece
            length -= len(piece)


def inflated(path: Path, start: int, length: int) -> Generator[bytes, None, None]:
    """`length` bytes of the content of a file in gzip from `start` on, piece by piece.

    What comes before is inflated too, at 1 GB/s.
    """
    with path.open("rb") as file:
        for piece in _inflated(iter(lambda: file.read(_CHUNK_BYTES), b"")):
            shown = piece[start : start + length]
            start = max(0, start - len(piece))
            length -= len(shown)
            if shown:
                yield shown
            if not length:
                return


def make_folder(folder: Path) -> None:
    """A folder for the files of one export, closed to other users."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)


def remove_folder(folder: Path) -> None:
    """Remove the files of an export; no error if there are none."""
    shutil.rmtree(folder, ignore_errors=True)


def forget_uploads(folder: Path, moment: datetime) -> None:
    """Remove what was being uploaded to a server that was killed, before the moment."""
    for path in folder.glob("upload-*"):
        try:
            if path.stat().st_mtime < moment.timestamp():
                path.unlink()
        except FileNotFoundError:  # another worker was faster
            continue


def write_manifest(folder: Path, text: bytes) -> None:
    """`manifest.json`, whole or not at all."""
    path = folder / f"manifest.json{_UNFINISHED}"
    with path.open("wb") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    path.replace(folder / "manifest.json")
    _sync_folder(folder)


def remove_unfinished(folder: Path) -> None:
    """Remove what a worker that was killed left half written."""
    for path in folder.glob(f"*{_UNFINISHED}"):
        path.unlink(missing_ok=True)


def keep_only(folder: Path, stored_names: Container[str]) -> None:
    """Remove what attempts left that came to nothing: files that none of the names is of."""
    for path in folder.iterdir():
        if path.name not in stored_names:
            path.unlink(missing_ok=True)


def _inflated(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """The content of gzip, a piece of bounded size at a time."""
    stretch = isal_zlib.decompressobj(_GZIP)
    for piece in pieces:
        while piece:
            yield stretch.decompress(piece, _CHUNK_BYTES)
            piece = stretch.unconsumed_tail
    yield stretch.flush()


def _write_all(descriptor: int, content: bytes) -> None:
    view = memoryview(content)
    while view:
        view = view[os.write(descriptor, view) :]


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
