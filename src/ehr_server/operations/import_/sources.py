"""Where resources to import come from: files and folders, line by line."""

import gzip
import os
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

ENDINGS = (".ndjson", ".jsonl", ".json", ".ndjson.gz", ".jsonl.gz", ".json.gz")


@dataclass(frozen=True, slots=True)
class Item:
    """One JSON text: a line of an NDJSON file, or a whole JSON file (line 1)."""

    file: Path
    line: int
    data: bytes


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


def items(path: Path) -> Iterator[Item]:
    """The JSON texts of one file; blank lines and a byte order mark are passed over.

    Raises OSError for a file that cannot be read, or ends before its gzip does.
    """
    try:
        yield from _items(path)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise OSError(f"{path} is broken: {error}") from error


def _items(path: Path) -> Iterator[Item]:
    with _open(path) as file:
        if ".json" in path.suffixes:
            yield Item(path, 1, file.read().removeprefix(b"\xef\xbb\xbf"))
            return
        for number, line in enumerate(file, 1):
            text = line.strip().removeprefix(b"\xef\xbb\xbf")
            if text:
                yield Item(path, number, text)


def _open(path: Path) -> BinaryIO:
    if path.suffix == ".gz":
        return cast(BinaryIO, gzip.open(path, "rb"))
    return path.open("rb")
