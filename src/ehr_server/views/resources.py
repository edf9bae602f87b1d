"""Resources as a Parquet table: a row for each, with what most questions begin with as columns.

For `_outputFormat=parquet` of an export without a view, an extension of ours; the columns are in
docs/guides/analysis.md. `json` is the resource as it is kept, for whatever else is asked.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from ehr_server.fhir import json
from ehr_server.views.new_file import NewFile
from ehr_server.views.parquet import ParquetFile, arrow

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

# Resource (parsed) -> the reference of the patient in whose record it lies, or None.
PatientOf = Callable[[dict[str, Any]], str | None]

# A stored content begins so; see `fhir.bundle.identity`.
_HEAD = re.compile(
    rb'\{"resourceType":"([^"\\]+)","id":"([^"\\]+)","meta":\{"versionId":"([^"\\]+)",'
    rb'"lastUpdated":"([^"\\]+)"'
)


class ResourceTable:
    """The table of one file: open it, add resources, end it when all are there. Close it, ended
    or not."""

    def __init__(self, path: Path, patient_of: PatientOf) -> None:
        """`path` is written anew. `patient_of` is asked of every resource."""
        self._file = NewFile(path)
        self._patient_of = patient_of
        self._table = ParquetFile(cast(BinaryIO, self._file), _schema())

    def add(self, lines: Sequence[bytes]) -> None:
        """Append resources, each as compact JSON. Raises OSError if the disk is full."""
        found = [self._row(line) for line in lines]
        types, ids, versions, moments, patients = zip(*found, strict=True) if found else [()] * 5
        pa = arrow()
        text = pa.string()
        self._table.add(
            (
                pa.array(types, text),
                pa.array(ids, text),
                pa.array(versions, text),
                pa.array(moments, text).cast(_schema().field("lastUpdated").type),
                pa.array(patients, text),
                pa.array(lines, text),
            )
        )

    def _row(self, line: bytes) -> tuple[bytes | str | None, ...]:
        """The columns but the last. No resource outlives its line: a thousand parsed at once keep
        the collector of garbage busy, which costs three times what parsing does."""
        resource = json.read_stored(line)
        found = _HEAD.match(line)
        head = found.groups() if found is not None else _head(resource)
        return (*head, self._patient_of(resource))

    def add_piecewise(self, pieces: Iterable[bytes]) -> None:
        """Append one resource that comes in pieces; it is held whole."""
        self.add([b"".join(pieces)])

    def end(self) -> tuple[int, int, str]:
        """Finish the file and bring it to the disk: its rows, bytes and their SHA-256."""
        self._table.finish()
        return (self._table.rows, *self._file.end())

    def close(self) -> None:
        """Let go of the file."""
        self._table.close()
        self._file.close()


def _schema() -> Any:
    pa = arrow()
    text = pa.string()
    return pa.schema(
        [
            ("resourceType", text),
            ("id", text),
            ("versionId", text),
            ("lastUpdated", pa.timestamp("us", tz="UTC")),
            ("patient", text),
            ("json", text),
        ]
    )


def _head(resource: dict[str, Any]) -> tuple[str | None, ...]:
    """Of a content that does not begin as a stored one, such as one without `meta`."""
    meta = resource.get("meta", {})
    return (
        resource.get("resourceType"),
        resource.get("id"),
        meta.get("versionId"),
        meta.get("lastUpdated"),
    )
