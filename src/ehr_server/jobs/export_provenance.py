"""Provenance of what is exported, which lies where nobody's compartment says.

https://hl7.org/fhir/uv/bulkdata/export.html#parameters, includeAssociatedData: "all available
Provenance resources whose Provenance.target is a resource in the Patient compartment", or, where it
is asked for, those of the very resources that are exported, whenever they were recorded: all, or
of each the latest. In R4 a Provenance lies in a compartment by targets that are Patients alone.

Of persons it is looked for by the references to what they have; of the whole record the leaf of
Provenance is read, and its targets are looked up. A Provenance of several comes once: with the
first compartment, by number, in which it has a target that counts. It says what it did at the
export's moment; which there are is told by the index as of now, so one whose only target was taken
out of it since may be missing.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ehr_server.access.chosen import InHand
from ehr_server.definitions import definitions
from ehr_server.fhir import json, references
from ehr_server.hashing import own_comp
from ehr_server.search.parameters import STANDARD
from ehr_server.search.types.reference import mark
from ehr_server.store import cohort, export
from ehr_server.store.export import Persons
from ehr_server.store.read import DELETE, places

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from ehr_server.jobs.export_select import Selection
    from ehr_server.store.connect import Connection, Store
    from ehr_server.store.export import Ask, Stretch

PROVENANCE = "Provenance"
_AT_ONCE = 500  # Provenances whose targets are looked up together


@dataclass(frozen=True, slots=True)
class _Told:
    """A Provenance at the moment: where it lies, its content, the resources that it is about."""

    comp: int
    key: int
    content: bytes
    targets: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class _Target:
    """A resource that counts: where it lies, and the compartment that it is exported with."""

    comp: int
    key: int
    owner: int


@dataclass(frozen=True, slots=True)
class Associated:
    """The Provenance that comes along with an export."""

    store: Store
    selection: Selection

    def of_persons(self, connection: Connection, persons: Persons) -> Iterator[tuple[int, bytes]]:
        """The contents that come along with persons, each with the compartment it goes with."""
        with export.looking_up(connection):
            found = cohort.referring(connection, self._ask, persons, self._mark)
        here = set(persons.comps)
        for start in range(0, len(found), _AT_ONCE):
            several = tuple((comp, comp, key) for comp, key in found[start : start + _AT_ONCE])
            told = self._read(connection, Persons((), several))
            for one, owner in self._that_count(connection, told):
                if owner in here:
                    yield owner, one.content

    def of_stretch(self, connection: Connection, stretch: Stretch) -> Iterator[bytes]:
        """So too of all persons, or of the whole record: of a stretch of the leaf of Provenance."""
        found = self._read(connection, stretch)
        for start in range(0, len(found), _AT_ONCE):
            for one, _ in self._that_count(connection, found[start : start + _AT_ONCE]):
                yield one.content

    @property
    def _ask(self) -> Ask:
        return self.selection.ask

    @property
    def _mark(self) -> int:
        (source, *_) = STANDARD.of(PROVENANCE).by_code["target"]
        return mark(source.parameter)

    def _read(self, connection: Connection, piece: Stretch | Persons) -> list[_Told]:
        """The Provenance of the piece at the moment. Where it is asked for, it does not matter when
        it was recorded; else only what changed since is wanted, and what is a person's has come."""
        is_asked_for = bool(self._ask.provenance)
        ask = replace(
            self._ask,
            types=(PROVENANCE,),
            of_patients=False,
            since=None if is_asked_for else self._ask.since,
        )
        unpack = self.store.contents.unpack
        chosen = self.selection.choice.conditions(connection)
        rows: list[InHand] = []
        undecided: list[InHand] = []
        with closing(export.rows(connection, ask, piece, chosen)) as found:
            for comp, number, deed, enc, stored, key, is_decided in found:
                if deed != DELETE and (is_asked_for or not self._has_come(comp)):
                    is_sure = is_decided or not self.selection.choice.is_narrowed(number)
                    (rows if is_sure else undecided).append(InHand(comp, key, unpack(enc, stored)))
        if undecided:
            with export.looking_up(connection):
                rows += self.selection.choice.met(connection, undecided)
        return [_Told(one.comp, one.key, one.content, _targets(one.content)) for one in rows]

    def _has_come(self, comp: int) -> bool:
        """Whether the compartment is exported as a whole."""
        listed = self.selection.listed
        return bool(comp & 1) if listed is None else comp in listed

    def _that_count(
        self, connection: Connection, told: Sequence[_Told]
    ) -> Iterator[tuple[_Told, int]]:
        with export.looking_up(connection):
            found = places(connection, [target for one in told for target in one.targets])
            found = self.selection.choice.readable(self.store, connection, found)
            keys = [at.key for at in found.values()]
            owners = cohort.owners(connection, self.selection.listed, keys)
        targets = {}
        for name, at in found.items():
            owner = at.comp if self._has_come(at.comp) else owners.get(at.key)
            if owner is None and not self._ask.of_patients:
                owner = at.comp  # of the whole record anything counts
            if owner is not None:
                targets[name] = _Target(at.comp, at.key, owner)
        if self._ask.provenance:
            targets = self._exported(connection, targets)
        latest = self._latest(connection, targets) if self._ask.provenance == "latest" else None
        for one in told:
            those = [name for name in one.targets if name in targets]
            if latest is not None:
                those = [name for name in those if latest.get(name) == one.key]
            is_new = bool(self._ask.provenance) or not self._is_among(one, targets)
            if those and is_new:
                yield one, min(targets[name].owner for name in those)

    def _is_among(self, one: _Told, targets: dict[tuple[str, str], _Target]) -> bool:
        """Whether it comes with the compartments already: it is about a Patient who is exported."""
        return any(name in targets and name[0] == "Patient" for name in one.targets)

    def _exported(
        self, connection: Connection, targets: dict[tuple[str, str], _Target]
    ) -> dict[tuple[str, str], _Target]:
        """Those that are themselves in the export."""
        choice, unpack = self.selection.choice, self.store.contents.unpack
        ask = replace(self._ask, of_patients=False)
        beside = tuple((one.owner, one.comp, one.key) for one in targets.values())
        if not beside:
            return {}
        with export.looking_up(connection):
            chosen = choice.conditions(connection)
        keys: set[int] = set()
        undecided: list[InHand] = []
        with closing(export.rows(connection, ask, Persons((), beside), chosen)) as rows:
            for comp, number, deed, enc, stored, key, is_decided in rows:
                if is_decided or not choice.is_narrowed(number):
                    keys |= {key} if deed != DELETE else set()
                elif deed != DELETE:
                    undecided.append(InHand(comp, key, unpack(enc, stored)))
        if undecided:
            with export.looking_up(connection):
                keys |= {one.key for one in choice.met(connection, undecided)}
        return {name: one for name, one in targets.items() if one.key in keys}

    def _latest(
        self, connection: Connection, targets: Iterable[tuple[str, str]]
    ) -> dict[tuple[str, str], int]:
        """Of each target the key of the Provenance that was recorded last."""
        owns = {own_comp(*name): name for name in targets}
        with export.looking_up(connection):
            found = cohort.latest(connection, self._ask, list(owns), self._mark)
        return {owns[own]: key for own, key in found}


def _targets(content: bytes) -> tuple[tuple[str, str], ...]:
    """Type and id of the resources of this server that a Provenance is about."""
    resource: dict[str, Any] = json.read_stored(content)
    texts = [one.get("reference", "") for one in resource.get("target", ())]
    found = [references.parse(text) for text in texts]
    return tuple(
        (one.type, one.id)
        for one in found
        if one.kind == "local" and one.type and one.type in definitions().type_number and one.id
    )
