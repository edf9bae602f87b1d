"""How far an export is, and its end.

https://hl7.org/fhir/uv/bulkdata/export.html#bulk-data-status-request
"""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING

from ehr_server import clock
from ehr_server.call import Answer
from ehr_server.errors import NotFound
from ehr_server.fhir import json
from ehr_server.fhir.outcome import operation_outcome
from ehr_server.issue import Issue
from ehr_server.operations.given import own_job
from ehr_server.store import export, files, queue
from ehr_server.store.files import NO_ROOM, File, file_of
from ehr_server.store.manifest import Heading, manifest
from ehr_server.store.progress import progress_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ehr_server.call import Call
    from ehr_server.store.connect import Connection
    from ehr_server.store.queue import Job

_RETRY_AFTER_MAX_S = 60
_NUMBER = re.compile(r"[1-9][0-9]{0,5}", re.ASCII)
PAGE_PARTS = 50  # of a manifest that may come in pages


def status(call: Call) -> Answer:
    """202 while it runs, then 200 and the manifest, or 500 if it failed; all as 200 and a header
    where the kick-off asked for that. Raises 404 for a job that is not there, and a page of the
    manifest that is not there yet."""
    with call.store.connection() as connection:
        job = the_job(call, connection)
        files_of = [
            (part.number, [file_of(file) for file in part.done["files"]])
            for part in queue.parts(connection, job.id, _shown(call, job))
        ]
    answer = _answer(call, job, dict(files_of))
    if not job.request["is_separate"]:
        return answer
    headers = {
        **answer.headers,
        "X-Export-Status": f"{answer.status} {HTTPStatus(answer.status).phrase}",
    }
    return replace(answer, status=200, headers=headers)


def cancel(call: Call) -> Answer:
    """The export ends, if it still runs, and its files are removed."""
    with call.store.connection() as connection:
        job = the_job(call, connection)
        queue.cancel(connection, job.id)
    files.remove_folder(call.settings.export_path / job.id)
    return Answer(202)


def the_job(call: Call, connection: Connection) -> Job:
    """The export named in the address, if it is the caller's own. Raises `NotFound`."""
    job = own_job(call, connection, export.KIND)
    if job is None:
        raise NotFound("There is no such export.", vi="Không có lần xuất dữ liệu này.")
    return job


def _answer(call: Call, job: Job, files_of: Mapping[int, Sequence[File]]) -> Answer:
    if job.state == queue.FAILED:
        issue = _failed(job)
        outcome = operation_outcome([issue], call.language)
        return Answer(500, json.write(outcome))
    if job.state == queue.DONE:
        expires = job.ended + timedelta(hours=call.settings.export_keep_h)
        headers = {"Expires": clock.http_date(expires)}
    else:
        headers = {"X-Progress": _progress(job), "Retry-After": str(_retry_after_s(job))}
    shown = _manifest(call, job, files_of)
    if job.state == queue.DONE:
        return Answer(200, shown, headers, "application/json")
    return Answer(202, shown, headers, "application/json")


def _manifest(call: Call, job: Job, files_of: Mapping[int, Sequence[File]]) -> bytes | None:
    """The manifest, or the page of it that is asked for; None while there is nothing to show.

    A page are so many parts, by their numbers, which are done in any order: it is there once all
    of them are. Raises `NotFound` for a page that is not.
    """
    address = f"{call.base_url}/$export-status/{job.id}"
    heading = Heading(
        job.request["at"],
        job.request["url"],
        f"{address}/",
        has_deleted=job.request["ask"]["since"] is not None,
        organized_by="Patient" if job.request["ask"]["is_by_person"] else "",
    )
    if not job.request["is_paged"]:
        found = [file for number in sorted(files_of) for file in files_of[number]]
        return json.write(manifest(heading, found)) if job.state == queue.DONE else None
    number = _page(call)
    is_there = [_is_there(job, files_of, one) for one in (number, number + 1)]
    if not is_there[0]:
        if number == 0:
            return None if job.state != queue.DONE else json.write(manifest(heading, []))
        raise NotFound(
            "This page of the manifest is not there yet.", vi="Chưa có trang này của manifest."
        )
    numbers = range(number * PAGE_PARTS, (number + 1) * PAGE_PARTS)
    found = [file for one in numbers for file in files_of.get(one, ())]
    following = f"{address}?page={number + 2}" if is_there[1] else ""
    return json.write(manifest(heading, found, following))


def _shown(call: Call, job: Job) -> range | None:
    """Which parts the answer tells of, None for all; of a page, those of the next too."""
    if job.request["is_paged"]:
        first = _page(call) * PAGE_PARTS
        return range(first, first + 2 * PAGE_PARTS)
    return None if job.state == queue.DONE else range(-1, 0)


def _is_there(job: Job, files_of: Mapping[int, Sequence[File]], page: int) -> bool:
    first, end = page * PAGE_PARTS, (page + 1) * PAGE_PARTS
    if job.state == queue.DONE:
        return any(first <= number < end for number in files_of)
    return all(number in files_of for number in range(first, end))


def _page(call: Call) -> int:
    """The page that the address names, from 0 on."""
    asked = dict(call.request.query).get("page", "1")
    return int(asked) - 1 if _NUMBER.fullmatch(asked) else 0


def _failed(job: Job) -> Issue:
    if job.progress.get("trouble") == NO_ROOM:
        return Issue(
            "error",
            "no-store",
            "The export failed: the disk of its files is full. Make room, then start it anew.",
            vi="Xuất dữ liệu thất bại: ổ đĩa chứa tệp xuất đã đầy. Hãy giải phóng chỗ trống rồi "
            "bắt đầu lại.",
        )
    return Issue(
        "error",
        "exception",
        "The export failed; the log of the server says why. Start it anew.",
        vi="Xuất dữ liệu thất bại; nguyên nhân có trong nhật ký máy chủ. Hãy bắt đầu lại.",
    )


def _retry_after_s(job: Job) -> int:
    """A tenth of what is left: who asks then loses little, and asks seldom."""
    progress = progress_of(job.progress)
    left = progress.left_s(clock.now()) if progress is not None else None
    return min(max(1, (left or 0) // 10), _RETRY_AFTER_MAX_S)


def _progress(job: Job) -> str:
    """At most 100 characters, as the guide asks."""
    made = job.progress
    if made.get("trouble") == NO_ROOM:
        return "waiting: the disk of the exported files is full"
    if job.state == queue.QUEUED:
        return "waiting for a worker"
    progress = progress_of(made)
    return "0 resources written" if progress is None else progress.told(clock.now())
