"""The files of an export. https://hl7.org/fhir/uv/bulkdata/export.html#bulk-data-output-file-request

They lie on the disk as gzip: who accepts that is sent the file as it is, who does not its content.
Of either a range can be asked for, so that a link that breaks costs only what is missing.
"""

from __future__ import annotations

import re
from pathlib import PurePath
from typing import TYPE_CHECKING

from ehr_server.call import Answer, Stream
from ehr_server.errors import NotFound
from ehr_server.fhir import ranges
from ehr_server.fhir.media_types import accepts_gzip
from ehr_server.operations.export.status import the_job
from ehr_server.store import files, queue
from ehr_server.store.files import File, file_of

if TYPE_CHECKING:
    from pathlib import Path

    from ehr_server.call import Call

_NUMBER = re.compile(r"\.([0-9]{6,9})\.[a-z]+", re.ASCII)  # of the part, in a name
_TYPES = {
    ".ndjson": "application/fhir+ndjson",
    ".parquet": "application/vnd.apache.parquet",
    ".csv": "text/csv; charset=utf-8",
    ".json": "application/json",
}


def download(call: Call) -> Answer:
    """One of the files that a manifest lists, whole or a range of it; 304 for who has it.

    Raises `NotFound`, and `RangeNotSatisfiable`.
    """
    with call.store.connection() as connection:
        job = the_job(call, connection)
        found = _NUMBER.search(call.parts["file"])
        number = int(found.group(1)) if found is not None else -1
        parts = queue.parts(connection, job.id, range(number, number + 1))
    named = (file_of(file) for part in parts for file in part.done["files"])
    file = next((one for one in named if one.name == call.parts["file"]), None)
    folder = call.settings.export_path / job.id
    if file is None or not (folder / file.stored_name).is_file():
        raise NotFound("The export has no such file.", vi="Không có tệp này trong lần xuất.")
    return _answer(call, folder, file)


def _answer(call: Call, folder: Path, file: File) -> Answer:
    headers = call.request.headers
    as_gzip = file.is_gzip and accepts_gzip(headers.get("accept-encoding", ""))
    tag = f'"{file.sha256}{"-gzip" if as_gzip else ""}"'
    shown = {"ETag": tag, "Accept-Ranges": "bytes", "Vary": "Accept-Encoding"}
    if _is_known(headers.get("if-none-match", ""), tag):
        return Answer(304, None, shown)
    size = file.bytes
    if as_gzip:
        shown["Content-Encoding"] = "gzip"
        size = (folder / file.stored_name).stat().st_size
    part = ranges.asked(headers, size, tag) if call.request.method == "GET" else None
    start, end = part or (0, size)
    if part is not None:
        shown["Content-Range"] = f"bytes {start}-{end - 1}/{size}"
    stored = folder / file.stored_name
    type_ = _TYPES[PurePath(file.name).suffix]
    pieces_of = files.stored if as_gzip == file.is_gzip else files.inflated
    pieces = pieces_of(stored, start, end - start)
    return Answer(206 if part else 200, Stream(end - start, pieces), shown, type_)


def _is_known(known: str, tag: str) -> bool:
    """By If-None-Match, which compares weakly: https://www.rfc-editor.org/rfc/rfc9110#section-13.1.2"""
    tags = {one.strip().removeprefix("W/") for one in known.split(",")}
    return bool(tags & {"*", tag})
