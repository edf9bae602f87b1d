"""A part of an export: the rows of one piece, written to files.

As a process of its own (`ehr_server.processes`) it reads the opening line `Place` and then, line by
line, what to write; it answers each with the files. Several of them share the work, since one
writes 200,000 resources a second at most.
"""

from __future__ import annotations

from collections import defaultdict
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ehr_server.access.chosen import InHand
from ehr_server.definitions import definitions
from ehr_server.fhir import json
from ehr_server.fhir.bundle import identity
from ehr_server.fhir.kept import Kept, inlined, kept_in
from ehr_server.fhir.parameters import parameters
from ehr_server.jobs.export_provenance import PROVENANCE, Associated
from ehr_server.jobs.export_select import Selection, selection
from ehr_server.processes import Answering, Value, answer_from_now_on
from ehr_server.search.index import patients
from ehr_server.search.rules import Rules
from ehr_server.store import blobs, cohort, export
from ehr_server.store.connect import Store
from ehr_server.store.export import Ask, Persons, Piece, Stretch, ask_of, piece_of
from ehr_server.store.files import BLOCKS, DELETED, OUTCOMES, File, PartFiles, Sheets, ndjson
from ehr_server.store.read import DELETE
from ehr_server.views.resources import ResourceTable
from ehr_server.views.tables import Made, Tables, tables_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from ehr_server.access.veiled import Veiled
    from ehr_server.store.connect import Connection
    from ehr_server.store.export import Row
    from ehr_server.store.files import Form

_BUFFER_BYTES = 1 << 20
_PERSONS_AT_ONCE = 100  # some 30 MB of records
_DECIDED_AT_ONCE = 500  # versions that are decided by their content


@dataclass(frozen=True, slots=True)
class Place:
    """Where parts go and in which form: as resources, or as the `tables` of views. `outcomes`,
    OperationOutcomes about the whole, go with the first part. `is_of_job`: as `PartFiles`
    has it."""

    folder: Path
    ask: Ask
    form: Form
    tables: Tables | None = None
    outcomes: tuple[str, ...] = ()
    is_of_job: bool = False

    def as_json(self) -> dict[str, Any]:
        """As another process is told; `place_of` reads it."""
        return {
            "folder": str(self.folder),
            "ask": self.ask.as_json(),
            "form": self.form,
            "tables": None if self.tables is None else self.tables.as_json(),
            "outcomes": list(self.outcomes),
            "is_of_job": self.is_of_job,
        }


def place_of(value: dict[str, Any]) -> Place:
    """The place that `as_json` wrote."""
    tables = None if value["tables"] is None else tables_of(value["tables"])
    folder, ask = Path(value["folder"]), ask_of(value["ask"])
    outcomes = tuple(value["outcomes"])
    return Place(folder, ask, value["form"], tables, outcomes, value["is_of_job"])


