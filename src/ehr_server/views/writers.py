"""Rows of a view as a file or a body: CSV, NDJSON, JSON, Parquet.

https://sql-on-fhir.org/ig/OperationDefinition-ViewDefinitionRun.html. A writer takes batches of
rows and keeps none but the group of a Parquet file that is not full yet.
"""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, BinaryIO, Literal, Protocol, cast

from ehr_server.fhir import json
from ehr_server.views.new_file import NewFile
from ehr_server.views.parquet import ParquetFile, arrow
from ehr_server.views.sql_types import arrow_type, converter, text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from ehr_server.views.column import Column
    from ehr_server.views.compile import Row
    from ehr_server.views.view import View

Format = Literal["csv", "ndjson", "json", "parquet"]
BATCH_ROWS = 2_000

# What each is sent as; a file has the name of its format for an ending.
MEDIA_TYPES: dict[Format, str] = {
    "csv": "text/csv; charset=utf-8",
    "ndjson": "application/x-ndjson",
    "json": "application/json",
    "parquet": "application/vnd.apache.parquet",
}


class Writer(Protocol):
    """Takes rows, then is finished once. Close it, finished or not; the file that it writes to
    stays its caller's."""

    def add(self, rows: Sequence[Row]) -> None:
        """Append rows."""

    def finish(self) -> None:
        """Write what belongs to the end."""

    def close(self) -> None:
        """Write no more."""


@dataclass(frozen=True, slots=True)
class Shape:
    """What to write: the columns, in a format; `has_header`: CSV begins with their names."""

    columns: tuple[Column, ...]
    format: Format
    has_header: bool = True

    def writer(self, file: BinaryIO) -> Writer:
        """A writer to a file that is open."""
        return _WRITERS[self.format](self, file)


class TableFile:
    """The rows that a view makes of resources, in a file for a part of an export: open it, add
    resources, end it. Close it, ended or not."""

    def __init__(self, path: Path, view: View, shape: Shape) -> None:
        """`path` is written anew, closed to other users."""
        self._file = NewFile(path)
        self._view = view
        self._writer = shape.writer(cast(BinaryIO, self._file))
        self._rows = 0

    def add(self, lines: Sequence[bytes]) -> None:
        """Append the rows of resources, each as compact JSON.

        Raises OSError if the disk is full, and `Unprocessable` as `View.rows`.
        """
        rows = self._view.rows(map(json.read_stored, lines))
        while batch := list(islice(rows, BATCH_ROWS)):
            self._writer.add(batch)
            self._rows += len(batch)

    def add_piecewise(self, pieces: Iterable[bytes]) -> None:
        """Append the rows of one resource that comes in pieces; it is held whole."""
        self.add([b"".join(pieces)])

    def end(self) -> tuple[int, int, str]:
        """Finish the file and bring it to the disk: its rows, bytes and their SHA-256."""
        self._writer.finish()
        return (self._rows, *self._file.end())

    def close(self) -> None:
        """Let go of the file."""
        self._writer.close()
        self._file.close()


def pieces(shape: Shape, rows: Iterable[Row]) -> Iterator[bytes]:
    """The rows as a body, piece by piece: each next of them asks for the next rows."""
    drain = _Drain()
    writer = shape.writer(cast(BinaryIO, drain))
    several = iter(rows)
    try:
        while batch := list(islice(several, BATCH_ROWS)):
            writer.add(batch)
            if piece := drain.taken():
                yield piece
        writer.finish()
    finally:
        writer.close()
    yield drain.taken()


class _Drain(io.RawIOBase):
    """Bytes that are taken away as soon as they are written."""

    def __init__(self) -> None:
        super().__init__()
        self._held = bytearray()
        self._taken = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._held += data
        return len(data)

    def tell(self) -> int:
        return self._taken + len(self._held)

    def taken(self) -> bytes:
        found = bytes(self._held)
        self._taken += len(found)
        self._held.clear()
        return found


class _Csv:
    """https://www.rfc-editor.org/rfc/rfc4180; lines end with CRLF. A list, and what has elements,
    is its JSON."""

    def __init__(self, shape: Shape, file: BinaryIO) -> None:
        self._file = file
        if shape.has_header:
            self.add([tuple(column.name for column in shape.columns)])

    def add(self, rows: Sequence[Row]) -> None:
        lines = io.StringIO(newline="")
        csv.writer(lines).writerows([text(value) for value in row] for row in rows)
        self._file.write(lines.getvalue().encode())

    def finish(self) -> None:
        """There is nothing at the end."""

    def close(self) -> None:
        """Nothing is held."""


class _Ndjson:
    """https://github.com/ndjson/ndjson-spec: an object a line, null where there is no value."""

    def __init__(self, shape: Shape, file: BinaryIO) -> None:
        self._names = [column.name for column in shape.columns]
        self._file = file

    def add(self, rows: Sequence[Row]) -> None:
        names = self._names
        lines = [json.write(dict(zip(names, row, strict=True))) for row in rows]
        self._file.write(b"".join([line + b"\n" for line in lines]))

    def finish(self) -> None:
        """There is nothing at the end."""

    def close(self) -> None:
        """Nothing is held."""


class _Json:
    """An array of objects."""

    def __init__(self, shape: Shape, file: BinaryIO) -> None:
        self._names = [column.name for column in shape.columns]
        self._file = file
        self._before = b"["

    def add(self, rows: Sequence[Row]) -> None:
        names = self._names
        for row in rows:
            self._file.write(self._before + json.write(dict(zip(names, row, strict=True))))
            self._before = b",\n"

    def finish(self) -> None:
        self._file.write(b"[]" if self._before == b"[" else b"]")

    def close(self) -> None:
        """Nothing is held."""


class _Parquet:
    def __init__(self, shape: Shape, file: BinaryIO) -> None:
        fields = [(column.name, arrow_type(column)) for column in shape.columns]
        self._converters = [converter(column) for column in shape.columns]
        self._file = ParquetFile(file, arrow().schema(fields))

    def add(self, rows: Sequence[Row]) -> None:
        if rows:
            columns = zip(*rows, strict=True)
            pairs = zip(self._converters, columns, strict=True)
            self._file.add([convert(values) for convert, values in pairs])

    def finish(self) -> None:
        self._file.finish()

    def close(self) -> None:
        self._file.close()


_WRITERS: dict[Format, type[_Csv] | type[_Ndjson] | type[_Json] | type[_Parquet]] = {
    "csv": _Csv,
    "ndjson": _Ndjson,
    "json": _Json,
    "parquet": _Parquet,
}
