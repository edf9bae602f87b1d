"""One live holder: a personal number or a passport is one person's, and nobody else's, for ever.

https://hl7.org/fhir/R4/patient.html. A Patient claims the numbers it did not hold in its version
before. A claim is refused where another live record holds the number, or held it once: a number
that was replaced is never given to anybody else (Decree 70/2024/NĐ-CP Article 11). Where the sender
wishes it (`Prefer: identity=review`), the Patient is stored and a human decides: a Task lists both
(`identity.review`).

A record is live unless it says `active` false; one that was merged into another is as that one is.
What one person's records hold together is no clash. The locks of `changes.resolve` keep two claims
of one number apart, in whatever spelling and naming system they come.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ehr_server import clock
from ehr_server.access.find import at_most
from ehr_server.access.restrict import restrict
from ehr_server.changes.change import Change, Means
from ehr_server.changes.links import scan
from ehr_server.errors import Conflict
from ehr_server.fhir import json
from ehr_server.fhir.bundle import identity
from ehr_server.hashing import hash64, person_comp
from ehr_server.identity import forms, review
from ehr_server.identity.kinds import Number, kind_named
from ehr_server.issue import Issue
from ehr_server.search.query import At, Query
from ehr_server.store.connect import Connection
from ehr_server.store.holders import holders
from ehr_server.store.merged import persons
from ehr_server.store.read import DELETE, newest

_DIRECTORY = "Patient.identifier"  # what hashes of its identifiers begin with


@dataclass(frozen=True, slots=True)
class _Held:
    """A number as a Patient holds it: at which of its identifiers, from which country."""

    number: Number
    country: str | None
    at: int

    def is_same(self, other: "_Held") -> bool:
        """Whether both cannot belong to two people: passports of two countries can."""
        return self.number == other.number and (
            self.country == other.country or None in (self.country, other.country)
        )


@dataclass(frozen=True, slots=True)
class _Clash:
    """A claim of a change, and the id of the live Patient that holds the number already; `place` is
    where that lies, None if the same transaction writes it."""

    change: Change
    held: _Held
    other: str
    place: tuple[int, int] | None


def settle(means: Means, connection: Connection, changes: Sequence[Change]) -> list[Change]:
    """The Tasks to be stored along, one for each two records that a human is to look at.

    Raises `Conflict` for claims of which no review is wished.
    """
    written = [one for one in changes if one.type == "Patient" and one.matched is None]
    claims = {at: held for at, one in enumerate(written) if (held := list(_claimed(one)))}
    if not claims:
        return []
    clashes = [
        *_within(written, claims),
        *_with_stored(means, connection, written, claims),
    ]
    refused = [_refusal(means, connection, one) for one in clashes if not one.change.is_reviewed]
    if refused:
        raise Conflict(issues=refused)
    pairs = {(one.change.id, one.other): one for one in clashes}
    return [_reviewed(one) for one in pairs.values()]


def _claimed(change: Change) -> Iterator[_Held]:
    """The numbers of a live Patient that it did not hold, living, in the version before."""
    if change.resource is None or not _is_live(change.resource):
        return
    before: list[_Held] = []
    if change.now is not None and change.now.deed != DELETE:
        stored = json.read_stored(change.now.content)
        before = list(_held(stored)) if _is_live(stored) else []
    for held in _held(change.resource):
        if not any(held.is_same(one) for one in before):
            yield held


def _is_live(patient: Mapping[str, Any]) -> bool:
    """https://hl7.org/fhir/R4/patient-definitions.html#Patient.active: live if nothing is said."""
    return patient.get("active") is not False


def _held(patient: Mapping[str, Any]) -> Iterator[_Held]:
    for at, identifier in enumerate(patient.get("identifier", ())):
        for number, country in forms.single(identifier):
            yield _Held(number, country, at)


def _within(written: Sequence[Change], claims: Mapping[int, Sequence[_Held]]) -> Iterator[_Clash]:
    """Two Patients of one transaction."""
    first: dict[Number, list[tuple[int, _Held]]] = {}
    for at, change in enumerate(written):
        if change.resource is None or not _is_live(change.resource):
            continue
        for held in _held(change.resource):
            for before, other in first.get(held.number, ()):
                is_claim = held in claims.get(at, ()) or other in claims.get(before, ())
                if before != at and is_claim and held.is_same(other):
                    yield _Clash(change, held, written[before].identity[1], None)
            first.setdefault(held.number, []).append((at, held))


