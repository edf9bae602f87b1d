"""An update does not take from a Patient the number that the person is found by.

https://hl7.org/fhir/R4/http.html#update. Programs send what they know of a person, and one that
knows the insurance card alone would take out the personal number; the next push then makes a second
record. So of personal numbers and passports an update keeps

- a former one (`use` old), which stays searchable for ever;
- one of a list of which it names none;
- of a person of several records all, as the sender may know one of them alone.

A number that the sender replaced by another of its list was corrected, and goes. A patch says what
it removes, and removes it.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ehr_server.changes.change import Change
from ehr_server.changes.claims import held
from ehr_server.fhir import json
from ehr_server.issue import Issue
from ehr_server.store.connect import Connection
from ehr_server.store.merged import records
from ehr_server.store.read import DELETE


def keep(connection: Connection, changes: Sequence[Change]) -> None:
    """Put back, in place, what updates of Patients left out, with a finding that says so."""
    losses = list(_losses(changes))
    several = {one.comp for one in records(connection, {loss.comp for loss in losses})}
    for loss in losses:
        change, resource = loss.change, loss.change.resource or {}
        named = {single.number[0] for _, single in held(resource)}
        kept = [
            {**identifier, "use": "old"} if of in named else identifier
            for identifier, of in loss.dropped
            if of not in named or identifier.get("use") == "old" or loss.comp in several
        ]
        if kept:
            resource["identifier"] = [*resource.get("identifier", ()), *kept]
            change.findings = (*change.findings, _told(change))


@dataclass(frozen=True, slots=True)
class _Loss:
    """An update of the Patient in the compartment, and the identifiers whose number it drops, each
    with its list."""

    change: Change
    comp: int
    dropped: Sequence[tuple[dict[str, Any], str]]


def _losses(changes: Sequence[Change]) -> Iterator[_Loss]:
    for change in changes:
        now = change.now
        is_whole = change.deed == "update" and change.read is None and change.type == "Patient"
        if not is_whole or change.resource is None or now is None or now.deed == DELETE:
            continue
        before = json.read_stored(now.content)
        dropped = dict(_dropped(before, change.resource))
        if dropped:
            pairs = [(before["identifier"][at], of) for at, of in dropped.items()]
            yield _Loss(change, now.comp, pairs)


def _dropped(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[tuple[int, str]]:
    """The positions of the identifiers whose number is no longer there, each with its list."""
    still = [single for _, single in held(after)]
    for at, single in held(before):
        if not any(single.is_same(one) for one in still):
            yield at, single.number[0]


def _told(change: Change) -> Issue:
    return Issue(
        "information",
        "informational",
        "A number that the record held was left out and is kept: a person stays found by it. To "
        "correct a wrong one send the right one in its place, or take it out by a PATCH.",
        (f"{change.where}.identifier",),
        vi="Một số định danh của hồ sơ không có trong nội dung gửi lên và vẫn được giữ, để người "
        "bệnh luôn được tìm thấy. Nếu số đó sai, hãy gửi số đúng thay vào, hoặc xóa bằng PATCH.",
        rule="number-kept",
    )