@dataclass(frozen=True, slots=True)
class Writer:
    """What parts are written with, made once for many of them."""

    store: Store
    place: Place
    selection: Selection

    def write(self, number: int, piece: Piece, go_on: Callable[[], None]) -> list[File]:
        """Write the part `number`; its files. `go_on` is called often, and may raise.

        Raises OSError where the disk is full.
        """
        made = None if self.place.tables is None else self.place.tables.made()
        sheets = _sheets(self.place.form, made)
        place = self.place
        opened = PartFiles(place.folder, number, sheets, is_of_job=place.is_of_job)
        with closing(opened) as files:
            pending = _Pending(files, self.selection, made, go_on)
            with self.store.connection() as connection, connection.transaction():
                resolved = self.selection.resolved(connection, piece)
                if self.place.ask.is_by_person and isinstance(resolved, Persons):
                    self._write_blocks(connection, resolved, pending)
                elif not (isinstance(resolved, Stretch) and resolved.is_associated):
                    self._write_rows(connection, resolved, pending)
                self._write_associated(connection, resolved, pending)
            pending.flush()
            if number == 0 and self.place.outcomes:
                files.add(OUTCOMES, [one.encode() for one in self.place.outcomes])
            for content, kept in pending.large:  # with the connection that the rows no longer take
                files.add_piecewise("Binary", self._whole(content, kept, go_on))
            return files.publish()

    def _whole(self, content: bytes, kept: Kept, go_on: Callable[[], None]) -> Iterator[bytes]:
        """A Binary with its content that lies beside it, piece by piece."""
        pieces = blobs.parts(self.store, identity(content)[1], kept)
        return _while_held(inlined(content, pieces), go_on)

    def _write_rows(
        self, connection: Connection, piece: Stretch | Persons, pending: _Pending
    ) -> None:
        """All of the piece but the Binaries whose content lies beside them: those are put aside."""
        ask, choice = self.place.ask, self.selection.choice
        unpack, is_plain = self.store.contents.unpack, self.selection.render is None
        binary = definitions().type_number["Binary"]
        undecided: list[Row] = []
        chosen = choice.conditions(connection)
        lines, size = pending.lines, 0
        with closing(export.rows(connection, ask, piece, chosen)) as rows:
            for row in self._belonging(rows, piece):
                _, number, deed, enc, stored, _, is_decided = row
                if is_plain and is_decided and deed != DELETE and number != binary:
                    content = unpack(enc, stored)
                    lines[number].append(content)  # nearly all rows go this way: no call more
                    size += len(content)
                    if size >= _BUFFER_BYTES:
                        pending.flush()
                        size = 0
                elif is_decided or deed == DELETE or not choice.is_narrowed(number):
                    pending.add(number, deed, unpack(enc, stored), row[0])
                else:
                    undecided.append(row)
        for start in range(0, len(undecided), _DECIDED_AT_ONCE):
            several = undecided[start : start + _DECIDED_AT_ONCE]
            met = self._met(connection, several)
            for row in several:
                if row[5] in met:
                    pending.add(row[1], row[2], met[row[5]], row[0])

    def _write_associated(
        self, connection: Connection, piece: Stretch | Persons, pending: _Pending
    ) -> None:
        """The Provenance that comes along; with blocks it has come in them."""
        if not self.place.ask.is_associated:
            return
        associated = Associated(self.store, self.selection)
        number = definitions().type_number[PROVENANCE]
        if isinstance(piece, Stretch):
            if piece.is_associated:
                for content in associated.of_stretch(connection, piece):
                    pending.add(number, 0, content)
        elif not self.place.ask.is_by_person:
            for some in _some(piece):
                for _, content in associated.of_persons(connection, some):
                    pending.add(number, 0, content)

    def _belonging(self, rows: Iterable[Row], piece: Stretch | Persons) -> Iterable[Row]:
        if not isinstance(piece, Persons) or not piece.beside:
            return rows
        return (row for row in rows if self._belongs(row, piece))

    def _belongs(self, row: Row, persons: Persons) -> bool:
        """Whether what is at home elsewhere and changed since belonged to one of the list then."""
        listed = self.selection.listed
        if row[6] or row[2] == DELETE or row[0] in persons.comps or listed is None:
            return True
        content = self.store.contents.unpack(row[3], row[4])
        return any(comp in listed for comp in self.selection.choice.patients(content))

    def _met(self, connection: Connection, undecided: Sequence[Row]) -> dict[int, bytes]:
        """By key the contents of those that are chosen."""
        unpack = self.store.contents.unpack
        several = [InHand(row[0], row[5], unpack(row[3], row[4])) for row in undecided]
        if not several:
            return {}
        with export.looking_up(connection):
            met = self.selection.choice.met(connection, several)
        return {one.key: one.content for one in met}

    def _write_blocks(self, connection: Connection, persons: Persons, pending: _Pending) -> None:
        """Of each person a block: a header, the Patient, what belongs to them. Some persons at a
        time are in memory, and of whom nothing is exported there is no block."""
        ask, choice = self.place.ask, self.selection.choice
        chosen = choice.conditions(connection)
        for some in _some(persons):
            with closing(export.rows_by_person(connection, ask, some, chosen)) as found:
                rows = [one for one in found if self._belongs(one[1], some)]
            undecided = [
                row
                for _, row in rows
                if not row[6] and row[2] != DELETE and choice.is_narrowed(row[1])
            ]
            met = self._met(connection, undecided)
            left_out = {row[5] for row in undecided if row[5] not in met}
            further: defaultdict[int, list[bytes]] = defaultdict(list)
            if ask.is_associated:
                for comp, content in Associated(self.store, self.selection).of_persons(
                    connection, some
                ):
                    further[comp].append(content)
            ids = self._patient_ids(connection, {comp for comp, _ in rows}.union(further))
            for comp, of_person in groupby(rows, key=itemgetter(0)):
                kept = [row for _, row in of_person if row[5] not in left_out]
                self._write_block(ids.get(comp), kept, further.pop(comp, ()), pending)
            for comp, contents in further.items():
                self._write_block(ids.get(comp), (), contents, pending)

    def _patient_ids(self, connection: Connection, comps: set[int]) -> dict[int, str]:
        """Whom the blocks are of. The directory of ids is in no order that leads from a place to
        an id; a content says it."""
        found = cohort.patients(connection, list(comps))
        unpack = self.store.contents.unpack
        return {comp: identity(unpack(enc, stored))[1] for comp, (enc, stored) in found.items()}

    def _write_block(
        self,
        id_: str | None,
        rows: Sequence[Row],
        further: Sequence[bytes],
        pending: _Pending,
    ) -> None:
        unpack = self.store.contents.unpack
        for row in rows:
            if row[2] == DELETE:
                pending.add(row[1], DELETE, unpack(row[3], row[4]), row[0])
        contents = [(unpack(row[3], row[4]), row[0]) for row in rows if row[2] != DELETE]
        contents += ((one, _NOBODY) for one in further)
        lines = [line for one in contents if (line := pending.rendered(*one)) is not None]
        if not lines or id_ is None:
            return
        veiled = self.selection.veiled
        together = [_header(id_ if veiled is None else veiled.id("Patient", id_))]
        for line in lines:
            kept = kept_in(line)
            if kept is None:
                together.append(line)
                continue
            pending.add_lines(BLOCKS, together)
            pending.add_piecewise(BLOCKS, self._whole(line, kept, pending.go_on))
            together = []
        if together:
            pending.add_lines(BLOCKS, together)


