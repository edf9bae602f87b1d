"""Lines gathered to transactions: what may go together, and whose fault it is when one is refused.

A transaction costs what fifty resources do, so lines go together, and so do Bundles. All of it is
one write, whose entries are numbered through; by the number a finding is brought back to its line.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from ehr_server.changes import resolve
from ehr_server.changes.change import Change
from ehr_server.hashing import hash64
from ehr_server.intake.lines import Item
from ehr_server.issue import Issue

TOGETHER = 500  # changes; beyond, a transaction gains nothing and holds its locks longer
LOCKS = 480  # more than 512 are one lock on everything (`store.connect`)
_WRITTEN = re.compile(r"Bundle\.entry\[(\d+)\](?:\.resource)?(.*)", re.DOTALL)


@dataclass(slots=True)
class Unit:
    """A line and its changes: stored together, or not at all. `guards` are the locks of what its
    criteria ask for; one that `is_alone` goes with no other."""

    item: Item
    changes: list[Change]
    guards: set[int] = field(init=False)
    is_alone: bool = field(init=False)
    locks_most: int = field(init=False)
    _locks: set[int] | None = None

    def __post_init__(self) -> None:
        self.guards, self.is_alone, self.locks_most = set(), False, 0
        for change in self.changes:
            held = (change.resource or {}).get("identifier")
            self.locks_most += 1 + 2 * (len(held) if isinstance(held, list) else held is not None)
            asked = change.if_none_exist if change.criteria is None else change.criteria
            if asked is not None:
                self.guards.update(resolve.locks([replace(change, resource=None)]))
                # What is asked for otherwise than by identifier may be any line's, and of an
                # address of the sender others may mean something else.
                by_words = hash64("criteria", change.type, asked.removeprefix("?")) in self.guards
                is_address = bool(change.full_url) and not str(change.full_url).startswith("urn:")
                self.is_alone |= by_words or is_address

    @property
    def locks(self) -> set[int]:
        """What its changes will lock; worked out when it is asked for, as most need not be."""
        if self._locks is None:
            self._locks = set(resolve.locks(self.changes))
        return self._locks


class Group:
    """Units on their way to one transaction."""

    def __init__(self) -> None:
        self.units: list[Unit] = []
        self._ids: set[tuple[str, str]] = set()
        self._urls: set[str] = set()
        self._guards: set[int] = set()
        self._locks_most = 0
        self._count = 0

    def takes(self, unit: Unit) -> bool:
        """Whether the unit may go with those that are here."""
        if not self.units:
            return True
        return not (
            unit.is_alone
            or self.units[-1].is_alone
            or self._count + len(unit.changes) > TOGETHER
            or self._locks_most + unit.locks_most > LOCKS
            or any((change.type, change.id) in self._ids for change in unit.changes)
            or any(change.full_url in self._urls for change in unit.changes)
            or self._is_guarded(unit)
        )

    def add(self, unit: Unit) -> None:
        self.units.append(unit)
        self._count += len(unit.changes)
        self._locks_most += unit.locks_most
        self._guards |= unit.guards
        self._ids.update((one.type, one.id) for one in unit.changes if one.id is not None)
        self._urls.update(one.full_url for one in unit.changes if one.full_url)

    def _is_guarded(self, unit: Unit) -> bool:
        """Whether the criteria of one may ask for what another writes."""
        return (bool(self._guards) and not self._guards.isdisjoint(unit.locks)) or (
            bool(unit.guards) and any(not unit.guards.isdisjoint(one.locks) for one in self.units)
        )


def grouped(units: Iterable[Unit]) -> Iterator[list[Unit]]:
    """The units, in order, as many to a transaction as may go together."""
    group = Group()
    for unit in units:
        if not group.takes(unit):
            yield group.units
            group = Group()
        group.add(unit)
    if group.units:
        yield group.units


def numbered(
    units: Sequence[Unit],
) -> tuple[list[Change], Callable[[Issue], tuple[Unit | None, Issue]]]:
    """The changes of all units, numbered through as entries of one Bundle; and what tells of an
    issue which unit it is about, if any, with its location as that of the line."""
    spots: list[tuple[Unit, str]] = []
    changes = []
    for unit in units:
        for change in unit.changes:
            own = change.where
            change.where = f"Bundle.entry[{len(spots)}].resource"
            spots.append((unit, own))
            changes.append(change)

    def told(issue: Issue) -> tuple[Unit | None, Issue]:
        place = issue.expression[0] if issue.expression else ""
        found = _WRITTEN.fullmatch(place)
        if found is None or int(found[1]) >= len(spots):
            return (units[0] if len(units) == 1 else None), issue
        unit, own = spots[int(found[1])]
        return unit, replace(issue, expression=(own + found[2],))

    return changes, told
