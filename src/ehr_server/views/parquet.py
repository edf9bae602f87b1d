"""Parquet: columns on the disk, which DuckDB, pandas and Spark read without parsing.

https://parquet.apache.org/docs/file-format/. The library is large (50 MB of memory, 0.2 s), so it
is loaded when the first file is opened, never by a server that writes none.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, BinaryIO

if TYPE_CHECKING:
    from collections.abc import Sequence

# What is held before it is written: larger groups read faster, but are memory of the writer.
GROUP_BYTES = 32 << 20
GROUP_ROWS = 100_000


@cache
def arrow() -> Any:
    """The library, with its part for Parquet."""
    import pyarrow
    import pyarrow.parquet

    return pyarrow


class ParquetFile:
    """One file of a fixed schema. Batches gather to groups of rows, each of which is compressed
    and written at once, so that memory does not grow with the file."""

    def __init__(self, file: BinaryIO, schema: Any) -> None:
        """`file` is open for writing and stays the caller's; `schema` is one of the library's."""
        self._file = file
        self._schema = schema
        self._writer = arrow().parquet.ParquetWriter(file, schema, compression="zstd")
        self._batches: list[Any] = []
        self._held_bytes = self._held_rows = 0
        self.rows = 0

    def add(self, columns: Sequence[Any]) -> None:
        """Append rows: an array of the library for each column, all of one length."""
        batch = arrow().RecordBatch.from_arrays(list(columns), schema=self._schema)
        self._batches.append(batch)
        self.rows += batch.num_rows
        self._held_rows += batch.num_rows
        self._held_bytes += batch.nbytes
        if self._held_bytes >= GROUP_BYTES or self._held_rows >= GROUP_ROWS:
            self._write()

    def finish(self) -> None:
        """Write what is held, and the footer without which no reader opens the file."""
        self._write()
        self._writer.close()

    def close(self) -> None:
        """Write no more: left to itself the library would, once the file is forgotten."""
        self._writer.is_open = False

    def _write(self) -> None:
        if self._batches:
            table = arrow().Table.from_batches(self._batches, schema=self._schema)
            self._writer.write_table(table, row_group_size=max(1, self._held_rows))
        self._batches.clear()
        self._held_bytes = self._held_rows = 0