def writer(store: Store, place: Place) -> Writer:
    """A writer of parts of the ask. Raises `Invalid` for a search that is no longer possible."""
    return Writer(store, place, selection(store, place.ask))


_DELETION = 0  # no type has this number
_NOBODY = 0  # the compartment of no person


class _Pending:
    """Lines that are not yet given to the files, by the number of their type; `large` are put
    aside."""

    def __init__(
        self,
        files: PartFiles,
        selected: Selection,
        made: Made | None,
        go_on: Callable[[], None],
    ) -> None:
        self.lines: defaultdict[int, list[bytes]] = defaultdict(list)
        self.large: list[tuple[bytes, Kept]] = []
        self._is_whole = made is None  # a view looks at no content that lies beside its Binary
        self._made = made
        self._files = files
        self._render, self._veiled = selected.render, selected.veiled
        self._tells_of_deletion = selected.choice.tells_of_deletion
        self.go_on = go_on
        self._size = 0
        self._binary = definitions().type_number["Binary"]

    def add(self, number: int, deed: int, content: bytes, comp: int = _NOBODY) -> None:
        if deed == DELETE:
            if not self._tells_of_deletion(number, comp):
                return
            content, number = _deletion(content, self._veiled), _DELETION
        else:
            line = self.rendered(content, comp)
            if line is None:
                return
            is_kept = number == self._binary and self._is_whole
            if is_kept and (kept := kept_in(line)) is not None:
                self.large.append((line, kept))
                return
            content = line
        self.lines[number].append(content)
        self._size += len(content)
        if self._size >= _BUFFER_BYTES:
            self.flush()

    def rendered(self, content: bytes, comp: int = _NOBODY) -> bytes | None:
        """The line of a resource of a compartment, None if there is none. Of content that lies
        beside its Binary a policy leaves nothing, as it cannot read it."""
        if self._veiled is not None and kept_in(content) is not None:
            return None
        return content if self._render is None else self._render(content, comp)

    def add_lines(self, kind: str, lines: Sequence[bytes]) -> None:
        """Lines of a kind that is no type, at once."""
        self.go_on()
        self._files.add(kind, lines)

    def add_piecewise(self, kind: str, pieces: Iterable[bytes]) -> None:
        """One line of such a kind, which is made while it is written."""
        self._files.add_piecewise(kind, pieces)

    def flush(self) -> None:
        self.go_on()
        self._size = 0
        for number, lines in self.lines.items():
            for kind in self._kinds(number) if lines else ():
                self._files.add(kind, lines)
            lines.clear()

    def _kinds(self, number: int) -> Sequence[str]:
        """The kinds of files that the resources of a type go to; a deletion is in no table."""
        name = definitions().type_name.get(number, DELETED)
        return (name,) if self._made is None else self._made.names(name)


