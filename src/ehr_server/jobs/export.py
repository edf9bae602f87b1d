"""The work behind $export: the record as of one moment, written to NDJSON files part by part.

https://hl7.org/fhir/uv/bulkdata/export.html. A part is the next rows of one leaf, whichever types
they have; it is done when its files are on disk under their names and its row says so. Since the
rows below `Ask.below` never change, a part gives the same files whenever it is run, and a worker
that takes over goes on where the last part ended.
"""

from __future__ import annotations

import time
from collections import defaultdict
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ehr_server import clock
from ehr_server.definitions import definitions
from ehr_server.errors import Refusal
from ehr_server.fhir import json
from ehr_server.fhir.bundle import identity
from ehr_server.fhir.kept import Kept, inlined, kept_in
from ehr_server.store import blobs, export, files
from ehr_server.store.export import Ask, ask_of
from ehr_server.store.files import File, PartFiles
from ehr_server.store.queue import Part
from ehr_server.store.read import DELETE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from datetime import datetime
    from pathlib import Path

    from ehr_server.jobs.work import Work
    from ehr_server.store.connect import Store

PART_ROWS = 100_000
PART_BYTES = 256 << 20  # whichever comes first: a part is what a killed worker does again
_BUFFER_BYTES = 1 << 20
_WAIT_S = 0.05


@dataclass(frozen=True, slots=True)
class Done:
    """A finished part: rows of `leaf` up to the place `until`, and the files they are in."""

    leaf: str
    until: tuple[int, int]
    is_last: bool
    files: tuple[File, ...]

    def as_json(self) -> dict[str, Any]:
        return {
            "until": list(self.until),
            "is_last": self.is_last,
            "files": [file.as_json() for file in self.files],
        }


def run(work: Work) -> None:
    """Do the export job, from wherever it stands. Raises `Interrupted`."""
    ask = ask_of(work.job.request["ask"])
    folder = work.settings.export_path / work.job.id
    files.make_folder(folder)
    files.remove_unfinished(folder)
    while not _is_complete(work.store, ask):
        work.wait(_WAIT_S)
    done = [_done_of(part) for part in work.finished_parts()]
    resources = sum(file.count for part in done for file in part.files)
    for part in _parts(work.store, ask, folder, done, work.go_on):
        resources += sum(file.count for file in part.files)
        progress = {"resources": resources, "leaf": part.leaf}
        work.finish_part(Part(len(done), {"leaf": part.leaf}, part.as_json()), progress)
        done.append(part)


def export_to(
    store: Store,
    folder: Path,
    types: Sequence[str] = (),
    since: datetime | None = None,
    told: Callable[[int], None] = lambda count: None,  # noqa: ARG005
) -> dict[str, Any]:
    """Export to a folder now: NDJSON files, and `manifest.json`, which is returned.

    No `types` means all. `told` hears how many more resources are written. The files of an
    earlier export to the folder are replaced: the folder holds this one alone.
    """
    at = clock.now()
    wanted = tuple(sorted(set(types))) or definitions().resource_types
    with store.transaction() as opened:
        ask = export.begin(store, opened.connection, Ask(opened.tx, wanted), at, since)
    files.make_folder(folder)
    while not _is_complete(store, ask):
        time.sleep(_WAIT_S)
    written: list[File] = []
    for part in _parts(store, ask, folder, [], lambda: None):
        told(sum(file.count for file in part.files))
        written += part.files
    earlier = _named(folder / "manifest.json")
    manifest = files.manifest(
        clock.instant(at), "ehr-server export", written, "", has_deleted=since is not None
    )
    files.write_manifest(folder, json.write_pretty(manifest))
    for name in earlier - {file.name for file in written}:
        folder.joinpath(name).unlink(missing_ok=True)
    return manifest


