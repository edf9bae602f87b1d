"""How far an export is, its files, and its end.

https://hl7.org/fhir/uv/bulkdata/export.html#bulk-data-status-request
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from ehr_server import clock
from ehr_server.call import Answer
from ehr_server.errors import NotFound, Refusal
from ehr_server.fhir import json
from ehr_server.operations.given import own_job
from ehr_server.store import export, files, queue
from ehr_server.store.files import File, file_of

if TYPE_CHECKING:
    from ehr_server.call import Call
    from ehr_server.store.connect import Connection
    from ehr_server.store.queue import Job

_RETRY_AFTER_S = 1


def status(call: Call) -> Answer:
    """202 while it runs, then 200 and the manifest. Raises 404 for a job that is not there."""
    with call.store.connection() as connection:
        job = _job(call, connection)
        if job.state == queue.FAILED:
            raise Refusal(
                "The export failed; the log of the server says why. Start it anew.",
                vi="Xuất dữ liệu thất bại; nguyên nhân có trong nhật ký máy chủ. Hãy bắt đầu lại.",
            )
        if job.state != queue.DONE:
            headers = {"X-Progress": _progress(job), "Retry-After": str(_RETRY_AFTER_S)}
            return Answer(202, headers=headers)
        written = _files(connection, job)
    manifest = files.manifest(
        job.request["at"],
        job.request["url"],
        written,
        f"{call.base_url}/$export-status/{job.id}/",
        has_deleted=job.request["ask"]["since"] is not None,
    )
    expires = job.made + timedelta(hours=call.settings.export_keep_h)
    headers = {"Expires": clock.http_date(expires)}
    return Answer(200, json.write(manifest), headers, "application/json")


def download(call: Call) -> Answer:
    """One of the files that the manifest lists."""
    with call.store.connection() as connection:
        job = _job(call, connection)
        names = {file.name for file in _files(connection, job)} if job.state == queue.DONE else ()
    path = call.settings.export_path / job.id / call.parts["file"]
    if call.parts["file"] not in names or not path.is_file():
        raise NotFound("The export has no such file.", vi="Không có tệp này trong lần xuất.")
    return Answer(200, path, content_type="application/fhir+ndjson")


def cancel(call: Call) -> Answer:
    """The export ends, if it still runs, and its files are removed."""
    with call.store.connection() as connection:
        job = _job(call, connection)
        queue.cancel(connection, job.id)
    files.remove_folder(call.settings.export_path / job.id)
    return Answer(202)


def _job(call: Call, connection: Connection) -> Job:
    """The export named in the address, if it is the caller's own."""
    job = own_job(call, connection, export.KIND)
    if job is None:
        raise NotFound("There is no such export.", vi="Không có lần xuất dữ liệu này.")
    return job


def _files(connection: Connection, job: Job) -> list[File]:
    return [
        file_of(file) for part in queue.parts(connection, job.id) for file in part.done["files"]
    ]


def _progress(job: Job) -> str:
    """At most 100 characters, as the guide asks."""
    if job.state == queue.QUEUED:
        return "waiting for a worker"
    return f"{job.progress.get('resources', 0)} resources written"
