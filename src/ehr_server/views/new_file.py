"""A file that is written once, from its beginning to its end; then its digest is known."""

from __future__ import annotations

import hashlib
import io
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path


class NewFile(io.RawIOBase):
    """A file, written anew, that nobody but the server's own user reads: it holds records of
    persons. Close it, ended or not."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        self._digest = hashlib.sha256()
        self._size = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        """All of the data. Raises OSError if the disk is full."""
        view = memoryview(data).cast("B")
        self._digest.update(view)
        self._size += len(view)
        rest = view
        while rest:
            rest = rest[os.write(self._file, rest) :]
        return len(view)

    def tell(self) -> int:
        return self._size

    def end(self) -> tuple[int, str]:
        """All is written, down to the disk: how many bytes, and their SHA-256."""
        os.fsync(self._file)
        return self._size, self._digest.hexdigest()

    def close(self) -> None:
        """Let go of the file."""
        if not self.closed:
            os.close(self._file)
        super().close()