def _named(manifest: Path) -> set[str]:
    """The names of the files of an earlier export, none where there was none."""
    try:
        found = json.read(manifest.read_bytes())
        urls = [file["url"] for kind in ("output", "deleted") for file in found.get(kind, ())]
    except (FileNotFoundError, Refusal, AttributeError, KeyError, TypeError):
        return set()
    return {url for url in urls if url.endswith(".ndjson") and "/" not in url}


def _is_complete(store: Store, ask: Ask) -> bool:
    """Everything acknowledged before the export was asked for is there, once this is true."""
    with store.connection() as connection:
        return store.horizon(connection) >= ask.below


def _parts(
    store: Store, ask: Ask, folder: Path, done: Sequence[Done], go_on: Callable[[], None]
) -> Iterator[Done]:
    """The parts that are not yet done, each written when it is asked for."""
    number = len(done)
    last = {part.leaf: part for part in done}
    for leaf in ask.leaves():
        after, is_last = ask.start(), False
        if leaf in last:
            after, is_last = last[leaf].until, last[leaf].is_last
        while not is_last:
            go_on()
            with closing(PartFiles(folder, number)) as part_files:
                after, is_last = _write(store, ask, leaf, after, _Pending(part_files, go_on))
                yield Done(leaf, after, is_last, tuple(part_files.publish()))
            number += 1


def _write(
    store: Store, ask: Ask, leaf: str, after: tuple[int, int], pending: _Pending
) -> tuple[tuple[int, int], bool]:
    """Write the next rows of the leaf; where they end, and whether they are the last."""
    count = size = 0
    lines = pending.lines
    large: list[tuple[bytes, Kept]] = []
    binary = definitions().type_number["Binary"]
    with (
        store.connection() as connection,
        closing(export.rows(store, connection, ask, leaf, (after, PART_ROWS))) as rows,
    ):
        for tx, key, type_number, deed, content in rows:
            after = (tx, key)
            count += 1
            size += len(content)
            if deed == DELETE:
                content = _deletion(content)
                type_number = 0
            kept = kept_in(content) if type_number == binary else None
            if kept is None:
                lines[type_number].append(content)
            else:
                large.append((content, kept))
                size += kept.size * 4 // 3
            if size >= pending.flush_at:
                pending.flush(size)
            if size >= PART_BYTES:
                break
        is_last = count < PART_ROWS and size < PART_BYTES
    pending.flush(size)
    for content, kept in large:  # with the connection that the rows no longer take
        id_ = identity(content)[1]
        pending.write(inlined(content, blobs.parts(store, id_, kept)))
    return after, is_last


class _Pending:
    """Lines not yet given to the files, by type number; 0 are deletions."""

    def __init__(self, part_files: PartFiles, go_on: Callable[[], None]) -> None:
        self.lines: defaultdict[int, list[bytes]] = defaultdict(list)
        self.flush_at = _BUFFER_BYTES
        self._files = part_files
        self._go_on = go_on

    def write(self, pieces: Iterable[bytes]) -> None:
        """A Binary with its content, which may be larger than memory."""
        self._files.add_piecewise("Binary", self._while_held(pieces))

    def _while_held(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        for piece in pieces:
            self._go_on()
            yield piece

    def flush(self, size: int) -> None:
        self._go_on()
        names = definitions().type_name
        for number, lines in self.lines.items():
            if lines:
                self._files.add(names.get(number, "deleted"), lines)
                lines.clear()
        self.flush_at = size + _BUFFER_BYTES


def _deletion(content: bytes) -> bytes:
    """A transaction that would delete the resource elsewhere, as the Bulk Data guide has it."""
    resource = json.read_own(content)
    url = f"{resource['resourceType']}/{resource['id']}"
    entry = {"request": {"method": "DELETE", "url": url}}
    return json.write({"resourceType": "Bundle", "type": "transaction", "entry": [entry]})


def _done_of(part: Part) -> Done:
    tx, key = part.done["until"]
    return Done(
        part.request["leaf"],
        (tx, key),
        part.done["is_last"],
        tuple(files.file_of(file) for file in part.done["files"]),
    )
