"""What an operation is given and answers: its parameters, the resource that its address names.

https://hl7.org/fhir/R4/operations.html#executing
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ehr_server.access.seen import readable
from ehr_server.call import Answer
from ehr_server.errors import Gone, Invalid, NotFound, Unprocessable
from ehr_server.fhir import json
from ehr_server.fhir.dates import span
from ehr_server.fhir.parameters import Given, Known, given, parameters
from ehr_server.redact import id_without_number
from ehr_server.search.parse import PRESENTATION
from ehr_server.store import queue
from ehr_server.store.connect import snapshot
from ehr_server.store.read import current

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from ehr_server.call import Call
    from ehr_server.store.connect import Connection
    from ehr_server.store.queue import Job

_CHECKED = ("ValueSet", "CodeSystem", "ConceptMap")  # types of parameters that are resources


def posted(call: Call) -> dict[str, Any] | None:
    """The resource that came with a POST, if any. Raises `Invalid` for a body that is none."""
    request = call.request
    is_posted = request.method == "POST" and (request.resource is not None or request.body.strip())
    return request.parsed() if is_posted else None


def asked(call: Call, known: Mapping[str, Known], *, is_body_meant: bool = True) -> Given:
    """The parameters of a call: in its address, and in the Parameters resource that was posted,
    unless the body is meant as something else.

    Raises `Invalid` that names one, or `Unprocessable` for a code list sent along that is none.
    """
    sent = given(
        known,
        [pair for pair in call.request.query if pair[0] not in PRESENTATION],
        posted(call) if is_body_meant else None,
        is_lenient=call.request.preference("handling") == "lenient",
    )
    for name in sent.values:
        if known[name].type in _CHECKED:
            _check(call, sent.one(name), known[name].type)
    return sent


def needed(sent: Given, name: str) -> Any:
    """The value of a parameter that must be there. Raises `Invalid` if it is not."""
    if name not in sent:
        raise Invalid(
            f"The parameter {name} is missing.",
            vi=f"Thiếu tham số {name}.",
            expression=(name,),
        )
    return sent.one(name)


def canonical(sent: Given, version: str) -> str:
    """The canonical in `url`, of the version that the parameter of the name `version` asks for."""
    url: str = sent.one("url")
    return f"{url.partition('|')[0]}|{sent.one(version)}" if version in sent else url


def moment(call: Call, sent: Given, name: str, *, is_end: bool = False) -> datetime | None:
    """The first instant of a date or instant, or with `is_end` the last; None if it is not given.

    Raises `Invalid` if it is neither.
    """
    if name not in sent:
        return None
    try:
        return span(sent.one(name), call.means.rules.zone)[is_end]
    except ValueError as error:
        raise Invalid(
            f"{name} {error}.",
            vi=f"{name} phải là ngày hoặc thời điểm, như 2026-05-31 hay 2026-05-31T08:00:00+07:00.",
            expression=(name,),
        ) from None


def refuse(sent: Given, name: str, text: str, vi: str) -> None:
    """Raises `Invalid` where a parameter is given that R4 has and this server does not."""
    if name in sent:
        raise Invalid(
            f"The parameter {name} is not supported: {text}.",
            vi=f"Không hỗ trợ tham số {name}: {vi}.",
            expression=(name,),
        )


def stored(call: Call, type_name: str) -> dict[str, Any]:
    """The current version of what the address names. Raises `NotFound` or `Gone`."""
    id_ = call.parts["id"]
    told = f"{type_name}/{id_without_number(id_)}"
    with call.store.connection() as connection, snapshot(connection):
        lies = readable(call.store, connection, call.caller, type_name, id_)
        if lies is None:
            raise NotFound(f"There is no {told}.", vi=f"Không có {told}.")
        version = current(call.store, connection, type_name, lies) if lies.live else None
    if version is None:
        raise Gone(f"{told} was deleted.", vi=f"{told} đã bị xóa.")
    call.caller.trail.saw([version.comp])
    resource: dict[str, Any] = json.read_stored(version.content)
    return resource


def answered(values: Iterable[tuple[str, str, Any]]) -> Answer:
    """200 with Parameters of (name, element, value); what is "" is left out, as no value of FHIR
    is empty."""
    return Answer(200, json.write(parameters(values)))


def _check(call: Call, resource: dict[str, Any], type_name: str) -> None:
    found = call.means.rulebook.check(resource, type_name)
    errors = [issue for issue in found if issue.severity in ("error", "fatal")]
    if errors:
        raise Unprocessable(issues=errors)


def own_job(call: Call, connection: Connection, kind: str) -> Job | None:
    """The job of a kind that the address names, if it is the caller's own and not cancelled."""
    job = queue.find(connection, call.parts["job"])
    if job is None or job.kind != kind or job.state == queue.CANCELLED:
        return None
    return job if job.request["caller"] == call.caller.owner else None
