"""One live holder: a personal number or a passport is one person's, and nobody else's.

https://hl7.org/fhir/R4/patient.html. A Patient claims the numbers that it did not hold, living, in
its version before. A claim is refused where another live record holds the number, be it as a former
one (`use` old): a number that was replaced is never given to anybody else (Decree 70/2024/NĐ-CP
Article 11; `changes.former` keeps it). Where the sender wishes it (`Prefer: identity=review`), the
Patient is stored and a human decides: a Task lists both (`identity.review`).

A record is live unless it says `active` false; one that was merged is as live as the one that
survives. What one person's records hold together is no clash. The locks of `changes.resolve` keep
two claims of one number apart, in whatever spelling and naming system they come.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from ehr_server import clock
from ehr_server.access.caller import LOOPBACK
from ehr_server.access.find import at_most
from ehr_server.changes.change import Change, Means
from ehr_server.changes.links import scan
from ehr_server.errors import Conflict
from ehr_server.fhir import json
from ehr_server.fhir.bundle import identity
from ehr_server.hashing import hash64, person_comp
from ehr_server.identity import forms, review
from ehr_server.identity.forms import Single
from ehr_server.identity.kinds import Number, kind_named
from ehr_server.identity.merging import is_active
from ehr_server.issue import Issue
from ehr_server.redact import id_without_number
from ehr_server.search.parse import parse
from ehr_server.search.query import At, Query
from ehr_server.store.connect import Connection
from ehr_server.store.holders import holders
from ehr_server.store.merged import records
from ehr_server.store.read import DELETE, Version, newest, places

Patient = Mapping[str, Any]

_TYPE = "Patient"
_DIRECTORY = "Patient.identifier"  # what hashes of its identifiers begin with
_TASKS_MAX = 5  # of a pair that are looked at


@dataclass(frozen=True, slots=True)
class _Record:
    """A Patient, written or stored: its id, compartment and content. Of a written one the change
    and the content before, of a stored one its place (comp, key)."""

    id: str
    comp: int
    patient: Patient
    change: Change | None = None
    before: Patient | None = None
    place: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class _Persons:
    """Who is one person: by compartment that of the record that survives, its own if it was not
    merged. `in_use` are the survivors that are active."""

    survivor: Mapping[int, int]
    in_use: Collection[int]

    def is_live(self, comp: int, patient: Patient | None) -> bool:
        """Whether the record counts as one in use."""
        survivor = self.survivor.get(comp, comp)
        is_merged = survivor != comp and survivor in self.in_use
        return patient is not None and (is_merged or is_active(patient))

    def are_one(self, one: _Record, other: _Record) -> bool:
        """Whether both are one person's."""
        found = (self.survivor.get(comp, comp) for comp in (one.comp, other.comp))
        return len({*found}) == 1


@dataclass(frozen=True, slots=True)
class _Clash:
    """A claim of a change, at which of its identifiers, and the record that holds the number."""

    change: Change
    number: Number
    at: int
    other: _Record

    @property
    def pair(self) -> str:
        """What stands for the two records, on the review list."""
        return review.pair(self.change.identity[1], self.other.id)


def settle(means: Means, connection: Connection, changes: Sequence[Change]) -> list[Change]:
    """The Tasks to be stored along, one for each two records that a human is to look at and was not
    asked about before.

    Raises `Conflict` for claims of which no review is wished.
    """
    written = list(_written(changes))
    numbers = {single.number for one in written for _, single in _new(one, is_active)}
    if not numbers:
        return []
    stored = _holders(means, connection, changes, numbers)
    persons = _persons(means, connection, written, stored)
    clashes = list(_clashes(written, stored, persons))[::-1]  # in the order sent
    refused = [_refusal(means, connection, one) for one in clashes if not one.change.is_reviewed]
    if refused:
        raise Conflict(issues=refused)
    pairs = {one.pair: one for one in clashes}
    listed = _listed(means, connection, pairs)
    tasks = {pair: _task(one) for pair, one in pairs.items() if pair not in listed}
    is_told = means.caller.sees_all("Task")
    for pair, one in pairs.items():
        id_ = listed[pair] if pair in listed else tasks[pair].identity[1]
        _note(one, f"Task/{id_}" if is_told else "a Task")
    return list(tasks.values())


def held(patient: Patient) -> Iterator[tuple[int, Single]]:
    """The numbers of which a person has one, each with the position of its identifier."""
    for at, identifier in enumerate(patient.get("identifier", ())):
        for single in forms.single(identifier):
            yield at, single


def _written(changes: Sequence[Change]) -> Iterator[_Record]:
    for change in changes:
        if change.type == _TYPE and change.matched is None and change.resource is not None:
            now = change.now if change.now is not None and change.now.deed != DELETE else None
            before = json.read_stored(now.content) if now is not None else None
            id_ = change.identity[1]
            yield _Record(id_, person_comp(id_), change.resource, change, before)


def _new(one: _Record, was_live: Callable[[Patient], bool]) -> Iterator[tuple[int, Single]]:
    """The numbers that the record did not hold, living, in the version before."""
    is_kept = one.before is not None and was_live(one.before)
    was = [single for _, single in held(one.before or {})] if is_kept else []
    for at, single in held(one.patient):
        if not any(single.is_same(other) for other in was):
            yield at, single


def _holders(
    means: Means, connection: Connection, changes: Sequence[Change], numbers: Collection[Number]
) -> list[_Record]:
    """The stored Patients that carry the numbers, but for those that the transaction changes."""
    changed = {one.place.key for one in changes if one.place is not None and one.matched is None}
    hashes = [hash_ for number in numbers for hash_ in _hashes(number)]
    at = [place for place in holders(connection, hashes) if place.key not in changed]
    found = newest(means.store, connection, _TYPE, at).values() if at else ()
    return [_stored(version) for version in found if version.deed != DELETE]


