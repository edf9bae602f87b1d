"""Merging two records of one person, and taking that back: a write like every other.

https://hl7.org/fhir/R5/patient-operation-merge.html. Both records get a new version and a
Provenance tells of it (https://hl7.org/fhir/R4/provenance.html), in one transaction with the row
that makes their compartments one person's (`store.merged`). No reference is rewritten, so a record
of any size is merged in the time of three writes, and nothing has to be found again when the merge
is taken back.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise, product
from typing import Any

from ehr_server import clock
from ehr_server.access.seen import seen
from ehr_server.changes.apply import apply
from ehr_server.changes.change import Change, Means
from ehr_server.changes.rows import is_unchanged
from ehr_server.errors import Unprocessable
from ehr_server.fhir import json
from ehr_server.fhir.references import parse
from ehr_server.hashing import person_comp
from ehr_server.identity import review
from ehr_server.identity.merging import (
    is_active,
    share_number,
    source_of,
    taken,
    target_of,
    undone,
    without,
)
from ehr_server.identity.naming import name_anew
from ehr_server.issue import Issue
from ehr_server.redact import id_without_number
from ehr_server.store import merged
from ehr_server.store.connect import Collision, Connection, snapshot
from ehr_server.store.merged import Record
from ehr_server.store.read import DELETE, Place, Version, newest, place, places, vread

Patient = dict[str, Any]

_TYPE = "Patient"
_LIFECYCLE = "http://terminology.hl7.org/CodeSystem/iso-21089-lifecycle"


@dataclass(frozen=True, slots=True)
class Named:
    """A Patient, and the version that the sender means, if he says; the name of the parameter."""

    id: str
    version: int | None = None
    parameter: str = ""


@dataclass(frozen=True, slots=True)
class Ask:
    """Which two records, and how: what the target is to be, where the sender says; a preview is
    all of it but for the commit."""

    source: Named
    target: Named
    result: Patient | None = None
    is_preview: bool = False


@dataclass(frozen=True, slots=True)
class Merged:
    """Source and target as they are then, as JSON, and what was found that did not stand in the
    way."""

    source: Any
    target: Any
    findings: Sequence[Issue]


def merge(means: Means, ask: Ask) -> Merged:
    """Merge the source into the target. Raises `Unprocessable` where the two cannot be merged, and
    whatever a write raises."""
    source, target = ask.source.id, ask.target.id
    if source == target:
        raise refused(ask.source, "is the target itself", "chính là hồ sơ đích", "invalid")
    with means.store.connection() as connection, snapshot(connection):
        now = _current(means, connection, (ask.source, ask.target))
        group = _group(connection, (source, target))
    for named in (ask.source, ask.target):
        _refuse_merged(named, group)
    here, there = now[source], now[target]
    result = ask.result or target_of(there.resource, here.resource)
    where = "Parameters.parameter.where(name='result-patient').resource" if ask.result else _TYPE
    pair = (
        _Step(here, source_of(here.resource, target), ask.source.version),
        _Step(there, result, ask.target.version, where),
    )

    def join(connection: Connection, provenance: str) -> None:
        merged.join(connection, source, target, provenance)

    return _carried_out(means, pair, "merge", _Rows(group, (source, target), join), ask)


def unmerge(means: Means, ask: Ask) -> Merged:
    """Take the merge of the source back; the target may be left open (""). What else was merged
    into the target stays with it.

    Raises `Unprocessable` where the source was not merged into the target, and whatever a write
    raises.
    """
    source = ask.source.id
    with means.store.connection() as connection, snapshot(connection):
        _current(means, connection, (ask.source,))  # nothing is told of one that is hidden
        group = _group(connection, (source,))
        way = _way(ask, group)
        now = _current(means, connection, [Named(id_, parameter="target-patient") for id_ in way])
        steps = _steps_back(means, connection, way, group, now)
        task = _to_review(means, connection, group, steps)
    versions = (ask.source.version, ask.target.version)
    steps = [
        _Step(one.now, one.resource, version)
        for one, version in zip(steps, (*versions, *(None for _ in steps[2:])), strict=True)
    ]

    def part(connection: Connection, provenance: str) -> None:  # noqa: ARG001
        merged.part(connection, source)

    return _carried_out(means, steps, "unmerge", _Rows(group, (source,), part, task), ask)


def refused(named: Named, text: str, vi: str, code: str = "business-rule") -> Unprocessable:
    """The refusal of what a parameter names: `Patient/1 <text>`."""
    whom = f"Patient/{id_without_number(named.id)}"
    place_ = f"Parameters.parameter.where(name='{named.parameter}')"
    issue = Issue("error", code, f"{whom} {text}.", (place_,), vi=f"{whom} {vi}.")
    return Unprocessable(issues=[issue])


@dataclass(frozen=True, slots=True)
class _Now:
    """The current version of a Patient."""

    id: str
    place: Place
    version: Version
    resource: Patient


@dataclass(frozen=True, slots=True)
class _Step:
    """What a Patient is to become, `if_match` this is its version."""

    now: _Now
    resource: Patient
    if_match: int | None = None
    where: str = _TYPE

    @property
    def change(self) -> Change:
        """The update of the version that was read, and of no other. Two people who have one number
        once they are apart again, a human looks at."""
        return Change(
            "update",
            _TYPE,
            self.now.id,
            resource={**self.resource, "id": self.now.id},
            where=self.where,
            if_match=self.if_match,
            read=self.now.version.ver,
            is_reviewed=True,
        )

    @property
    def ver(self) -> int:
        """The version that there is then: what changes nothing makes none."""
        before = (self.now.place, self.now.version)
        same = is_unchanged(self.change, self.resource, before)
        return self.now.version.ver + (0 if same else 1)


@dataclass(frozen=True, slots=True)
class _Rows:
    """The records as they were seen, of the persons of the ids, and what to make of them, with the
    id of the Provenance; a Task about them to be stored along."""

    seen: Sequence[Record]
    ids: Sequence[str]
    deed: Callable[[Connection, str], None]
    task: Change | None = None


class _Previewed(Exception):
    """All would have gone well."""


def _carried_out(means: Means, steps: Sequence[_Step], code: str, rows: _Rows, ask: Ask) -> Merged:
    steps = [replace(step, resource=_as_written(means, step.resource)) for step in steps]
    provenance = clock.new_id()
    told = _provenance(means, steps, code)
    changes = [
        *(step.change for step in steps),
        Change("create", "Provenance", provenance, resource=told, where="Provenance"),
        *([rows.task] if rows.task is not None else []),
    ]

    def first(connection: Connection) -> None:
        merged.lock(connection)
        if set(_group(connection, rows.ids)) != set(rows.seen):
            raise Collision  # another merge came between
        rows.deed(connection, provenance)

    def undo() -> None:
        raise _Previewed

    records: list[Any]
    try:
        done = apply(means, changes, then=undo if ask.is_preview else None, first=first)
        records = [json.raw(one.content or b"") for one in done]
    except _Previewed:
        records = [change.resource for change in changes]
        means.caller.trail.saw(person_comp(change.id or "") for change in changes[:2])
    findings = [issue for change in changes for issue in change.findings]
    if rows.task is not None:
        findings.append(_listed(rows.task))
    return Merged(records[0], records[1], findings)


def _as_written(means: Means, resource: Patient) -> Patient:
    """A copy of its own, as the write path leaves it."""
    copy: Patient = json.read_stored(json.write(resource))
    name_anew(copy, means.identifier_systems)
    return copy


def _provenance(means: Means, steps: Sequence[_Step], code: str) -> dict[str, Any]:
    """What was done, to which versions and what these were before. The source comes first: the
    Provenance lies in its compartment, and goes with it."""
    before = [f"{_TYPE}/{one.now.id}/_history/{one.now.version.ver}" for one in steps]
    return {
        "resourceType": "Provenance",
        "target": [{"reference": f"{_TYPE}/{one.now.id}/_history/{one.ver}"} for one in steps],
        "recorded": clock.instant(clock.now()),
        "activity": {"coding": [{"system": _LIFECYCLE, "code": code}]},
        "agent": [{"who": {"display": means.caller.name or "local"}}],
        "entity": [{"role": "revision", "what": {"reference": one}} for one in before],
    }


def _current(means: Means, connection: Connection, wanted: Sequence[Named]) -> Mapping[str, _Now]:
    """By id. Raises `Unprocessable` for one that is not there, which is as one that the caller may
    not read, or that was deleted."""
    found = places(connection, [(_TYPE, one.id) for one in wanted])
    may_read = seen(means.store, connection, means.caller, _TYPE, list(found.values()))
    found = {one: at for one, at in found.items() if at.key in may_read}
    versions = newest(means.store, connection, _TYPE, list(found.values())) if found else {}
    now = {}
    for one in wanted:
        at = found.get((_TYPE, one.id))
        version = versions.get(at.key) if at is not None else None
        if at is None:
            raise refused(one, "is not on this server", "không có trên máy chủ này", "not-found")
        if version is None or version.deed == DELETE:
            raise refused(one, "was deleted", "đã bị xóa", "deleted")
        now[one.id] = _Now(one.id, at, version, json.read_stored(version.content))
    return now


def _group(connection: Connection, ids: Sequence[str]) -> list[Record]:
    return merged.records(connection, [person_comp(id_) for id_ in ids])


def _refuse_merged(named: Named, group: Sequence[Record]) -> None:
    into = next((one.target for one in group if one.id == named.id), None)
    if into is not None:
        into = id_without_number(into)
        raise refused(
            named,
            f"was merged into Patient/{into} before; name that one, or take the merge back by "
            "Patient/$unmerge",
            f"đã được gộp vào Patient/{into}; xin nêu hồ sơ đó, hoặc hoàn tác bằng "
            "Patient/$unmerge",
        )


def _way(ask: Ask, group: Sequence[Record]) -> list[str]:
    """The ids from the source up to the record that survives."""
    into = {one.id: one.target for one in group}
    target = into.get(ask.source.id)
    if target is None:
        raise refused(ask.source, "was not merged into another", "chưa được gộp vào hồ sơ nào")
    if ask.target.id not in ("", target):
        told = id_without_number(target)
        raise refused(
            ask.source, f"was merged into Patient/{told}", f"đã được gộp vào Patient/{told}"
        )
    way = [ask.source.id]
    while (above := into[way[-1]]) is not None:
        way.append(above)
    return way


def _steps_back(
    means: Means,
    connection: Connection,
    way: Sequence[str],
    group: Sequence[Record],
    now: Mapping[str, _Now],
) -> list[_Step]:
    """The source and the target as before their merge; further up, the numbers of the source go
    that came there by way of the target."""
    told = {one.id: one.provenance for one in group}
    (was, became), (above_was, above_became) = _versions(means, connection, told[way[0]], now)
    source, target = now[way[0]], now[way[1]]
    steps = [
        _Step(source, undone(was, became, source.resource)),
        _Step(target, undone(above_was, above_became, target.resource)),
    ]
    numbers = taken(target.resource, steps[1].resource)
    for id_, above in pairwise(way[1:]):
        _, (above_was, above_became) = _versions(means, connection, told[id_], now)
        here = now[above]
        left = without(here.resource, above_was, above_became, numbers)
        if left != here.resource:
            steps.append(_Step(here, left))
    return steps


def _to_review(
    means: Means, connection: Connection, group: Sequence[Record], steps: Sequence[_Step]
) -> Change | None:
    """A Task, where what was merged into the source holds a number of one of the records that the
    source leaves. (The numbers of the source itself are claimed anew: `changes.claims`.)"""
    source = steps[0].now.id
    apart = merged.with_below(group, source)
    found = places(connection, [(_TYPE, one.id) for one in group])
    versions = newest(means.store, connection, _TYPE, list(found.values()))
    stored = {
        id_: json.read_stored(versions[at.key].content)
        for (_, id_), at in found.items()
        if at.key in versions and versions[at.key].deed != DELETE
    }
    then = {step.now.id: step.resource for step in steps}
    live = [one.id for one in group if one.id in stored and _is_live(one, stored[one.id])]
    below = [id_ for id_ in live if id_ in apart and id_ != source]
    left = [id_ for id_ in live if id_ not in apart]
    for here, there in product(below, left):
        held = [one[there] for one in (stored, then) if there in one]
        if all(share_number(stored[here], one) for one in held):
            task = review.task("same-number", here, there, clock.instant(clock.now()))
            return Change("create", "Task", clock.new_id(), resource=task, where="Task")
    return None


def _is_live(record: Record, patient: Patient) -> bool:
    """As the record that it was merged into."""
    return record.target is not None or is_active(patient)


def _listed(task: Change) -> Issue:
    return Issue(
        "warning",
        "duplicate",
        f"Records of both hold one number; Task/{task.id} lists two of them for review.",
        vi=f"Hồ sơ của hai bên cùng giữ một số; Task/{task.id} ghi hai hồ sơ để rà soát.",
        rule="one-live-holder",
    )


def _versions(
    means: Means, connection: Connection, provenance: str | None, now: Mapping[str, _Now]
) -> list[tuple[Patient, Patient]]:
    """Of the two records of a merge the contents before and after it, by the first version of its
    Provenance, which nobody can change."""
    at = place(connection, "Provenance", provenance or "")
    told = vread(means.store, connection, "Provenance", at, 1) if at is not None else None
    if told is None:
        raise ValueError("a merge without its Provenance")
    resource = json.read_stored(told.content)
    pairs = zip(resource["entity"], resource["target"], strict=True)

    def read(text: str) -> Patient:
        return _read(means, connection, text, now)

    return [(read(was["what"]["reference"]), read(is_["reference"])) for was, is_ in pairs]


def _read(means: Means, connection: Connection, text: str, now: Mapping[str, _Now]) -> Patient:
    reference = parse(text)
    at = now[reference.id or ""].place
    version = vread(means.store, connection, _TYPE, at, int(reference.version or 0))
    if version is None:
        raise ValueError(f"{text} is not there")
    resource: Patient = json.read_stored(version.content)
    return resource
