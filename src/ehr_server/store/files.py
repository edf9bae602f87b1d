"""The files of an export: NDJSON, one resource a line, seen by others only when they are whole.

https://hl7.org/fhir/uv/bulkdata/export.html#response---complete-status. A part writes one file
for each type it meets, under a name that says it is not finished; then all are on disk, then they
get their names.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO

from ehr_server import clock

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime
    from pathlib import Path

_UNFINISHED = ".unfinished"


@dataclass(frozen=True, slots=True)
class File:
    """A finished file: `count` resources of `type` in `bytes`; of deletions the type is Bundle."""

    name: str
    type: str
    count: int
    bytes: int
    is_deleted: bool = False

    def as_json(self) -> dict[str, Any]:
        """As a finished part keeps it; `file_of` reads it."""
        return {
            "name": self.name,
            "type": self.type,
            "count": self.count,
            "bytes": self.bytes,
            "is_deleted": self.is_deleted,
        }


def file_of(value: dict[str, Any]) -> File:
    """The file that `as_json` wrote."""
    return File(**value)


class PartFiles:
    """The files of part `number`, in a folder that is there. Close it, published or not."""

    def __init__(self, folder: Path, number: int) -> None:
        self._folder = folder
        self._number = number
        # Of this attempt alone: a worker that lost the job without knowing may still write its own.
        self._unfinished = f".{clock.new_id()}{_UNFINISHED}"
        self._open: dict[str, tuple[BinaryIO, int]] = {}

    def add(self, kind: str, lines: Sequence[bytes]) -> None:
        """Append lines to the file of a kind: a resource type, or `deleted`."""
        file, count = self._open.get(kind) or (self._new(kind), 0)
        file.write(b"\n".join(lines))
        file.write(b"\n")
        self._open[kind] = (file, count + len(lines))

    def add_piecewise(self, kind: str, pieces: Iterable[bytes]) -> None:
        """Append one line, which is made while it is written, to the file of a kind."""
        file, count = self._open.get(kind) or (self._new(kind), 0)
        self._open[kind] = (file, count + 1)
        for piece in pieces:
            file.write(piece)
        file.write(b"\n")

    def publish(self) -> list[File]:
        """Bring all files to the disk, then give them their names."""
        finished = []
        for kind, (file, count) in sorted(self._open.items()):
            file.flush()
            os.fsync(file.fileno())
            is_deleted = kind == "deleted"
            type_name = "Bundle" if is_deleted else kind
            finished.append(File(self._name(kind), type_name, count, file.tell(), is_deleted))
        self.close()
        for one in finished:
            (self._folder / (one.name + self._unfinished)).replace(self._folder / one.name)
        _sync_folder(self._folder)
        return finished

    def close(self) -> None:
        """Let go of the files; what is not published is left for `remove_unfinished`."""
        for file, _ in self._open.values():
            file.close()
        self._open.clear()

    def _new(self, kind: str) -> BinaryIO:
        # Records of persons: nobody but the server's own user reads them.
        path = self._folder / (self._name(kind) + self._unfinished)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        return os.fdopen(descriptor, "wb")

    def _name(self, kind: str) -> str:
        return f"{kind}.{self._number:06}.ndjson"


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


def write_manifest(folder: Path, content: bytes) -> None:
    """`manifest.json`, whole or not at all."""
    path = folder / f"manifest.json{_UNFINISHED}"
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    path.replace(folder / "manifest.json")
    _sync_folder(folder)


def remove_unfinished(folder: Path) -> None:
    """Remove what a worker that was killed left half written."""
    for path in folder.glob(f"*{_UNFINISHED}"):
        path.unlink(missing_ok=True)


def manifest(
    at: str, request: str, files: Iterable[File], address: str, *, has_deleted: bool
) -> dict[str, Any]:
    """The manifest of an export as of the instant `at`; files lie below `address`."""
    output: list[dict[str, Any]] = []
    deleted: list[dict[str, Any]] = []
    for file in files:
        entry = {"type": file.type, "url": f"{address}{file.name}", "count": file.count}
        (deleted if file.is_deleted else output).append(entry)
    found = {
        "transactionTime": at,
        "request": request,
        "requiresAccessToken": False,
        "output": output,
        "error": [],
    }
    return found | {"deleted": deleted} if has_deleted else found


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