def _sheets(form: Form, made: Made | None) -> Sheets:
    if made is not None:
        return Sheets(made.format, made.opened)
    if form == "parquet":
        return Sheets("parquet", lambda kind, path: ResourceTable(path, _patient_of))  # noqa: ARG005
    return ndjson(form)


_RULES = Rules(UTC)  # references to a Patient are asked for, which have no zone


def _patient_of(resource: dict[str, Any]) -> str | None:
    """The Patient in whose record a resource lies, itself of a Patient."""
    if resource.get("resourceType") == "Patient":
        return f"Patient/{resource['id']}"
    found = patients(resource, _RULES)
    return f"Patient/{found[0]}" if found else None


def _some(persons: Persons) -> Iterator[Persons]:
    """So many at a time that their records are in memory together."""
    for start in range(0, len(persons.comps), _PERSONS_AT_ONCE):
        comps = persons.comps[start : start + _PERSONS_AT_ONCE]
        yield Persons(comps, tuple(one for one in persons.beside if one[0] in comps))


def _header(id_: str) -> bytes:
    """https://hl7.org/fhir/uv/bulkdata/export.html#bulk-data-output-file-organization"""
    reference = {"reference": f"Patient/{id_}"}
    return json.write(parameters([("header", "valueReference", reference)]))


def _while_held(pieces: Iterable[bytes], go_on: Callable[[], None]) -> Iterator[bytes]:
    for piece in pieces:
        go_on()
        yield piece


def _deletion(content: bytes, veiled: Veiled | None) -> bytes:
    """A transaction that would delete the resource elsewhere, as the Bulk Data guide has it."""
    resource = json.read_own(content)
    type_name, id_ = resource["resourceType"], resource["id"]
    url = f"{type_name}/{id_ if veiled is None else veiled.id(type_name, id_)}"
    entry = {"request": {"method": "DELETE", "url": url}}
    return json.write({"resourceType": "Bundle", "type": "transaction", "entry": [entry]})


def main() -> None:
    """Write parts as they are asked for, until there are no more."""

    def opened(opening: Value) -> Answering:
        store = Store(opening["url"], pool_size=2, encryption_key=opening["encryption_key"])
        writing = writer(store, place_of(opening["place"]))

        def one(asked: Value, _: Sequence[bytes]) -> Value:
            piece = piece_of(asked["piece"])
            files = writing.write(asked["number"], piece, lambda: None)
            return {"files": [file.as_json() for file in files]}

        return one

    answer_from_now_on(opened)


if __name__ == "__main__":
    main()
