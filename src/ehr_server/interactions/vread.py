"""vread: one version of a resource. https://hl7.org/fhir/R4/http.html#vread"""

from ehr_server.access.seen import visible
from ehr_server.call import Answer, Call
from ehr_server.errors import Gone, NotFound
from ehr_server.interactions.read import found, where_it_lies
from ehr_server.redact import id_without_number
from ehr_server.store import read as store_read


def vread(call: Call) -> Answer:
    """200 with that version, 404, or 410 when that version is the deletion."""
    type_name, id_, vid = (call.parts[name] for name in ("type", "id", "vid"))
    ver = int(vid) if vid.isascii() and vid.isdigit() and len(vid) < 10 else 0
    with call.store.connection() as connection:
        version = where_it_lies(
            call,
            connection,
            lambda at: store_read.vread(call.store, connection, type_name, at, ver),
        )
        if version is not None and version.deed != store_read.DELETE:
            (is_told,) = visible(call.store, connection, call.caller, [version.content])
            version = version if is_told else None
    told = f"{type_name}/{id_without_number(id_)}"
    if version is None:
        raise NotFound(
            f"{told} has no version {id_without_number(vid)}.",
            vi=f"{told} không có phiên bản {id_without_number(vid)}.",
        )
    if version.deed == store_read.DELETE:
        raise Gone(
            f"Version {vid} is the deletion of {told}.",
            vi=f"Phiên bản {vid} là lần xóa {told}.",
        )
    call.caller.trail.saw([version.comp])
    return found(call, version)
