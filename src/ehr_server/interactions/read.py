"""read: the current version of one resource. https://hl7.org/fhir/R4/http.html#read"""

from collections.abc import Callable
from typing import TypeVar

from ehr_server import clock
from ehr_server.access.seen import readable
from ehr_server.call import FHIR_JSON, Answer, Call, etag, version_headers
from ehr_server.errors import Gone, NotFound
from ehr_server.redact import id_without_number
from ehr_server.store.connect import Connection, snapshot
from ehr_server.store.read import Place, Version, current

Found = TypeVar("Found")


def read(call: Call) -> Answer:
    """200 with the resource, 304 when the sender has it already, 404, or 410 once deleted."""
    type_name, id_ = call.parts["type"], call.parts["id"]
    with call.store.connection() as connection:
        version = where_it_lies(
            call,
            connection,
            lambda at: current(call.store, connection, type_name, at) if at.live else None,
        )
    if version is None:
        told = f"{type_name}/{id_without_number(id_)}"
        raise Gone(
            f"{told} was deleted; its history is kept at {told}/_history.",
            vi=f"{told} đã bị xóa; lịch sử còn tại {told}/_history.",
        )
    return found(call, version)


def where_it_lies(
    call: Call, connection: Connection, look: Callable[[Place], Found | None]
) -> Found | None:
    """What `look` sees at the place of the resource that the address names. Raises `NotFound`, also
    where the caller may not see it: nobody learns from the answer that it is there.

    Between the directory and the look a resource may move to another patient's compartment: so
    where nothing is seen both are asked again, as of one moment.
    """
    found = look(_known(call, connection))
    if found is None:
        with snapshot(connection):
            found = look(_known(call, connection))
    return found


def found(call: Call, version: Version) -> Answer:
    """The version as it is, or 304: https://hl7.org/fhir/R4/http.html#cread."""
    call.caller.trail.saw((version.comp,))
    headers = version_headers(version.ver, version.at)
    tags = {tag.strip() for tag in call.request.headers.get("if-none-match", "").split(",")}
    is_known = tags & {"*", etag(version.ver), etag(version.ver).removeprefix("W/")}  # weakly
    if is_known or ("if-none-match" not in call.request.headers and _is_old(call, version)):
        return Answer(304, None, headers)
    return Answer(200, version.content, headers, FHIR_JSON)


def _is_old(call: Call, version: Version) -> bool:
    """Whether it is not newer than If-Modified-Since, which counts in whole seconds and is passed
    over where it is no date: https://www.rfc-editor.org/rfc/rfc9110#section-13.1.3."""
    since = clock.of_http_date(call.request.headers.get("if-modified-since", ""))
    return since is not None and version.at.replace(microsecond=0) <= since


def _known(call: Call, connection: Connection) -> Place:
    type_name, id_ = call.parts["type"], call.parts["id"]
    at = readable(call.store, connection, call.caller, type_name, id_)
    if at is None:
        told = id_without_number(id_)
        raise NotFound(f"There is no {type_name}/{told}.", vi=f"Không có {type_name}/{told}.")
    return at
