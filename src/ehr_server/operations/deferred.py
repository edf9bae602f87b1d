"""`Prefer: respond-async`: a request is kept, and answered in the background.

https://hl7.org/fhir/R4/async.html, with the answer as a batch-response Bundle of one entry, as R5
has it for what is not a bulk export (docs/decisions/0015-async.md). 202 is said once the request
is on disk. Bundles and whatever only reads and may take long are deferred; of other requests the
preference is not honoured, as a server may, and they are answered at once.
"""

from __future__ import annotations

from datetime import timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from ehr_server import clock
from ehr_server.call import Answer, Route
from ehr_server.errors import NotFound, Refusal
from ehr_server.fhir import json
from ehr_server.operations.given import own_job
from ehr_server.store import deferred, queue
from ehr_server.store.deferred import Kept

if TYPE_CHECKING:
    from ehr_server.call import Call, Request
    from ehr_server.store.connect import Connection
    from ehr_server.store.queue import Job

ASYNC = "respond-async"

_READS = {
    *("search-system", "search-type", "search-compartment"),
    *("history-system", "history-type", "history-instance"),
    "http://hl7.org/fhir/OperationDefinition/Patient-everything",
    "http://hl7.org/fhir/OperationDefinition/Encounter-everything",
    "http://hl7.org/fhir/OperationDefinition/Observation-lastn",
}
_OURS = (ASYNC, "wait")  # preferences that are of no concern to the deed
_BUNDLES = ("transaction", "batch")
_KEY = "idempotency-key"
# Said on the way in, and no matter of the deed: what the body was packed in, and who asked.
_UNKEPT = ("authorization", "cookie", "content-encoding", "content-length", "host", "connection")
_RETRY_AFTER_S = 1


def is_deferred(route: Route, request: Request) -> bool:
    """Whether the request is to be answered in the background: its sender prefers it, it is no
    entry of a Bundle, and it may take long."""
    if request.where or request.method == "HEAD" or request.preference(ASYNC) is None:
        return False
    if route.interaction == "transaction":  # what is no such Bundle is refused at once
        return _bundle(request).get("type") in _BUNDLES
    return route.interaction in _READS


def defer(call: Call) -> Answer:
    """202 with the address of the status, once the request is stored."""
    request, at, id_ = call.request, clock.now(), clock.new_id()
    asked = {**call.caller.as_asker(), "base_url": call.base_url}
    job = queue.Job(id_, deferred.KIND, queue.QUEUED, asked, {}, 0, at)
    head = {
        "method": request.method,
        "path": request.path,
        "query": request.query,
        "private": request.private,
        "headers": _headers(request, id_),
    }
    with call.store.transaction() as opened:
        deferred.put(opened.connection, call.store.contents, job, Kept(head, request.body))
    address = f"{call.base_url}/$async-status/{id_}"
    return Answer(202, headers={"Content-Location": address, "Preference-Applied": ASYNC})


def status(call: Call) -> Answer:
    """202 while it is not answered, then 200 and the answer. Raises 404 for what is not there."""
    with call.store.connection() as connection:
        job = _job(call, connection)
        if job.state == queue.FAILED:
            raise Refusal(
                "The request could not be answered; the log of the server says why. Whether it "
                "was stored is not known: send it again under the key "
                f"job-{job.id} (Idempotency-Key), or look for what it stores.",
                vi="Không thể trả lời yêu cầu; nguyên nhân có trong nhật ký máy chủ. Chưa rõ dữ "
                f"liệu đã được lưu hay chưa: hãy gửi lại với Idempotency-Key là job-{job.id}, "
                "hoặc tìm dữ liệu đó.",
            )
        if job.state != queue.DONE:
            is_waiting = job.state == queue.QUEUED
            progress = "waiting for a worker" if is_waiting else "being answered"
            headers = {"X-Progress": progress, "Retry-After": str(_RETRY_AFTER_S)}
            return Answer(202, headers=headers)
        kept = deferred.answer(connection, call.store.contents, job.id)
    if kept is None:
        raise _not_there()  # it was forgotten between two looks
    expires = job.ended + timedelta(hours=call.settings.export_keep_h)
    return Answer(200, _response(kept), {"Expires": clock.http_date(expires)})


def cancel(call: Call) -> Answer:
    """The request is not answered if it was not yet, and its answer is forgotten. What is stored
    by then stays."""
    with call.store.connection() as connection:
        queue.cancel(connection, _job(call, connection).id)
    return Answer(202)


ROUTES = (
    Route("async-status", "GET", "$async-status/{job}", status),
    Route("async-cancel", "DELETE", "$async-status/{job}", cancel),
)


def _bundle(request: Request) -> dict[str, Any]:
    sent = request.parsed()
    return sent if sent.get("resourceType") == "Bundle" else {}


def _headers(request: Request, id_: str) -> dict[str, str]:
    """Those of the request, without the preference, and with a key: a worker that takes over sends
    it again. A key of the sender's own does as well."""
    kept = {name: value for name, value in request.headers.items() if name not in _UNKEPT}
    wishes = [one.strip() for one in kept.pop("prefer").replace(";", ",").split(",")]
    if others := [one for one in wishes if one.partition("=")[0].strip().lower() not in _OURS]:
        kept["prefer"] = ", ".join(others)
    if request.method == "POST" and _KEY not in kept and not _has_key(request):
        kept[_KEY] = f"job-{id_}"
    return kept


def _has_key(request: Request) -> bool:
    """The identifier of a transaction or batch is its key already."""
    identifier = _bundle(request).get("identifier") if request.body else None
    return isinstance(identifier, dict) and isinstance(identifier.get("value"), str)


def _job(call: Call, connection: Connection) -> Job:
    """The job named in the address, if it is the caller's own."""
    job = own_job(call, connection, deferred.KIND)
    if job is None:
        raise _not_there()
    return job


def _not_there() -> NotFound:
    return NotFound(
        "There is no such request in the background.", vi="Không có yêu cầu chạy nền này."
    )


def _response(kept: Kept) -> bytes:
    """https://hl7.org/fhir/R5/async-bundle.html: the status and the headers of the answer in
    `entry.response`, what it brings in `entry.resource`, a refusal in `entry.response.outcome`."""
    code, headers = kept.head["status"], kept.head["headers"]
    response: dict[str, Any] = {"status": f"{code} {HTTPStatus(code).phrase}"}
    names = (("location", "Location"), ("etag", "ETag"))
    response |= {field: headers[name] for field, name in names if name in headers}
    entry: dict[str, Any] = {"response": response}
    if kept.body and code >= 400:
        response["outcome"] = json.raw(kept.body)
    elif kept.body:
        entry["resource"] = json.raw(kept.body)
    bundle = {"resourceType": "Bundle", "type": "batch-response", "entry": [entry]}
    return json.write(bundle)
