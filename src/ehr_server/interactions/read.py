"""read: the current version of one resource. https://hl7.org/fhir/R4/http.html#read"""

from ehr_server.call import FHIR_JSON, Answer, Call, etag, version_headers
from ehr_server.errors import Gone, NotFound
from ehr_server.store.read import Place, Version, current, place


def read(call: Call) -> Answer:
    """200 with the resource, 304 when the sender has it already, 404, or 410 once deleted."""
    type_name, id_ = call.parts["type"], call.parts["id"]
    with call.store.connection() as connection:
        at = known(call, place(connection, type_name, id_))
        version = current(call.store, connection, type_name, at) if at.live else None
    if version is None:
        raise Gone(
            f"{type_name}/{id_} was deleted; its history is kept at {type_name}/{id_}/_history.",
            vi=f"{type_name}/{id_} đã bị xóa; lịch sử còn tại {type_name}/{id_}/_history.",
        )
    return found(call, version)


def known(call: Call, at: Place | None) -> Place:
    """The place, if there is one. Raises `NotFound`."""
    if at is None:
        name = f"{call.parts['type']}/{call.parts['id']}"
        raise NotFound(f"There is no {name}.", vi=f"Không có {name}.")
    return at


def found(call: Call, version: Version) -> Answer:
    """The version as it is, or 304: https://hl7.org/fhir/R4/http.html#cread."""
    headers = version_headers(version.ver, version.at)
    if etag(version.ver) in call.request.headers.get("if-none-match", ""):
        return Answer(304, None, headers)
    return Answer(200, version.content, headers, FHIR_JSON)
