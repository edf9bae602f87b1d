"""Resources as a Parquet table: a row for each, with what most questions begin with as columns.

For `_outputFormat=parquet` of an export without a view, an extension of ours; the columns are in
docs/guides/analysis.md. `json` is the resource as it is kept, for whatever else is asked.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ehr_server.fhir import json
from ehr_server.views.parquet import ParquetFile, arrow, opened, settled

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

# Resource (parsed) -> the reference of the patient in whose record it lies, or None.
PatientOf = Callable[[dict[str, Any]], str | None]

# A stored content begins so; see `fhir.bundle.identity`.
_HEAD = re.compile(
    rb'\{"resourceType":"([^"\\]+)","id":"([^"\\]+)","meta":\{"versionId":"([^"\\]+)",'
    rb'"lastUpdated":"([^"\\]+)"'
)
_Head = tuple[bytes | str | None, bytes | str | None, bytes | str | None, bytes | str | None]


class ResourceTable:
    """The table of one file: open it, add lines, and close it when all are there."""

    def __init__(self, path: Path, patient_of: PatientOf) -> None:
        """`path` is written anew. `patient_of` is asked of every resource."""
        self._file = opened(path)
        self._patient_of = patient_of
        self._table = ParquetFile(self._file, _schema())

    def add(self, lines: Sequence[bytes]) -> None:
        """Append resources, each as compact JSON. Raises OSError if the disk is full."""
        resources = [json.read_stored(line) for line in lines]
        heads = [
            found.groups() if (found := _HEAD.match(line)) else _head(resource)
            for line, resource in zip(lines, resources, strict=True)
        ]
        types, ids, versions, moments = zip(*heads, strict=True) if heads else ((), (), (), ())
        pa = arrow()
        text = pa.string()
        self._table.add(
            (
                pa.array(types, text),
                pa.array(ids, text),
                pa.array(versions, text),
                pa.array(moments, text).cast(_schema().field("lastUpdated").type),
                pa.array([self._patient_of(resource) for resource in resources], text),
                pa.array(lines, text),
            )
        )

    def close(self) -> tuple[int, int]:
        """Finish the file and bring it to the disk: its rows and bytes."""
        self._table.finish()
        return self._table.rows, settled(self._file)

    def abandon(self) -> None:
        """Let go of a file that is not wanted any more; it is left without its footer."""
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


def _head(resource: dict[str, Any]) -> _Head:
    """Of a content that does not begin as a stored one, such as one without `meta`."""
    meta = resource.get("meta", {})
    return (
        resource.get("resourceType"),
        resource.get("id"),
        meta.get("versionId"),
        meta.get("lastUpdated"),
    )
