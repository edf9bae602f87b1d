"""A part of an export: the rows of one piece, written to files.

As a process of its own (`jobs.processes`) it reads the opening line `Place` and then, line by
line, what to write; it answers each with the files. Several of them share the work, since one
writes 200,000 resources a second at most.
"""

from __future__ import annotations

from collections import defaultdict
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ehr_server.definitions import definitions
from ehr_server.fhir import json
from ehr_server.fhir.bundle import identity
from ehr_server.fhir.kept import Kept, inlined, kept_in
from ehr_server.jobs.processes import answer_from_now_on
from ehr_server.search.index import patients
from ehr_server.search.rules import Rules
from ehr_server.store import blobs, export
from ehr_server.store.connect import Store
from ehr_server.store.export import Ask, Piece, ask_of, piece_of
from ehr_server.store.files import DELETED, File, PartFiles, Sheets, ndjson
from ehr_server.store.read import DELETE
from ehr_server.views.resources import ResourceTable
from ehr_server.views.tables import Made, Tables, tables_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from ehr_server.store.files import Form

_BUFFER_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Place:
    """Where parts go and in which form: as resources, or as the `tables` of views."""

    folder: Path
    ask: Ask
    form: Form
    tables: Tables | None = None

    def as_json(self) -> dict[str, Any]:
        """As another process is told; `place_of` reads it."""
        return {
            "folder": str(self.folder),
            "ask": self.ask.as_json(),
            "form": self.form,
            "tables": None if self.tables is None else self.tables.as_json(),
        }


def place_of(value: dict[str, Any]) -> Place:
    """The place that `as_json` wrote."""
    tables = None if value["tables"] is None else tables_of(value["tables"])
    return Place(Path(value["folder"]), ask_of(value["ask"]), value["form"], tables)


def write(
    store: Store, place: Place, number: int, piece: Piece, go_on: Callable[[], None]
) -> list[File]:
    """Write the part `number`; its files. `go_on` is called often, and may raise.

    Raises OSError where the disk is full.
    """
    made = None if place.tables is None else place.tables.made()
    with closing(PartFiles(place.folder, number, _sheets(place.form, made))) as files:
        pending = _Pending(files, go_on, made)
        large = _write_rows(store, place.ask, piece, pending)
        pending.flush()
        for content, kept in large:  # with the connection that the rows no longer take
            pieces = blobs.parts(store, identity(content)[1], kept)
            files.add_piecewise("Binary", _while_held(inlined(content, pieces), go_on))
        return files.publish()


def _write_rows(
    store: Store, ask: Ask, piece: Piece, pending: _Pending
) -> list[tuple[bytes, Kept]]:
    """All of the piece but the Binaries whose content lies beside them: those are given back."""
    large: list[tuple[bytes, Kept]] = []
    binary = definitions().type_number["Binary"]
    unpack, lines, size = store.contents.unpack, pending.lines, 0
    with (
        store.connection() as connection,
        connection.transaction(),
        closing(export.rows(connection, ask, piece)) as rows,
    ):
        for _, number, deed, enc, stored in rows:
            content = unpack(enc, stored)
            if deed == DELETE:
                content, number = _deletion(content), _DELETION
            elif number == binary and pending.is_whole and (kept := kept_in(content)) is not None:
                large.append((content, kept))
                continue
            lines[number].append(content)
            size += len(content)
            if size >= _BUFFER_BYTES:
                pending.flush()
                size = 0
    return large


_DELETION = 0  # no type has this number


class _Pending:
    """Lines that are not yet given to the files, by the number of their type."""

    def __init__(self, files: PartFiles, go_on: Callable[[], None], made: Made | None) -> None:
        self.lines: defaultdict[int, list[bytes]] = defaultdict(list)
        self.is_whole = made is None  # a view looks at no content that lies beside its Binary
        self._files = files
        self._go_on = go_on
        self._made = made

    def flush(self) -> None:
        self._go_on()
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


def _while_held(pieces: Iterable[bytes], go_on: Callable[[], None]) -> Iterator[bytes]:
    for piece in pieces:
        go_on()
        yield piece


def _deletion(content: bytes) -> bytes:
    """A transaction that would delete the resource elsewhere, as the Bulk Data guide has it."""
    resource = json.read_own(content)
    url = f"{resource['resourceType']}/{resource['id']}"
    entry = {"request": {"method": "DELETE", "url": url}}
    return json.write({"resourceType": "Bundle", "type": "transaction", "entry": [entry]})


def main() -> None:
    """Write parts as they are asked for, until there are no more."""

    def opened(opening: dict[str, Any]) -> Callable[[dict[str, Any]], dict[str, Any]]:
        store, place = Store(opening["url"], pool_size=2), place_of(opening["place"])

        def one(asked: dict[str, Any]) -> dict[str, Any]:
            piece = piece_of(asked["piece"])
            files = write(store, place, asked["number"], piece, lambda: None)
            return {"files": [file.as_json() for file in files]}

        return one

    answer_from_now_on(opened)


if __name__ == "__main__":
    main()
