"""Where resources to import come from: files and folders."""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ENDINGS = (".ndjson", ".jsonl", ".json", ".ndjson.gz", ".jsonl.gz", ".json.gz")
BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Source:
    """A file to import, `name` as reports call it; `size` and `changed` tell whether it is still
    the same."""

    path: Path
    name: str
    size: int
    changed: int  # nanoseconds

    @property
    def is_gzip(self) -> bool:
        return self.path.suffix == ".gz"

    @property
    def is_whole(self) -> bool:
        """Whether it is one JSON text, and not one a line."""
        return ".json" in self.path.suffixes

    def as_json(self) -> dict[str, Any]:
        """As a job keeps it; `source_of` reads it."""
        return {
            "path": str(self.path),
            "name": self.name,
            "size": self.size,
            "changed": self.changed,
        }


def source_of(value: dict[str, Any]) -> Source:
    """The source that `as_json` wrote."""
    return Source(Path(value["path"]), value["name"], value["size"], value["changed"])


def source(path: Path, name: str = "") -> Source:
    """A file as it is now. Raises OSError."""
    found = path.stat()
    return Source(path.absolute(), name or str(path), found.st_size, found.st_mtime_ns)


def files(paths: Iterable[Path]) -> list[Path]:
    """The files to read, those of folders sorted by name. Raises OSError for what cannot be read.

    The manifest of an export, which lies beside its files, is no resource and left out.
    """
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            found += sorted(_below(path))
        elif path.is_file():
            found.append(path)
        else:
            raise FileNotFoundError(f"there is no {path}")
    return found


def _below(folder: Path) -> Iterator[Path]:
    for place, _, names in os.walk(folder, onerror=_raise):
        for name in names:
            if name.endswith(ENDINGS) and name != "manifest.json":
                yield Path(place, name)


def _raise(error: OSError) -> None:
    raise error
