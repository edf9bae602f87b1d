"""Purging a person: the record removed for good, and told of by an AuditEvent, in one transaction.

The AuditEvent (https://hl7.org/fhir/R4/auditevent.html) goes the way of every write; before its
commit the compartment is removed. It names the id, the counts and a digest, nothing of the person.
"""

from collections import Counter
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from ehr_server import clock
from ehr_server.changes.apply import apply
from ehr_server.changes.change import Change, Done, Means
from ehr_server.changes.referring import Referrer, referrers
from ehr_server.errors import Conflict
from ehr_server.fhir.bundle import identity
from ehr_server.hashing import person_comp
from ehr_server.redact import id_without_number
from ehr_server.search.referring import hashes_by_leaf
from ehr_server.store import purge
from ehr_server.store.connect import Collision, Connection
from ehr_server.store.merged import records
from ehr_server.store.referring import candidates, hold

_ASKED_TOGETHER = 500  # resources whose referrers are asked for in one statement for each leaf
OTHERS_MAX = 1_000  # who refers from outside


@dataclass(frozen=True, slots=True)
class Inventory:
    """What a compartment holds: (key, version) of each, type and id by key, how many resources of
    each type, and a digest.

    The digest is SHA-256 over a line for each version, `Type/id/_history/1 <SHA-256 of its
    content>`, in the order of their bytes: whoever has the contents can make it anew.
    """

    versions: frozenset[tuple[int, int]]
    keys: dict[int, tuple[str, str]]
    counts: dict[str, int]
    digest: str
    others: list[Referrer] = field(default_factory=list)  # who refers from outside


def inventory(means: Means, connection: Connection, id_: str) -> Inventory:
    """What would go, and who refers to it from outside the compartment. Raises `Conflict` where
    another record was merged into this one."""
    comp = person_comp(id_)
    _refuse_target(connection, id_)
    seen: set[tuple[int, int]] = set()
    keys: dict[int, tuple[str, str]] = {}
    lines: list[str] = []
    for one in purge.versions(means.store, connection, comp):
        seen.add((one.key, one.ver))
        name = keys[one.key] = identity(one.content)
        lines.append(f"{'/'.join(name)}/_history/{one.ver} {sha256(one.content).hexdigest()}\n")
    digest = sha256("".join(sorted(lines)).encode()).hexdigest()
    counts = dict(sorted(Counter(type_name for type_name, _ in keys.values()).items()))
    _refuse_two(keys)
    others = _others(means, connection, comp, keys) if means.check_references else []
    return Inventory(frozenset(seen), keys, counts, digest, others)


def carry_out(means: Means, id_: str, reason: str, found: Inventory) -> Done:
    """Remove it all, and tell: what became of the AuditEvent.

    Raises `Conflict` where others refer to it, `Overtaken` where it changed since the look.
    """
    change = Change(
        "create", "AuditEvent", resource=_audit_event(means, id_, reason, found), where="AuditEvent"
    )

    def remove() -> None:
        with means.store.connection() as connection:
            purge.lock(connection)
            hold(connection, (), found.keys.values())
            if inventory(means, connection, id_) != found:
                raise Collision
            purge.remove(connection, person_comp(id_), found.keys)

    refuse_others(found)
    (done,) = apply(means, [change], then=remove)
    return done


def refuse_others(found: Inventory) -> None:
    """Raises `Conflict` with the list of who refers from outside."""
    if found.others:
        names = "; ".join(one.told() for one in found.others[:20])
        raise Conflict(
            f"Resources outside the person's record refer to it, {len(found.others)} in all: "
            f"{names}. Change or delete them first.",
            vi=f"Có {len(found.others)} tài nguyên ngoài hồ sơ của người này tham chiếu tới: "
            f"{names}. Xin sửa hoặc xóa chúng trước.",
        )


def _refuse_target(connection: Connection, id_: str) -> None:
    """A person of several records is removed from the first that was merged on."""
    below = [one.id for one in records(connection, [person_comp(id_)]) if one.target == id_]
    if below:
        names = ", ".join(f"Patient/{id_without_number(one)}" for one in sorted(below))
        told = id_without_number(id_)
        raise Conflict(
            f"{names} was merged into Patient/{told}: purge that first, or take the merge back by "
            "Patient/$unmerge.",
            vi=f"{names} đã được gộp vào Patient/{told}: xin xóa vĩnh viễn hồ sơ đó trước, hoặc "
            "hoàn tác bằng Patient/$unmerge.",
        )


def _refuse_two(keys: dict[int, tuple[str, str]]) -> None:
    """Two persons whose ids have one hash share a compartment: that is for a human to look at."""
    if sum(type_name == "Patient" for type_name, _ in keys.values()) > 1:
        raise Conflict(
            "Another person's record lies in the same compartment; nothing was removed.",
            vi="Hồ sơ của một người khác nằm cùng khoang; không có gì bị xóa.",
        )


def _others(
    means: Means, connection: Connection, comp: int, keys: dict[int, tuple[str, str]]
) -> list[Referrer]:
    """Live resources at home elsewhere that refer to one of those that go, to a version too."""
    found: dict[int, Referrer] = {}
    identities = sorted(set(keys.values()))
    for at in range(0, len(identities), _ASKED_TOGETHER):
        targets = set(identities[at : at + _ASKED_TOGETHER])
        most = len(keys) + OTHERS_MAX
        among = candidates(connection, hashes_by_leaf(targets), most, beside=comp)
        outside = [one for one in among if one.key not in found][:OTHERS_MAX]
        for one in referrers(means, connection, outside, targets, of_versions=True):
            found[one.key] = one
    return list(found.values())


def _audit_event(means: Means, id_: str, reason: str, found: Inventory) -> dict[str, Any]:
    details = [{"type": "sha256", "valueString": found.digest}]
    details += [{"type": "versions", "valueString": str(len(found.versions))}]
    details += [
        {"type": type_name, "valueString": str(count)} for type_name, count in found.counts.items()
    ]
    return {
        "resourceType": "AuditEvent",
        "type": {"system": "http://dicom.nema.org/resources/ontology/DCM", "code": "110110"},
        "subtype": [
            {"system": "http://terminology.hl7.org/CodeSystem/iso-21089-lifecycle",
             "code": "destroy"}
        ],
        "action": "D",
        "recorded": clock.instant(clock.now()),
        "outcome": "0",
        "purposeOfEvent": [{"text": reason}],
        "agent": [{"who": {"display": means.caller.name or "local"}, "requestor": True}],
        "source": {"observer": {"display": "ehr-server"}},
        "entity": [
            {
                "what": {"identifier": {"value": f"Patient/{id_}"}},
                "lifecycle": {
                    "system": "http://terminology.hl7.org/CodeSystem/dicom-audit-lifecycle",
                    "code": "14",
                },
                "detail": details,
            }
        ],
    }  # fmt: skip