def _stored(version: Version) -> _Record:
    place = (version.comp, version.key)
    patient = json.read_stored(version.content)
    return _Record(identity(version.content)[1], version.comp, patient, place=place)


def _persons(
    means: Means, connection: Connection, written: Sequence[_Record], stored: Sequence[_Record]
) -> _Persons:
    """Asked of those who may have been merged: not of who is new."""
    comps = {one.comp for one in (*written, *stored) if one.before is not None or one.place}
    found = records(connection, comps)
    survivors = {one.id: one.comp for one in found if one.comp == one.person}
    news = {one.id: one.patient for one in written}
    at = places(connection, [(_TYPE, id_) for id_ in survivors.keys() - news.keys()])
    olds = newest(means.store, connection, _TYPE, list(at.values())).values() if at else ()
    read = {one.id: one.patient for one in map(_stored, olds) if at[_TYPE, one.id].live}
    in_use = {
        survivors[id_]
        for id_, patient in {**read, **news}.items()
        if id_ in survivors and is_active(patient)
    }
    return _Persons({one.comp: one.person for one in found}, in_use)


def _clashes(
    written: Sequence[_Record], stored: Sequence[_Record], persons: _Persons
) -> Iterator[_Clash]:
    """Claims of what another live record holds, stored or of the same transaction; where two claim
    one number the later is told."""
    others = [one for one in (*stored, *written) if persons.is_live(one.comp, one.patient)]
    carried: dict[Number, list[tuple[_Record, Single]]] = {}
    for other in others:
        for _, single in held(other.patient):
            carried.setdefault(single.number, []).append((other, single))
    told: set[frozenset[str]] = set()
    for one in reversed(written):
        change = one.change
        if change is None or not persons.is_live(one.comp, one.patient):
            continue
        for at, single in _new(one, partial(persons.is_live, one.comp)):
            for other, theirs in carried[single.number]:
                both = frozenset((one.id, other.id))
                if persons.are_one(one, other) or not single.is_same(theirs) or both in told:
                    continue
                told.add(both)
                yield _Clash(change, single.number, at, other)


def _hashes(number: Number) -> Iterator[int]:
    """Those in the directory. Of rows of an older format (`search.rows.FORMAT`) too, but for
    numbers that stand there in a spelling of their own: until the index is renewed."""
    name, value = number
    for key in (*forms.sought(kind_named(name).system, value, of_person=True), (value.casefold(),)):
        yield hash64(_DIRECTORY, *key)


def _listed(means: Means, connection: Connection, pairs: Collection[str]) -> dict[str, str]:
    """The ids of the Tasks of those pairs that a human looks at, or told apart. Of a pair that was
    found to be one person, and is two records again, is asked anew."""
    values = ",".join(f"{review.PAIR}|{pair}" for pair in pairs)
    if not values:
        return {}
    query = parse("Task", [("identifier", values)], means.rules)
    found = at_most(means.store, connection, query, LOOPBACK, _TASKS_MAX * len(pairs))
    tasks = [json.read_stored(match.content) for match in found]
    return {
        identifier["value"]: task["id"]
        for task in tasks
        if task.get("status") != "completed"
        for identifier in task.get("identifier", ())
        if identifier.get("value") in pairs
    }


def _refusal(means: Means, connection: Connection, clash: _Clash) -> Issue:
    kind = kind_named(clash.number[0])
    whom, whom_vi = "Another live record", "Một hồ sơ khác đang dùng"
    if clash.other.place is None or _may_see(means, connection, clash.other.place):
        whom = whom_vi = f"Patient/{id_without_number(clash.other.id)}"
    return Issue(
        "error",
        "duplicate",
        f"{whom} holds this {kind.en} already, now or as a former one, and no two people have the "
        "same. Is it the same person: update that record (PUT Patient?identifier=..., or "
        "ifNoneExist). Is it another: check the number on the card. To have it stored and looked "
        "at by a human send `Prefer: identity=review`.",
        (f"{clash.change.where}.identifier[{clash.at}].value",),
        vi=f"{whom_vi} đã giữ {kind.vi} này (hiện tại hoặc trước đây), mà hai người không thể có "
        "cùng một số. Nếu là cùng một người: hãy cập nhật hồ sơ đó (PUT Patient?identifier=... "
        "hoặc ifNoneExist). Nếu là người khác: hãy xem lại số trên thẻ. Để lưu và chờ người rà "
        "soát, gửi `Prefer: identity=review`.",
        rule="one-live-holder",
    )


def _may_see(means: Means, connection: Connection, place: tuple[int, int]) -> bool:
    query = Query("Patient", (At((place,)),))
    return bool(at_most(means.store, connection, query, means.caller, 1))


def _task(clash: _Clash) -> Change:
    id_ = clash.change.identity[1]
    task = Change("create", "Task", clock.new_id(), where=clash.change.where)
    task.resource = review.task("same-number", id_, clash.other.id, clock.instant(clock.now()))
    task.references = scan(task.resource, {})[0]
    return task


def _note(clash: _Clash, task: str) -> None:
    """Tell the sender which Task the Patient is on, if they may read it."""
    found = Issue(
        "warning",
        "duplicate",
        f"Another live record holds this number too; {task} lists both for review.",
        (f"{clash.change.where}.identifier[{clash.at}].value",),
        vi=f"Một hồ sơ khác cũng giữ số này; {task.replace('a Task', 'một Task')} ghi cả hai để rà "
        "soát.",
        rule="one-live-holder",
    )
    clash.change.findings = (*clash.change.findings, found)
