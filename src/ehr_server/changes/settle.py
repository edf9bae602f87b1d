"""What is settled before the transaction: which resource criteria mean, what a patch makes of it.

https://hl7.org/fhir/R4/http.html#cond-update, #patch. No lock is held yet, so that the locks of
the transaction can be taken in one order and what a patch makes is checked without a connection.
The transaction looks again (`resolve.matches`, `check.may_happen`); where another request was
faster, all is run again.
"""

from collections.abc import Sequence

from ehr_server.access.seen import seen
from ehr_server.changes.change import Change, Means
from ehr_server.changes.check import refuse_other_version
from ehr_server.changes.resolve import ids_meant
from ehr_server.errors import Gone, Invalid, NotFound, PreconditionFailed
from ehr_server.fhir import json
from ehr_server.fhir.references import ID
from ehr_server.store.connect import Connection
from ehr_server.store.read import DELETE, Version, newest, places


def settle(means: Means, changes: Sequence[Change]) -> None:
    """Give those that have criteria the id that is meant, and make updates of patches.

    Raises `PreconditionFailed` for criteria that match several, `NotFound` or `Gone` for a patch
    of what is not there, `Invalid` for a body with another id than the one that is found, and
    whatever a patch raises.
    """
    sought = [change for change in changes if change.criteria is not None]
    patched = [change for change in changes if change.patch is not None]
    if not sought and not patched:
        return
    with means.store.connection() as connection:
        for change, ids in zip(sought, ids_meant(means, connection, sought), strict=True):
            _mean(change, ids)
        for type_name in {change.type for change in patched}:
            of_type = [change for change in patched if change.type == type_name]
            found = _newest(means, connection, of_type)
            for change in of_type:
                _patch(change, found.get(change.identity))


def _mean(change: Change, ids: Sequence[str]) -> None:
    """One match is meant. None: an update creates, a delete has nothing to do, a patch fails."""
    if len(ids) > 1:
        raise PreconditionFailed(
            f"The criteria match more than one {change.type}; narrow them.",
            vi=f"Điều kiện khớp nhiều {change.type}; xin thu hẹp điều kiện.",
            expression=(change.where,),
        )
    change.meant = ids
    sent = (change.resource or {}).get("id")
    if sent is not None and not (isinstance(sent, str) and ID.fullmatch(sent)):
        raise Invalid(
            "An id holds 1 to 64 letters, digits, hyphens and dots.",
            vi="id gồm 1 đến 64 chữ cái, chữ số, gạch nối và dấu chấm.",
            expression=(f"{change.where}.id",),
        )
    if ids and sent is not None and sent != ids[0]:
        raise Invalid(
            f"The criteria find {change.type}/{ids[0]}, but the body has another id; leave it out, "
            "or narrow the criteria.",
            vi=f"Điều kiện tìm thấy {change.type}/{ids[0]}, nhưng nội dung có id khác; "
            "xin bỏ id hoặc sửa điều kiện.",
            expression=(f"{change.where}.id",),
        )
    if ids:
        change.id = ids[0]
    elif change.deed == "patch":
        raise NotFound(
            f"The criteria match no {change.type}; there is nothing to patch.",
            vi=f"Điều kiện không khớp {change.type} nào; không có gì để sửa.",
            expression=(change.where,),
        )
    elif change.deed == "update":
        change.id = sent
        change.deed = "create" if sent is None else "update"


def _newest(
    means: Means, connection: Connection, changes: Sequence[Change]
) -> dict[tuple[str, str], Version]:
    found = places(connection, [change.identity for change in changes])
    type_name = changes[0].type
    # A patch that tests would tell what stands in a resource that the caller may not read.
    readable = seen(means.store, connection, means.caller, type_name, list(found.values()))
    found = {identity: at for identity, at in found.items() if at.key in readable}
    versions = newest(means.store, connection, type_name, list(found.values()))
    return {
        identity: versions[place.key] for identity, place in found.items() if place.key in versions
    }


def _patch(change: Change, now: Version | None) -> None:
    """The update that the patch makes of a version."""
    type_name, id_ = change.identity
    if now is None:
        raise NotFound(
            f"There is no {change.told}.",
            vi=f"Không có {change.told}.",
            expression=(change.where,),
        )
    if now.deed == DELETE:
        raise Gone(
            f"{change.told} was deleted; a PUT brings it back.",
            vi=f"{change.told} đã bị xóa; dùng PUT để khôi phục.",
            expression=(change.where,),
        )
    refuse_other_version(change, now.ver)  # before a patch of what is another by now is tried
    if change.patch is None:
        raise ValueError("no patch")
    before = json.read_stored(now.content)
    resource = change.patch(before)
    if (resource.get("resourceType"), resource.get("id")) != (type_name, id_):
        raise Invalid(
            "A patch cannot change resourceType or id.",
            vi="Bản vá không được đổi resourceType hay id.",
            expression=(f"{type_name}.id",),
        )
    change.deed, change.resource, change.read = "update", resource, now.ver
