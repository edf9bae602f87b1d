"""The work behind $export: the record as of one moment, written to files part by part.

https://hl7.org/fhir/uv/bulkdata/export.html. A part is a piece of what is asked for; it is done
when its files are on disk under their names and its row says so. Since what is read never changes,
a part gives the same resources whenever it is run, though in another order where some changed
since; so each attempt has files of its own, and those count that the row names. A worker that takes
over does the parts that were planned and not done, then goes on cutting where the last was cut.
"""

from __future__ import annotations

import errno
import time
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ehr_server import clock
from ehr_server.access.caller import asker_of
from ehr_server.access.log import log_bulk
from ehr_server.definitions import definitions
from ehr_server.errors import Refusal, Unprocessable
from ehr_server.fhir import json
from ehr_server.jobs import export_part
from ehr_server.jobs.export_part import Place
from ehr_server.jobs.export_select import sparse_leaves
from ehr_server.jobs.work import Failed
from ehr_server.processes import Processes, Task
from ehr_server.store import cohort, export, files
from ehr_server.store.export import (
    Ask,
    Chunk,
    Piece,
    Range,
    Stretch,
    Veil,
    ask_of,
    piece_of,
)
from ehr_server.store.files import File, file_of
from ehr_server.store.manifest import Heading, manifest
from ehr_server.store.progress import Progress, progress_of
from ehr_server.store.queue import Part
from ehr_server.views.tables import Tables, tables_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from datetime import datetime
    from pathlib import Path

    from ehr_server.jobs.work import Work
    from ehr_server.store.connect import Store
    from ehr_server.store.files import Form

_WAIT_S = 0.05
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
_ENDINGS = (".ndjson", ".parquet", ".csv", ".json")
# So many rows are written here: to start a process takes as long.
_ALONE_ROWS = 50_000

Numbered = tuple[int, Piece]
Done = tuple[int, Piece, list[File]]


@dataclass(frozen=True, slots=True)
class Wish:
    """What `export_to` is asked for: the names of types, none for all; what changed since an
    instant; in which form; by how many processes; the tables of views in place of resources; what a
    policy hides."""

    types: Sequence[str] = ()
    since: datetime | None = None
    form: Form = "ndjson"
    processes: int = 1
    tables: Tables | None = None
    veil: Veil | None = None


def run(work: Work) -> None:
    """Do the export job, from wherever it stands. Raises `Interrupted`."""
    request = work.job.request
    ask = ask_of(request["ask"])
    folder = work.settings.export_path / work.job.id
    files.make_folder(folder)
    files.remove_unfinished(folder)
    while not export.is_complete(work.store, ask):
        work.wait(_WAIT_S)
    told = _Told(work, _expected(work.store, ask)[0])
    tables = tables_of(request["tables"]) if "tables" in request else None
    outcomes = tuple(request.get("outcomes", ()))
    place = Place(folder, ask, request["form"], tables, outcomes, is_of_job=True)
    writing = _Writing(work.store, place, work.settings.processes)
    try:
        for number, piece, written in writing.files(_planned(work, ask), work.go_on):
            told.finished(number, piece, written)
    except OSError as error:
        if error.errno in _NO_ROOM:
            work.note({"trouble": files.NO_ROOM})
        raise
    except Unprocessable as refusal:  # what a view cannot hold
        raise Failed(refusal.text, refusal.vi or refusal.text) from refusal
    done = work.finished_parts()
    named = {file_of(file).stored_name for part in done for file in part.done["files"]}
    files.keep_only(folder, named)
    if work.settings.audit != "off":
        whose, what = asker_of(work.job.request), f"$export-status/{work.job.id}"
        number = sum(file["count"] for part in done for file in part.done["files"])
        log_bulk(work.store, whose, "export-end", what, number)


def export_to(
    store: Store,
    folder: Path,
    wish: Wish | None = None,
    told: Callable[[int], None] = lambda count: None,  # noqa: ARG005
) -> dict[str, Any]:
    """Export to a folder now: files, and `manifest.json`, which is returned.

    `told` hears how many more resources are written. The files of an earlier export to the folder
    are replaced: the folder holds this one alone.
    """
    wish = wish or Wish()
    at = clock.now()
    types = wish.types if wish.tables is None else wish.tables.made().types()
    wanted = tuple(sorted(set(types))) or definitions().resource_types
    with store.transaction() as opened:
        ask = export.begin(
            store, opened.connection, Ask(opened.tx, wanted, veil=wish.veil), at, wish.since
        )
    files.make_folder(folder)
    while not export.is_complete(store, ask):
        time.sleep(_WAIT_S)
    written: list[tuple[int, list[File]]] = []
    writing = _Writing(store, Place(folder, ask, wish.form, wish.tables), wish.processes)
    pieces = enumerate(export.stretches(store, ask))
    for number, _, some in writing.files(pieces, lambda: None):
        told(sum(file.count for file in some))
        written.append((number, some))
    earlier = _named(folder / "manifest.json")
    heading = Heading(clock.instant(at), "ehr-server export", "", wish.since is not None)
    found = [file for _, some in sorted(written) for file in some]
    made = manifest(heading, found)
    files.write_manifest(folder, json.write_pretty(made))
    for name in earlier - {file.name for file in found}:
        folder.joinpath(name).unlink(missing_ok=True)
        folder.joinpath(f"{name}.gz").unlink(missing_ok=True)
    return made


