"""The JSON texts of a part, each with the place where it stands."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO

from ehr_server.intake.parts import Part, Reason, Stretch, cut, too_long, unreadable
from ehr_server.intake.sources import BOM, Source

_SKIP_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Item:
    """One JSON text: a line of a file (its place in the list), or a whole JSON file (line 1);
    `fault` says why there is none."""

    file: int
    line: int
    data: bytes
    fault: Reason | None = None

    @property
    def place(self) -> tuple[int, int]:
        return self.file, self.line


def items(part: Part, sources: Sequence[Source], most: int) -> Iterator[Item]:
    """The texts of a part, of `most` bytes; blank lines and a byte order mark are passed over."""
    for stretch in part.stretches:
        found = _items(stretch, sources[stretch.file], most)
        if part.only is None:
            yield from found
        else:
            yield from (item for item in found if item.place in part.only)


def whole(source: Source, index: int, most: int) -> Iterator[Item]:
    """The texts of a file, from its beginning to its end."""
    for part in cut([source], most):
        for item in items(part, [source], most):
            yield Item(index, item.line, item.data, item.fault)


def _items(stretch: Stretch, source: Source, most: int) -> Iterator[Item]:
    if stretch.fault is not None:
        yield Item(stretch.file, stretch.line, b"", stretch.fault)
    elif stretch.data is not None:
        yield from _of_bytes(stretch, source, most)
    else:
        try:
            with source.path.open("rb") as file:
                file.seek(stretch.start)
                yield from _of_file(stretch, source, (file, most))
        except OSError as error:
            fault = unreadable(error.strerror or str(error))
            yield Item(stretch.file, stretch.line, b"", fault)


def _of_bytes(stretch: Stretch, source: Source, most: int) -> Iterator[Item]:
    data = stretch.data or b""
    if source.is_whole:
        yield Item(stretch.file, 1, data.removeprefix(BOM))
        return
    for number, line in enumerate(data.split(b"\n"), stretch.line):
        yield from _line(stretch.file, number, line, most)


def _of_file(stretch: Stretch, source: Source, opened: tuple[BinaryIO, int]) -> Iterator[Item]:
    file, most = opened
    left, number = stretch.end - stretch.start, stretch.line
    if source.is_whole:
        data = file.read(left)
        yield Item(stretch.file, 1, data.removeprefix(BOM))
        return
    while left > 0:
        line = file.readline(min(left, most + 2))
        left -= len(line)
        if not line:
            fault = unreadable("it is shorter than it was when the import began")
            yield Item(stretch.file, number, b"", fault)
            return
        if len(line) > most and not line.endswith(b"\n"):
            left -= _passed_over(file, left)
            yield Item(stretch.file, number, b"", too_long(most))
        else:
            yield from _line(stretch.file, number, line, most)
        number += 1


def _passed_over(file: BinaryIO, left: int) -> int:
    """How many bytes it was to the end of a line that is not read."""
    count = 0
    while count < left and (piece := file.readline(min(left - count, _SKIP_BYTES))):
        count += len(piece)
        if piece.endswith(b"\n"):
            break
    return count


def _line(file: int, number: int, line: bytes, most: int) -> Iterator[Item]:
    text = line.strip().removeprefix(BOM)
    if len(text) > most:
        yield Item(file, number, b"", too_long(most))
    elif text:
        yield Item(file, number, text)
