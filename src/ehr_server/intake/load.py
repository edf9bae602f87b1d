"""A part brought through the write path, and what came of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from ehr_server import clock
from ehr_server.changes.apply import apply
from ehr_server.changes.binary import TYPE as BINARY
from ehr_server.changes.change import Change, Done, Means
from ehr_server.changes.links import scan
from ehr_server.changes.rows import is_unchanged
from ehr_server.definitions import definitions
from ehr_server.errors import (
    Conflict,
    Invalid,
    Overtaken,
    PreconditionFailed,
    Refusal,
    Unavailable,
)
from ehr_server.fhir import json
from ehr_server.fhir.outcome import issues_of
from ehr_server.fhir.references import parse
from ehr_server.intake import meeting
from ehr_server.intake.entries import Text, changes_of
from ehr_server.intake.lines import Item, items
from ehr_server.intake.report import Finding, finding, finding_of
from ehr_server.intake.units import Unit, grouped, numbered
from ehr_server.issue import Issue
from ehr_server.redact import id_without_number
from ehr_server.store import import_ as kept
from ehr_server.store.read import newest, places

if TYPE_CHECKING:
    from datetime import datetime

    from ehr_server.intake.parts import Part
    from ehr_server.intake.sources import Source
    from ehr_server.intake.wish import Wish

FINDINGS_MAX = 10_000  # of a part that are told one by one
_ATTEMPTS_MAX = 10
_OPEN_AT_ONCE = 5_000  # ids looked up by one statement

Place = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Intake:
    """What parts are done with: the write path, the wish, the files, the job they are of and when
    that was begun."""

    means: Means
    wish: Wish
    sources: Sequence[Source]
    job: str
    begun: datetime
    line_bytes_max: int


@dataclass(slots=True)
class Counts:
    """Of a file: resources `stored` anew, `same` as they were, lines `refused`, references
    `removed`."""

    stored: int = 0
    same: int = 0
    refused: int = 0
    removed: int = 0

    def add(self, other: Counts) -> None:
        self.stored += other.stored
        self.same += other.same
        self.refused += other.refused
        self.removed += other.removed


@dataclass(slots=True)
class Outcome:
    """What came of a part: counts by file (its place in the list), and what is to be told, as long
    as it is not too much.

    `open` are the references to what was not there when the part was done, as
    `store.import_.dangling` reads them. `later` are the lines that wait for all others, `names`
    the resources on them. `is_stopped` at the first refusal, as wished.
    """

    counts: dict[int, Counts] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    open: list[list[Any]] = field(default_factory=list)
    later: list[Place] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    is_stopped: bool = False

    def of(self, file: int) -> Counts:
        """The counts of a file."""
        return self.counts.setdefault(file, Counts())

    def total(self) -> Counts:
        """The counts of all files."""
        found = Counts()
        for one in self.counts.values():
            found.add(one)
        return found

    def as_json(self) -> dict[str, Any]:
        """As it passes between processes and as a job keeps it; `outcome_of` reads it."""
        return {
            "counts": [
                [file, one.stored, one.same, one.refused, one.removed]
                for file, one in self.counts.items()
            ],
            "findings": [one.as_json() for one in self.findings],
            "open": self.open,
            "later": self.later,
            "names": self.names,
            "is_stopped": self.is_stopped,
        }


def outcome_of(value: dict[str, Any]) -> Outcome:
    """The outcome that `as_json` wrote."""
    return Outcome(
        {file: Counts(*counts) for file, *counts in value["counts"]},
        [finding_of(one) for one in value["findings"]],
        value["open"],
        [(file, line) for file, line in value["later"]],
        value["names"],
        value["is_stopped"],
    )


def load(intake: Intake, part: Part, go_on: Callable[[], None] = lambda: None) -> Outcome:
    """Do a part. `go_on` is called between transactions, and may raise.

    A line is stored whole or not at all; that its neighbour is refused does not matter to it.
    References are not checked, since the order of lines and files is free; what they lead to, and
    is not here at the end of the part, is noted.

    Raises `Unavailable` when the database is away or full: the part is then to be done again.
    """
    doing = _Doing(intake, part)
    for group in grouped(doing.units()):
        go_on()
        doing.store(group)
        if doing.outcome.is_stopped:
            break
    doing.look_at_references()
    return doing.outcome


class _Doing:
    """One part in hand."""

    def __init__(self, intake: Intake, part: Part) -> None:
        self.outcome = Outcome()
        self._intake = intake
        self._means = replace(intake.means, check_references=False)
        self._wish = intake.wish
        self._part = part
        self._told: Callable[[Issue], tuple[Unit | None, Issue]] = lambda issue: (None, issue)
        self._seen: dict[tuple[str, str], tuple[Place, bytes]] = {}
        self._stored: set[tuple[str, str]] = set()
        self._targets: dict[str, list[Any]] = {}  # text: place, location, count

    def units(self) -> Iterator[Unit]:
        """The lines that can be understood; the others are refused."""
        part, intake = self._part, self._intake
        for item in items(part, intake.sources, intake.line_bytes_max):
            try:
                changes = self._changes(item)
            except Refusal as refusal:
                self._refuse(item, issues_of(refusal))
                if self.outcome.is_stopped:  # what stands before it is stored
                    return
                continue
            if part.only is None and any(change.deed == "delete" for change in changes):
                self._wait(Unit(item, changes))
            elif changes:
                yield Unit(item, changes)

    def store(self, group: Sequence[Unit]) -> None:
        """Store the units; those that cannot be are told, and the others stored without them, or
        those that stand before the first such alone."""
        waiting: list[list[Unit]] = [[]]
        for unit in group:
            if not self._is_told_otherwise(unit):
                waiting[0].append(unit)
            elif self.outcome.is_stopped:
                break
        is_first = True
        while waiting:
            units = waiting.pop()
            if not is_first:  # what a refused attempt has made of them is not to be trusted
                units = [Unit(one.item, self._changes(one.item)) for one in units]
            is_first = False
            try:
                self._apply(units)
            except Unavailable:
                raise
            except Refusal as refusal:
                left = self._left(units, refusal)
                waiting = left if self.outcome.is_stopped else waiting + left

    def look_at_references(self) -> None:
        """Note what was referred to and is not here."""
        base = self._means.base_url
        by_identity = {}
        for text, noted in self._targets.items():
            to = parse(text, base)
            identity = (to.type or "", to.id or "")
            is_here = to.kind == "local" and identity[0] in definitions().type_number
            if is_here and to.version is None and identity not in self._stored:
                by_identity[identity] = noted
        wanted = list(by_identity)
        for at in range(0, len(wanted), _OPEN_AT_ONCE):
            several = set(wanted[at : at + _OPEN_AT_ONCE])
            with self._means.store.connection() as connection:
                for identity in sorted(meeting.absent(connection, several)):
                    (file, line), place, count = by_identity[identity]
                    number = definitions().type_number[identity[0]]
                    self.outcome.open.append([number, identity[1], file, line, place, count])

    def _changes(self, item: Item) -> list[Change]:
        if item.fault is not None:
            raise Invalid(item.fault[0], vi=item.fault[1])
        name = self._intake.sources[item.file].path.name
        text = Text(json.read(item.data), item.data, f"{name}:{item.line}")
        changes = changes_of(text, self._wish, self._means.base_url)
        if self._wish.match == "identifier":
            for change in changes:
                meeting.ask(change)
        return changes

    def _is_told_otherwise(self, unit: Unit) -> bool:
        """Whether a line of the part was stored that tells the same resource in other words: nobody
        knows which is meant, so this one is refused. Two of one resource are never in one group.
        Bundles are deeds: the next may well update what the last has written."""
        for change in _lines_of(unit):
            place, data = self._seen.get(change.identity, (unit.item.place, unit.item.data))
            if place != unit.item.place and data != unit.item.data:
                where = f"{self._intake.sources[place[0]].name}:{place[1]}"
                refusal = Invalid(
                    f"{change.told} stands at {where} already, in other words; that one counts.",
                    vi=f"{change.told} đã có ở {where} với nội dung khác; bản đó được dùng.",
                    expression=(f"{change.where}.id",),
                )
                self._refuse(unit.item, issues_of(refusal))
                return True
        return False

    def _remember(self, units: Iterable[Unit]) -> None:
        """Which line has told a resource."""
        for unit in units:
            for change in _lines_of(unit):
                self._seen.setdefault(change.identity, (unit.item.place, unit.item.data))

    def _apply(self, units: list[Unit]) -> None:
        for attempt in range(_ATTEMPTS_MAX):
            try:
                self._apply_once(units)
                return
            except Overtaken:
                if attempt == _ATTEMPTS_MAX - 1:
                    raise
                clock.wait_a_moment(attempt)
                units[:] = [Unit(one.item, self._changes(one.item)) for one in units]

    def _apply_once(self, units: list[Unit]) -> None:
        called: dict[tuple[str, str], str] = {}
        changes, self._told = numbered(units)
        if self._wish.match == "identifier":
            called = meeting.met(self._means, self._wish.source, units)
        units[:] = self._without_same(units)
        if self._wish.defers:
            units[:] = self._now(units)
        removed = self._without_dangling(units) if self._part.only is not None else []
        whose = [unit.item for unit in units for _ in unit.changes]
        changes = [change for unit in units for change in unit.changes]
        if not changes:
            return
        means = self._means
        if any(change.deed == "delete" for change in changes):
            means = self._intake.means  # what others refer to is not deleted

        def then() -> None:
            self._refuse_overwriting(changes)
            if called:
                self._learn(called)

        done = apply(means, changes, then)
        means.caller.trail.forget()
        self._remember(units)
        self._count(zip(changes, done, whose, strict=True))
        self._note(zip(changes, whose, strict=True))
        for item, issue in removed:
            self.outcome.of(item.file).removed += 1
            self._tell(item, [issue])

    def _without_same(self, units: Sequence[Unit]) -> list[Unit]:
        """The units without the lines that are here already in the same words: those are found to
        be so in half of the time that it takes to check them once more."""
        single = {
            unit.changes[0].identity: unit
            for unit in units
            if len(unit.changes) == 1 and _is_plain(unit.changes[0])
        }
        same = set()
        with self._means.store.connection() as connection:
            lie = places(connection, single)
            by_type: dict[str, list[tuple[str, str]]] = {}
            for identity in lie:
                by_type.setdefault(identity[0], []).append(identity)
            for type_name, several in by_type.items():
                at = [lie[identity] for identity in several]
                versions = newest(self._means.store, connection, type_name, at)
                for identity in several:
                    change, now = single[identity].changes[0], versions.get(lie[identity].key)
                    resource = change.resource or {}
                    if now is not None and is_unchanged(change, resource, (lie[identity], now)):
                        change.references = scan(resource, {})[0]
                        same.add(id(single[identity]))
        left = []
        for unit in units:
            if id(unit) in same:
                self.outcome.of(unit.item.file).same += 1
                self._stored.add(unit.changes[0].identity)
                self._remember([unit])
                self._note([(unit.changes[0], unit.item)])
            else:
                left.append(unit)
        return left

    def _refuse_overwriting(self, changes: Sequence[Change]) -> None:
        """What changed since the import began is not overwritten: by another line of it, and then
        nobody knows which is meant, or by somebody who knew more. Bundles are deeds."""
        issues = [
            _changed_since(change)
            for change in changes
            if change.now is not None and change.resource is not None and change.place is not None
            if change.full_url is None and change.place.live
            if change.now.at >= self._intake.begun
            if not is_unchanged(change, change.resource, (change.place, change.now))
        ]
        if issues:
            raise Conflict(issues=issues)

    def _learn(self, called: dict[tuple[str, str], str]) -> None:
        with self._means.store.connection() as connection:
            kept.learn(connection, self._wish.source, called)

    def _now(self, units: Sequence[Unit]) -> list[Unit]:
        """The units that need not wait, where it is the first time that they are looked at."""
        if self._part.only is not None:
            return list(units)
        base = self._means.base_url
        asked = {id(unit): meeting.targets(unit, base) for unit in units}
        ours = {change.identity for unit in units for change in unit.changes if change.id}
        everything: set[tuple[str, str]] = set()
        everything = everything.union(*asked.values()) - ours
        with self._means.store.connection() as connection:
            gone = meeting.absent(connection, everything)
        now = []
        for unit in units:
            if asked[id(unit)] & gone:
                self._wait(unit)
            else:
                now.append(unit)
        return now

    def _wait(self, unit: Unit) -> None:
        self.outcome.later.append(unit.item.place)
        self.outcome.names += [
            f"{one.type}/{one.id}" for one in unit.changes if one.id and one.deed != "delete"
        ]

    def _without_dangling(self, units: Sequence[Unit]) -> list[tuple[Item, Issue]]:
        """Remove the references to nothing, as wished, and tell which they were."""
        if self._wish.dangling != "remove":
            return []
        base = self._means.base_url
        wanted: set[tuple[str, str]] = set()
        wanted = wanted.union(*(meeting.targets(unit, base) for unit in units))
        with self._means.store.connection() as connection:
            gone = meeting.absent(connection, wanted)
            gone -= kept.waiting(connection, self._intake.job, gone)
        return [
            (unit.item, _removed(type_name, to))
            for unit in units
            for type_name, to in meeting.remove(unit, gone, base)
        ]

    def _count(self, done: Iterable[tuple[Change, Done, Item]]) -> None:
        for change, one, item in done:
            before = change.matched or change.now
            self._stored.add((one.type, one.id))
            if one.ver and (before is None or before.ver != one.ver):
                self.outcome.of(item.file).stored += 1
            else:
                self.outcome.of(item.file).same += 1

    def _note(self, changes: Iterable[tuple[Change, Item]]) -> None:
        """The references of what is stored now, by what they lead to."""
        noted = self._targets
        for change, item in changes:
            if change.resource is None or change.matched is not None:
                continue
            for reference in change.references:
                text = reference["reference"]
                there = noted.get(text)
                if there is None:
                    noted[text] = [item.place, change.type, 1]
                else:
                    there[2] += 1

    def _left(self, units: list[Unit], refusal: Refusal) -> list[list[Unit]]:
        """What is to be tried again without whose fault it was; that is told."""
        found = [self._told(issue) for issue in issues_of(refusal)]
        blamed = {id(unit) for unit, one in found if one.severity in ("error", "fatal")}
        at_fault = [unit for unit in units if id(unit) in blamed]
        if not at_fault and len(units) > 1:
            half = len(units) // 2
            return [units[half:], units[:half]]
        left = [unit for unit in units if id(unit) not in blamed] if at_fault else []
        if isinstance(refusal, PreconditionFailed) and self._part.only is None:
            # What its criteria ask for may come yet: in this group, or in any other part.
            if left:
                return [*([unit] for unit in reversed(at_fault)), left]
            for unit in at_fault or units:
                self._wait(unit)
            return []
        for unit in at_fault or units:
            own = [issue for whose, issue in found if whose is unit]
            self._refuse(unit.item, own or issues_of(refusal))
            if self.outcome.is_stopped:
                before = units[: units.index(unit)]
                return [before] if before else []
        return [left] if left else []

    def _refuse(self, item: Item, issues: Sequence[Issue]) -> None:
        self.outcome.of(item.file).refused += 1
        self._tell(item, issues)
        self.outcome.is_stopped |= self._wish.stops

    def _tell(self, item: Item, issues: Sequence[Issue]) -> None:
        room = max(FINDINGS_MAX - len(self.outcome.findings), 0)
        self.outcome.findings += [finding(item.place, issue) for issue in issues[:room]]


def _is_plain(change: Change) -> bool:
    """Whether it is an update under a given id, of a resource that is kept as it comes; nothing
    else is known of it yet."""
    is_update = change.deed == "update" and change.criteria is None and change.full_url is None
    is_known = change.type in definitions().type_number and change.type != BINARY
    return is_update and is_known and isinstance((change.resource or {}).get("meta", {}), dict)


def _lines_of(unit: Unit) -> Iterator[Change]:
    """The changes that are a line, no entry of a Bundle."""
    return (
        change
        for change in unit.changes
        if change.id is not None and change.resource is not None and change.full_url is None
    )


def _changed_since(change: Change) -> Issue:
    return Issue(
        "error",
        "conflict",
        f"{change.told} was changed since this import began, by another line in other words or by "
        "somebody else; it is left as it is.",
        (f"{change.where}.id",),
        vi=f"{change.told} đã được thay đổi từ khi bắt đầu nhập, bởi dòng khác hoặc người khác; "
        "được giữ nguyên.",
    )


def _removed(type_name: str, to: tuple[str, str]) -> Issue:
    told = f"{to[0]}/{id_without_number(to[1])}"
    return Issue(
        "warning",
        "not-found",
        f"The reference to {told}, which is not here, was removed.",
        (type_name,),
        vi=f"Đã bỏ tham chiếu tới {told} vì không có tài nguyên này.",
    )
