"""$viewdefinition-export: the rows of views as files, made in the background.

https://sql-on-fhir.org/ig/OperationDefinition-ViewDefinitionExport.html. It is an export like any
other (`operations/export`): consistent as of one moment, resumable, downloaded from the same
addresses. The status address answers 202 until all is done, then 303 to the result.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ehr_server import clock
from ehr_server.call import Answer, Route
from ehr_server.errors import Invalid, NotFound, Refusal, Unprocessable
from ehr_server.fhir import json
from ehr_server.fhir.parameters import Given, Known, given, parameters
from ehr_server.issue import Issue
from ehr_server.operations.export.status import cancel, the_job
from ehr_server.operations.given import moment, posted
from ehr_server.operations.view_named import view_named
from ehr_server.store import export, queue
from ehr_server.store.export import Filters
from ehr_server.store.files import file_of
from ehr_server.store.progress import progress_of
from ehr_server.views.tables import NAMED, NAMED_VI, Tables, is_name
from ehr_server.views.view import view

if TYPE_CHECKING:
    from ehr_server.call import Call
    from ehr_server.store.queue import Job

_URL = "http://sql-on-fhir.org/OperationDefinition/$viewdefinition-export"
_KNOWN = {
    "view": Known("part", is_list=True),
    "clientTrackingId": Known("string"),
    "_format": Known("code"),
    "header": Known("boolean"),
    "_since": Known("instant"),
}
_VIEW = {
    "name": Known("string"),
    "viewReference": Known("Reference"),
    "viewResource": Known("Resource"),
}
_FORMATS = ("parquet", "csv", "ndjson", "json")
_RETRY_AFTER_S = 1


def kick_off(call: Call) -> Answer:
    """202 with the address of the status, once the views are checked and the job is stored.

    Raises `Invalid`, which names the parameter, and `Unprocessable` for a view that is none.
    """
    if call.request.preference("respond-async") is None:
        raise Invalid(
            "$viewdefinition-export runs in the background: send the header Prefer: respond-async.",
            vi="$viewdefinition-export chạy nền: hãy gửi tiêu đề Prefer: respond-async.",
        )
    sent = given(_KNOWN, (), posted(call))
    has_header = sent.one("header", True)
    tables = Tables(_format(sent), _views(call, sent), call.base_url, has_header)
    narrowed = Filters((), call.caller.as_asker(), str(call.settings.zone), call.base_url)
    at, id_ = clock.now(), clock.new_id()
    with call.store.transaction() as opened:
        ask = export.Ask(opened.tx, tables.made().types(), filters=narrowed)
        since = moment(call, sent, "_since")
        request = {
            "ask": export.begin(call.store, opened.connection, ask, at, since).as_json(),
            "form": "ndjson",
            "tables": tables.as_json(),
            "tracking": sent.one("clientTrackingId", ""),
            "is_paged": False,
            "is_separate": False,
            "at": clock.instant(at),
            "url": "/".join((call.base_url, *call.request.path)),
            **call.caller.as_asker(),
        }
        queue.put(opened.connection, queue.Job(id_, export.KIND, queue.QUEUED, request, {}, 0, at))
    address = _address(call, id_)
    told = parameters([*_head(call, id_, request), ("status", "valueCode", "accepted")])
    return Answer(202, json.write(told), {"Content-Location": address})


def status(call: Call) -> Answer:
    """202 and how far it is, then 303 to the result. Raises `NotFound`."""
    with call.store.connection() as connection:
        job = _of_views(the_job(call, connection))
    if job.state in (queue.DONE, queue.FAILED):
        return Answer(303, headers={"Location": f"{_address(call, job.id)}/result"})
    progress = progress_of(job.progress)
    percent = 0 if progress is None else progress.percent()
    left = None if progress is None else progress.left_s(clock.now())
    told = [
        *_head(call, job.id, job.request),
        ("status", "valueCode", "accepted" if job.state == queue.QUEUED else "in-progress"),
        ("exportStartTime", "valueInstant", job.request["at"]),
        ("estimatedTimeRemaining", "valueInteger", "" if left is None else left),
    ]
    headers = {"X-Progress": f"{percent}%", "Retry-After": str(_RETRY_AFTER_S)}
    return Answer(202, json.write(parameters(told)), headers)


def result(call: Call) -> Answer:
    """200 with the addresses of the files of each view. Raises `NotFound` before they are there,
    and what made the export fail."""
    with call.store.connection() as connection:
        job = _of_views(the_job(call, connection))
        parts = queue.parts(connection, job.id)
    if job.state == queue.FAILED:
        raise _failed(job)
    if job.state != queue.DONE:
        raise NotFound(
            "The export has no result yet: ask its status.",
            vi="Chưa có kết quả xuất: hãy hỏi trạng thái.",
        )
    files = [file_of(file) for part in parts for file in part.done["files"]]
    folder = f"{call.base_url}/$export-status/{job.id}"
    outputs = [
        (
            "output",
            "part",
            [
                ("name", "valueString", name),
                *(
                    ("location", "valueUri", f"{folder}/{file.name}")
                    for file in files
                    if file.type == name
                ),
            ],
        )
        for name in job.request["tables"]["views"]
    ]
    told = [
        *_head(call, job.id, job.request),
        ("status", "valueCode", "completed"),
        ("_format", "valueCode", job.request["tables"]["format"]),
        ("exportStartTime", "valueInstant", job.request["at"]),
        *outputs,
    ]
    return Answer(200, json.write(parameters(told)))


ROUTES = (
    Route(_URL, "POST", "$viewdefinition-export", kick_off),
    Route(_URL, "POST", "ViewDefinition/$viewdefinition-export", kick_off),
    Route("viewdefinition-export-status", "GET", "$viewdefinition-export-status/{job}", status),
    Route("viewdefinition-export-cancel", "DELETE", "$viewdefinition-export-status/{job}", cancel),
    Route(
        "viewdefinition-export-result", "GET", "$viewdefinition-export-status/{job}/result", result
    ),
)


def _views(call: Call, sent: Given) -> dict[str, dict[str, Any]]:
    """The ViewDefinitions by the names of their files: the part `name`, else their own."""
    found: dict[str, dict[str, Any]] = {}
    for number, part in enumerate(sent.all("view")):
        one = given(_VIEW, (), {"resourceType": "Parameters", "parameter": part})
        definition = view_named(call, one)
        name = one.one("name") or view(definition, call.base_url).name or f"view{number + 1}"
        if not is_name(name, found):
            told = (text[0].upper() + text[1:] for text in (NAMED, NAMED_VI))
            raise Invalid(next(told), vi=next(told), expression=(f"view[{number}].name",))
        found[name] = definition
    if not found:
        raise Invalid(
            "Send a view at least, as viewResource or viewReference.",
            vi="Hãy gửi ít nhất một khung nhìn, bằng viewResource hoặc viewReference.",
            expression=("view",),
        )
    return found


def _format(sent: Given) -> Any:
    named = sent.one("_format", "ndjson")
    if named not in _FORMATS:
        raise Invalid(
            issues=[
                Issue(
                    "error",
                    "not-supported",
                    f"_format is one of {', '.join(_FORMATS)}.",
                    ("_format",),
                    f"_format là một trong {', '.join(_FORMATS)}.",
                )
            ]
        )
    return named


def _of_views(job: Job) -> Job:
    if "tables" not in job.request:
        raise NotFound("There is no such export.", vi="Không có lần xuất dữ liệu này.")
    return job


def _head(call: Call, id_: str, request: dict[str, Any]) -> list[tuple[str, str, Any]]:
    return [
        ("exportId", "valueString", id_),
        ("clientTrackingId", "valueString", request["tracking"]),
        ("location", "valueUri", _address(call, id_)),
    ]


def _address(call: Call, id_: str) -> str:
    return f"{call.base_url}/$viewdefinition-export-status/{id_}"


def _failed(job: Job) -> Refusal:
    if "why" in job.progress:
        return Unprocessable(job.progress["why"], vi=job.progress["why_vi"])
    return Refusal(
        "The export failed; the log of the server says why. Start it anew.",
        vi="Xuất dữ liệu thất bại; nguyên nhân có trong nhật ký máy chủ. Hãy bắt đầu lại.",
    )
