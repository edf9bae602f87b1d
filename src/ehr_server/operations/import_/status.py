"""How far an import is, what came of it, and its end.

https://github.com/smart-on-fhir/bulk-import/blob/master/import.md#bulk-data-import-status-request
"""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from ehr_server import clock
from ehr_server.call import Answer, Stream
from ehr_server.errors import NotFound, Refusal
from ehr_server.fhir import json
from ehr_server.operations.given import own_job
from ehr_server.store import import_ as kept
from ehr_server.store import queue
from ehr_server.store.files import remove_folder, stored

if TYPE_CHECKING:
    from pathlib import Path

    from ehr_server.call import Call
    from ehr_server.store.connect import Connection
    from ehr_server.store.queue import Job

_RETRY_AFTER_S = 1
_NDJSON = "application/fhir+ndjson"
_REPORT = re.compile(r"errors-[0-9]{6}\.ndjson")


def status(call: Call) -> Answer:
    """202 while it runs, then 200 and what came of it. Raises 404 for a job that is not there."""
    with call.store.connection() as connection:
        job = _job(call, connection)
        if job.state == queue.FAILED:
            raise Refusal(
                job.progress.get("why")
                or "The import failed; the log of the server says why. Start it anew: what is "
                "stored already is left as it is.",
                vi=job.progress.get("why_vi")
                or "Nhập dữ liệu thất bại; nguyên nhân có trong nhật ký máy chủ. Hãy bắt đầu lại: "
                "dữ liệu đã lưu được giữ nguyên.",
            )
        if job.state != queue.DONE:
            headers = {"X-Progress": progress(job), "Retry-After": str(_RETRY_AFTER_S)}
            return Answer(202, headers=headers)
        counts = kept.counts_by_file(connection, job.id)
        sources = kept.sources(connection, job.id)
    expires = job.ended + timedelta(hours=call.settings.export_keep_h)
    headers = {"Expires": clock.http_date(expires)}
    result = _result(call, job, sources, counts)
    return Answer(200, json.write(result), headers, "application/json")


def download(call: Call) -> Answer:
    """The findings about one file, as OperationOutcomes."""
    with call.store.connection() as connection:
        job = _job(call, connection)
    name = call.parts["file"]
    path = _folder(call, job) / name
    if job.state != queue.DONE or not _REPORT.fullmatch(name) or not path.is_file():
        raise NotFound("The import has no such report.", vi="Không có báo cáo này.")
    size = path.stat().st_size
    return Answer(200, Stream(size, stored(path, 0, size)), content_type=_NDJSON)


def cancel(call: Call) -> Answer:
    """The import ends, if it still runs; what is stored stays, its reports are removed."""
    with call.store.connection() as connection:
        job = _job(call, connection)
        queue.cancel(connection, job.id)
    remove_folder(_folder(call, job))
    return Answer(202)


def progress(job: Job) -> str:
    """At most 100 characters: the share that is read, the count, the rate, what is left."""
    now = job.progress
    if job.state == queue.QUEUED or "size" not in now:
        return "waiting for a worker"
    count, seconds = now["stored"] + now["same"], now["seconds"]
    share = min(now["read"] / now["size"], 1.0) if now["size"] else 1.0
    told = f"{share:.0%}, {count} resources, {now['refused']} lines refused"
    if seconds >= 1 and share:
        told += f", {count / seconds:.0f}/s, {seconds / share - seconds:.0f} s left"
    return told


def _result(
    call: Call, job: Job, sources: list[dict[str, Any]], counts: dict[int, tuple[int, ...]]
) -> dict[str, Any]:
    folder, address = _folder(call, job), f"{call.base_url}/$import-status/{job.id}"
    output, error = [], []
    for number, one in enumerate(sources):
        stored, same, refused, removed = counts.get(number, (0, 0, 0, 0))
        here = {"type": "OperationOutcome", "inputUrl": one["name"], "input": one["name"]}
        more = {"stored": stored, "unchanged": same}
        output.append({**here, "count": stored + same, "extension": more})
        report = f"errors-{number:06}.ndjson"
        lines = _lines(folder / report)
        if refused or removed or lines:
            error.append({**here, "count": lines, "url": f"{address}/{report}"})
    return {
        "transactionTime": job.request["at"],
        "request": job.request["url"],
        "requiresAccessToken": False,
        "output": output,
        "error": error,
        "extension": {
            name: job.progress[name]
            for name in ("stored", "same", "refused", "removed", "dangling", "is_stopped")
            if name in job.progress
        },
    }


def _lines(path: Path) -> int:
    if not path.is_file():
        return 0
    with path.open("rb") as file:
        return sum(1 for _ in file)


def _folder(call: Call, job: Job) -> Path:
    return call.settings.import_path / job.id


def _job(call: Call, connection: Connection) -> Job:
    job = own_job(call, connection, kept.KIND)
    if job is None:
        raise NotFound("There is no such import.", vi="Không có lần nhập dữ liệu này.")
    return job