class _Told:
    """Records which parts are done, and how far the whole is."""

    def __init__(self, work: Work, expected: int) -> None:
        self._work = work
        done = work.finished_parts()
        resources = sum(file["count"] for part in done for file in part.done["files"])
        before = progress_of(work.job.progress)
        began = before.began if before is not None else clock.instant(clock.now())
        self._progress = Progress(began, len(done), max(expected, len(done)), resources)

    def finished(self, number: int, piece: Piece, written: Sequence[File]) -> None:
        before = self._progress
        parts = before.parts + 1
        resources = before.resources + sum(file.count for file in written)
        self._progress = Progress(before.began, parts, max(before.of, parts), resources)
        done = {"files": [file.as_json() for file in written]}
        part = Part(number, piece.as_json(), done)
        self._work.finish_part(part, self._progress.as_json())


def _planned(work: Work, ask: Ask) -> Iterator[Numbered]:
    """The parts that are still to be done: those planned before, then what comes after them. A list
    of persons was cut at the kick-off."""
    planned = [(number, piece_of(request)) for number, request in work.planned_parts()]
    done = {part.number for part in work.finished_parts()}
    if ask.cohort:
        with work.store.connection() as connection:
            count = cohort.chunks(connection, ask.cohort)
        yield from ((number, Chunk(number)) for number in range(count) if number not in done)
        return
    yield from ((number, piece) for number, piece in planned if number not in done)
    last = planned[-1][1] if planned else None
    for number, piece in enumerate(_pieces(work.store, ask, last), len(planned)):
        work.plan_part(number, piece.as_json())
        yield number, piece


def _pieces(store: Store, ask: Ask, last: Piece | None) -> Iterator[Piece]:
    """All that is to be written, or what comes after the last that was planned."""
    if ask.is_by_person:
        return cohort.ranges(store, ask, last if isinstance(last, Range) else None)
    sparse = sparse_leaves(store, ask) if ask.filters.queries else ()
    return export.stretches(store, ask, last if isinstance(last, Stretch) else None, sparse)


def _expected(store: Store, ask: Ask) -> tuple[int, int]:
    """About how many parts there will be, and rows to look at."""
    if not ask.cohort and not ask.is_by_person:
        return export.expected(store, ask)
    with store.connection() as connection:
        parts = cohort.expected(connection, ask)
    return parts, parts * export.PIECE_ROWS


@dataclass(frozen=True, slots=True)
class _Writing:
    """How parts become files: here while there is little to write or one process is asked for, by
    several otherwise."""

    store: Store
    place: Place
    processes: int

    def files(self, pieces: Iterable[Numbered], go_on: Callable[[], None]) -> Iterator[Done]:
        """The files of each part, as they come to be."""
        parts, rows = _expected(self.store, self.place.ask)
        if self.processes <= 1 or rows < _ALONE_ROWS or parts <= 1:
            writing = export_part.writer(self.store, self.place)
            for number, piece in pieces:
                go_on()
                yield number, piece, writing.write(number, piece, go_on)
            return
        opening = {
            "url": self.store.url,
            "encryption_key": self.store.encryption_key,
            "place": self.place.as_json(),
        }
        tasks = (Task({"number": number, "piece": piece.as_json()}) for number, piece in pieces)
        with closing(Processes(self.processes, export_part.__name__, opening)) as working:
            for task, answer in working.answers(tasks, go_on):
                found = [file_of(file) for file in answer["files"]]
                yield task.asked["number"], piece_of(task.asked["piece"]), found


def _named(path: Path) -> set[str]:
    """The names of the files of an earlier export, none where there was none."""
    try:
        found = json.read(path.read_bytes())
        urls = [file["url"] for kind in ("output", "deleted") for file in found.get(kind, ())]
    except (FileNotFoundError, Refusal, AttributeError, KeyError, TypeError):
        return set()
    return {url for url in urls if url.endswith(_ENDINGS) and "/" not in url}