def _with_stored(
    means: Means,
    connection: Connection,
    written: Sequence[Change],
    claims: Mapping[int, Sequence[_Held]],
) -> Iterator[_Clash]:
    """A Patient of the transaction and one that it leaves as it is."""
    numbers = {held.number for several in claims.values() for held in several}
    hashes = [hash_ for number in numbers for hash_ in _hashes(number)]
    own = {change.place.key for change in written if change.place is not None}
    places = [place for place in holders(connection, hashes) if place.key not in own]
    if not places:
        return
    own_comps = {at: person_comp(written[at].identity[1]) for at in claims}
    person = persons(connection, {*own_comps.values(), *(place.comp for place in places)})
    for version in newest(means.store, connection, "Patient", places).values():
        stored = json.read_stored(version.content)
        is_merged = person[version.comp] != version.comp  # into a record that is live
        if version.deed == DELETE or not (is_merged or _is_live(stored)):
            continue
        theirs = list(_held(stored))
        for at, several in claims.items():
            if person[own_comps[at]] == person[version.comp]:
                continue  # records of one person
            for held in several:
                if any(held.is_same(one) for one in theirs):
                    here = (version.comp, version.key)
                    yield _Clash(written[at], held, identity(version.content)[1], here)


def _hashes(number: Number) -> Iterator[int]:
    """Those in the directory, of rows of older formats too."""
    name, value = number
    for key in forms.sought(kind_named(name).system, value, of_person=True):
        yield hash64(_DIRECTORY, *key)


def _refusal(means: Means, connection: Connection, clash: _Clash) -> Issue:
    kind = kind_named(clash.held.number[0])
    whom, whom_vi = "Another live record", "Một hồ sơ khác đang dùng"
    if clash.place is None or _may_see(means, connection, clash.place):
        whom, whom_vi = f"Patient/{clash.other}", f"Patient/{clash.other}"
    return Issue(
        "error",
        "duplicate",
        f"{whom} holds this {kind.en} already, now or as a former one, and no two people have the "
        "same. Is it the same person: update that record (PUT Patient?identifier=..., or "
        "ifNoneExist). Is it another: check the number on the card. To have it stored and looked "
        "at by a human send `Prefer: identity=review`.",
        (f"{clash.change.where}.identifier[{clash.held.at}].value",),
        vi=f"{whom_vi} đã giữ {kind.vi} này (hiện tại hoặc trước đây), mà hai người không thể có "
        "cùng một số. Nếu là cùng một người: hãy cập nhật hồ sơ đó (PUT Patient?identifier=... "
        "hoặc ifNoneExist). Nếu là người khác: hãy xem lại số trên thẻ. Để lưu và chờ người rà "
        "soát, gửi `Prefer: identity=review`.",
        rule="one-live-holder",
    )


def _may_see(means: Means, connection: Connection, place: tuple[int, int]) -> bool:
    query = restrict(Query("Patient", (At((place,)),)), means.caller)
    return bool(at_most(means.store, connection, query, means.caller, 1))


def _reviewed(clash: _Clash) -> Change:
    """The Task of a clash; the Patient gets a finding that names it."""
    change, id_ = clash.change, clash.change.identity[1]
    task = Change("create", "Task", clock.new_id(), where=change.where)
    task.resource = review.task("same-number", id_, clash.other, clock.instant(clock.now()))
    task.references = scan(task.resource, {})[0]
    place = f"{change.where}.identifier[{clash.held.at}].value"
    found = Issue(
        "warning",
        "duplicate",
        f"Another live record holds this number too; Task/{task.id} lists both for review.",
        (place,),
        vi=f"Một hồ sơ khác cũng giữ số này; Task/{task.id} ghi cả hai để rà soát.",
        rule="one-live-holder",
    )
    change.findings = (*change.findings, found)
    return task
