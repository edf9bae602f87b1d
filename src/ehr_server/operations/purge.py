"""$purge of a person: the whole record removed for good, by explicit order.

An operation of this server, not of the standard; docs/guides/references-and-deleting.md. For a
court's order, an error of identity, the end of retention: an ordinary delete keeps the history.
"""

from __future__ import annotations

from typing import Any

from ehr_server.call import Answer, Call, Route
from ehr_server.changes.purge import Inventory, carry_out, inventory
from ehr_server.errors import Forbidden, Gone, Invalid, NotFound
from ehr_server.fhir.parameters import Known
from ehr_server.operations.given import answered, asked, needed
from ehr_server.redact import id_without_number
from ehr_server.store.read import place

DEFINITION = "http://ehr-server.org/fhir/OperationDefinition/purge"

_KNOWN = {
    "reason": Known("string"),
    "confirm": Known("string"),
    "dry-run": Known("boolean"),
}


def purge(call: Call) -> Answer:
    """200 with Parameters: the counts by type, the digest, who refers from outside (of a dry run),
    and the AuditEvent that tells of it.

    `reason` and `confirm`, which is the id once more, are asked for; `dry-run` removes nothing.
    Raises `Forbidden`, `Invalid`, `NotFound`, `Gone`, `Conflict`.
    """
    if not call.caller.may_purge:
        raise Forbidden(
            "Only who administers the server may purge a record.",
            vi="Chỉ người quản trị máy chủ mới được xóa vĩnh viễn hồ sơ.",
        )
    id_, sent = call.parts["id"], asked(call, _KNOWN)
    reason, confirm = needed(sent, "reason"), needed(sent, "confirm")
    if not reason.strip():
        raise Invalid("The reason is empty.", vi="Lý do để trống.", expression=("reason",))
    if confirm != id_:
        told = id_without_number(id_)
        raise Invalid(
            f"confirm must be the id of the person once more, {told}.",
            vi=f"confirm phải là id của người này một lần nữa, {told}.",
            expression=("confirm",),
        )
    found = _inventory(call, id_)
    if sent.one("dry-run", False):
        others = [("refers", "valueString", one.told()) for one in found.others]
        return answered([*_told(found), *others])
    done = carry_out(call.means, id_, reason, found)
    return answered([*_told(found), ("audit", "valueUri", f"AuditEvent/{done.id}")])


def _inventory(call: Call, id_: str) -> Inventory:
    told = f"Patient/{id_without_number(id_)}"
    with call.store.connection() as connection:
        lies = place(connection, "Patient", id_)
        if lies is None:
            raise NotFound(f"There is no {told}.", vi=f"Không có {told}.")
        found = inventory(call.means, connection, id_)
    if lies.key not in found.keys:
        raise Gone(f"{told} was purged already.", vi=f"{told} đã bị xóa vĩnh viễn trước đó.")
    return found


def _told(found: Inventory) -> list[tuple[str, str, Any]]:
    counts = [
        ("count", "part", [("type", "valueCode", name), ("resources", "valueInteger", count)])
        for name, count in found.counts.items()
    ]
    versions = ("versions", "valueInteger", len(found.versions))
    return [*counts, versions, ("sha256", "valueString", found.digest)]


ROUTES = (Route(DEFINITION, "POST", "Patient/{id}/$purge", purge),)
