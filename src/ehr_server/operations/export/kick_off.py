"""The kick-off of an export. https://hl7.org/fhir/uv/bulkdata/export.html#bulk-data-kick-off-request"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlencode

from ehr_server import clock
from ehr_server.call import Answer
from ehr_server.errors import Invalid, NotAllowed
from ehr_server.operations.export.parameters import wish_of
from ehr_server.store import export, queue

if TYPE_CHECKING:
    from ehr_server.call import Call


def export_system(call: Call) -> Answer:
    """Everything."""
    return _kick_off(call, of_patients=False)


def export_patients(call: Call) -> Answer:
    """What is in the compartment of any patient, and the patients."""
    return _kick_off(call, of_patients=True)


def _kick_off(call: Call, *, of_patients: bool) -> Answer:
    if call.request.method == "HEAD":
        raise NotAllowed(
            "HEAD must not start an export; GET does.",
            vi="HEAD không được bắt đầu xuất dữ liệu; hãy dùng GET.",
            headers={"Allow": "GET, POST"},
        )
    if call.request.preference("respond-async") is None:
        raise Invalid(
            "$export runs in the background: send the header Prefer: respond-async.",
            vi="$export chạy nền: hãy gửi tiêu đề Prefer: respond-async.",
        )
    is_separate = call.request.preference("separate-export-status") is not None
    wish = wish_of(call, of_patients=of_patients)
    at, id_ = clock.now(), clock.new_id()
    with call.store.transaction() as opened:
        ask = export.Ask(opened.tx, wish.types, of_patients=of_patients, until=wish.until)
        request = {
            "ask": export.begin(call.store, opened.connection, ask, at, wish.since).as_json(),
            "form": wish.form,
            "is_paged": wish.is_paged,
            "is_separate": is_separate,
            "at": clock.instant(at),
            "url": _url(call),
            "caller": call.caller.name,
        }
        queue.put(opened.connection, queue.Job(id_, export.KIND, queue.QUEUED, request, {}, 0, at))
    headers = {"Content-Location": f"{call.base_url}/$export-status/{id_}"}
    if is_separate:
        headers["Preference-Applied"] = "respond-async, separate-export-status"
    return Answer(202, headers=headers)


def _url(call: Call) -> str:
    address = "/".join((call.base_url, *call.request.path))
    return f"{address}?{urlencode(call.request.query)}" if call.request.query else address
