"""Files cut into parts, each of stretches of whole lines; a part is what one process does at once,
and what is done again after a kill.

Plain files are looked through for line ends alone, and read by who does the part. What is
compressed can be read from its beginning only: it is inflated here, and the part carries its
lines. Neither ever holds more than a part, or a line of the longest allowed.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from ehr_server.intake.sources import Source

PART_BYTES = 2 << 20  # 1,500 to 6,000 resources, about half a second
STRETCHES_MAX = 500  # small files of one part
_BLOCK_BYTES = 1 << 20
_GZIP_FRAME = 16 + zlib.MAX_WBITS

Reason = tuple[str, str]  # why something cannot be read, in English and in Vietnamese


@dataclass(frozen=True, slots=True)
class Stretch:
    """Bytes of a file (its place in the list): from `start` up to `end`, the first being of line
    `line`. `data` are the bytes themselves where they came compressed; `fault` says why there are
    none."""

    file: int
    start: int
    end: int
    line: int
    data: bytes | None = None
    fault: Reason | None = None

    def as_json(self) -> list[Any]:
        return [self.file, self.start, self.end, self.line, self.fault]


@dataclass(frozen=True, slots=True)
class Part:
    """A part: `read` are the bytes of the files it takes, compressed ones as they lie there.

    Of a part that is taken up again, the lines `only`, as (file, line).
    """

    number: int
    stretches: tuple[Stretch, ...]
    read: int
    only: frozenset[tuple[int, int]] | None = None


@dataclass(slots=True)
class _Gathered:
    """Stretches on their way to a part."""

    number: int = 0
    stretches: list[Stretch] = field(default_factory=list)
    size: int = 0
    read: int = 0

    def add(self, stretch: Stretch, read: int) -> None:
        self.stretches.append(stretch)
        self.size += stretch.end - stretch.start
        self.read += read

    @property
    def is_full(self) -> bool:
        # A stretch ends with a line, so it is somewhat less than a part is meant to be.
        return self.size >= PART_BYTES * 3 // 4 or len(self.stretches) >= STRETCHES_MAX

    def taken(self) -> Part:
        part = Part(self.number, tuple(self.stretches), self.read)
        self.number += 1
        self.stretches, self.size, self.read = [], 0, 0
        return part


def cut(sources: Sequence[Source], line_bytes_max: int) -> Iterator[Part]:
    """The parts of the files, the same each time as long as the files are.

    What cannot be read becomes a stretch that says why: nothing is raised.
    """
    gathered = _Gathered()
    for index, source in enumerate(sources):
        for stretch, read in _stretches(index, source, line_bytes_max):
            gathered.add(stretch, read)
            if gathered.is_full:
                yield gathered.taken()
    if gathered.stretches:
        yield gathered.taken()


def _stretches(index: int, source: Source, most: int) -> Iterator[tuple[Stretch, int]]:
    try:
        if source.is_gzip:
            yield from _inflated(index, source, most)
        elif source.is_whole:
            size = source.path.stat().st_size
            fault = too_long(most) if size > most else None
            yield Stretch(index, 0, 0 if fault else size, 1, fault=fault), size
        else:
            yield from _ranges(index, source)
    except OSError as error:
        yield Stretch(index, 0, 0, 1, fault=unreadable(error.strerror or str(error))), 0


def _ranges(index: int, source: Source) -> Iterator[tuple[Stretch, int]]:
    """Stretches of whole lines, found without keeping any of them."""
    start = at = 0
    line = lines = 1
    with source.path.open("rb") as file:
        while block := file.read(_BLOCK_BYTES):
            if at + len(block) - start >= PART_BYTES:
                end = block.rfind(b"\n") + 1
                if end:
                    until = at + end
                    yield Stretch(index, start, until, line), until - start
                    line = lines + block.count(b"\n")
                    start = until
            lines += block.count(b"\n")
            at += len(block)
    if at > start:
        yield Stretch(index, start, at, line), at - start


def _inflated(index: int, source: Source, most: int) -> Iterator[tuple[Stretch, int]]:
    """Stretches with their bytes. What comes before the place where gzip breaks is kept."""
    lines = _Lines(index, most, is_whole=source.is_whole)
    told = 0
    with source.path.open("rb") as file:
        try:
            for data in _gunzipped(file):
                for stretch in lines.take(data):
                    yield stretch, file.tell() - told
                    told = file.tell()
        except zlib.error as error:
            broken: str | None = str(error)
        except EOFError:
            broken = "it ends too early"
        else:
            broken = None
        read = file.tell() - told
    for stretch in lines.end(broken):
        yield stretch, read
        read = 0


def _gunzipped(file: BinaryIO) -> Iterator[bytes]:
    """All members, one after the other: https://www.rfc-editor.org/rfc/rfc1952."""
    member = zlib.decompressobj(_GZIP_FRAME)
    is_begun = False
    while block := file.read(_BLOCK_BYTES // 16):
        while block:
            if member.eof:
                if not block.strip(b"\0"):  # what a tape is filled up with
                    break
                member = zlib.decompressobj(_GZIP_FRAME)
            is_begun = True
            yield member.decompress(block, _BLOCK_BYTES)
            block = member.unused_data if member.eof else member.unconsumed_tail
    if not is_begun:
        raise EOFError
    while not member.eof:
        rest = member.decompress(b"", _BLOCK_BYTES)  # all was taken in, not all given out
        if not rest:
            raise EOFError
        yield rest


class _Lines:
    """Bytes that come in pieces, given out as stretches of whole lines."""

    def __init__(self, index: int, most: int, *, is_whole: bool) -> None:
        self._index = index
        self._most = most
        self._is_whole = is_whole
        self._held = bytearray()
        self._line = 1
        self._is_long = False  # the line that comes is over the limit, and dropped

    def take(self, data: bytes) -> Iterator[Stretch]:
        if self._is_long:
            end = -1 if self._is_whole else data.find(b"\n")
            if end < 0:
                return
            self._is_long, self._line = False, self._line + 1
            data = data[end + 1 :]
        self._held += data
        end = 0 if self._is_whole else self._held.rfind(b"\n") + 1
        is_long = len(self._held) - end > self._most
        if end and (is_long or len(self._held) >= PART_BYTES):
            yield self._given(end)
        if is_long:
            yield Stretch(self._index, 0, 0, self._line, fault=too_long(self._most))
            self._held.clear()
            self._is_long = True

    def end(self, broken: str | None) -> Iterator[Stretch]:
        """What is left; of a file that broke, its last line is not whole."""
        end = len(self._held) if broken is None else self._held.rfind(b"\n") + 1
        if end and not (broken and self._is_whole):
            yield self._given(end)
        if broken is not None:
            yield Stretch(self._index, 0, 0, self._line, fault=unreadable(f"gzip: {broken}"))

    def _given(self, end: int) -> Stretch:
        data = bytes(self._held[:end])
        del self._held[:end]
        stretch = Stretch(self._index, 0, end, self._line, data)
        self._line += data.count(b"\n")
        return stretch


def too_long(most: int) -> Reason:
    """Of a line, or of a file that is one text."""
    return (
        f"It is longer than {most} bytes, the most that a line or a JSON file may have here (the "
        "setting import_line_bytes_max).",
        f"Dài quá {most} byte, mức tối đa của một dòng hay một tệp JSON (thiết lập "
        "import_line_bytes_max).",
    )


def unreadable(why: str) -> Reason:
    """Of a file that cannot be read, or not to its end."""
    return (
        f"The file is broken, or cannot be read from here on: {why}.",
        f"Tệp hỏng, hoặc không đọc được từ đây: {why}.",
    )
