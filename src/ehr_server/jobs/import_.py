"""The work behind $import and `ehr-server import`: parts of files, done side by side.

A part is recorded as done by a commit that waits for the disk, after the commits of the process
that did it, which do not: they stand before it in the one log of the database, so what is recorded
is on disk. A worker that takes over does the parts that are not recorded; what of them was stored
already is left as it is, so the result is the same however often one is killed.

The order of files is free. References are looked at when all parts are done, in one statement over
what the parts had found nothing for.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ehr_server import clock
from ehr_server.errors import Refusal, Unavailable
from ehr_server.fhir import json
from ehr_server.fhir.outcome import issues_of
from ehr_server.intake import fetch, process
from ehr_server.intake.load import Counts, Outcome, load, outcome_of
from ehr_server.intake.parts import Part, cut
from ehr_server.intake.process import intake_of, opened, opening_of, task_of
from ehr_server.intake.report import Finding
from ehr_server.intake.sources import Source, source, source_of
from ehr_server.intake.wish import Wish, wish_of
from ehr_server.jobs.work import Failed, Interrupted, Work
from ehr_server.processes import Processes, Task
from ehr_server.redact import id_without_number
from ehr_server.store import import_ as kept
from ehr_server.store import progress as store_progress
from ehr_server.store import queue

if TYPE_CHECKING:
    import threading

    from ehr_server.settings import Settings
    from ehr_server.store.connect import Store

Results = Iterator[tuple[Part, Outcome]]

_BEGUN = 0  # the number of the part that holds what is imported
_LATER = 1_000_000_000  # what numbers of parts that were taken up again begin with
_END = 2_000_000_000
_ANALYZE_FROM = 20_000  # resources
DANGLING_MAX = 10_000  # that are told one by one
_LOOK_S = 0.5
_SMALL_BYTES = 4 << 20  # that are imported sooner than a process has started
_GZIP_SHRINKS = 10  # NDJSON to a tenth, about
_LEASE_S = 10  # of a command: who asks again after a kill waits as long
_PART_FILE = "part-*.ndjson"


@dataclass(slots=True)
class Progress:
    """How far an import is: bytes of the files, what came of them, seconds that it took."""

    read: int = 0
    size: int = 0
    seconds: float = 0.0
    counts: Counts = field(default_factory=Counts)
    dangling: int = 0
    is_stopped: bool = False

    def as_json(self) -> dict[str, Any]:
        """As a job keeps it, and the status tells it."""
        counts = self.counts
        began = clock.now() - timedelta(seconds=self.seconds)
        told = store_progress.Progress(
            clock.instant(began), self.read, self.size, counts.stored + counts.same
        )
        return {
            **told.as_json(),  # as of all jobs
            "read": self.read,
            "size": self.size,
            "seconds": round(self.seconds, 1),
            "stored": counts.stored,
            "same": counts.same,
            "refused": counts.refused,
            "removed": counts.removed,
            "dangling": self.dangling,
            "is_stopped": self.is_stopped,
        }


@dataclass(frozen=True, slots=True)
class Told:
    """Who hears of an import: its progress, and the findings of each part, before it is recorded
    as done."""

    progress: Callable[[Progress], None]
    findings: Callable[[int, Sequence[Finding], Sequence[Source]], None]


@dataclass(frozen=True, slots=True)
class Asked:
    """What a command imports, and what tells it to stop."""

    sources: Sequence[Source]
    wish: Wish
    base_url: str
    stop: threading.Event

    def as_json(self) -> dict[str, Any]:
        """What the job of it holds."""
        return {
            "sources": [one.as_json() for one in self.sources],
            "wish": self.wish.as_json(),
            "base_url": self.base_url,
            "caller": None,
        }


def run(work: Work) -> None:
    """Do the import, from wherever it stands. Raises `Interrupted`, `Unavailable`, and `Failed`
    for files that cannot be fetched."""
    folder = work.settings.import_path / work.job.id
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    def write(number: int, findings: Sequence[Finding], sources: Sequence[Source]) -> None:
        _write(folder, number, findings, sources)

    try:
        import_(work, Told(lambda _: None, write), is_beside=True)
    except Unavailable:
        raise  # it passes
    except Refusal as refusal:
        issue = issues_of(refusal)[0]
        raise Failed(issue.text, issue.vi or issue.text) from refusal
    _end_folder(folder)


def import_(work: Work, told: Told, *, is_beside: bool = False) -> Progress:
    """Do an import for who hears of it; what came of it.

    `is_beside` keeps all of it out of this process, which has others to serve.
    """
    doing = _Doing(work, told, is_beside=is_beside)
    if not doing.progress.is_stopped:
        doing.all_parts()
    if not doing.progress.is_stopped:
        doing.what_waited()
    doing.end()
    return doing.progress


def import_here(store: Store, settings: Settings, asked: Asked, told: Told) -> Progress:
    """Import now, for a command; what an earlier one has left is gone on with.

    Raises `Unavailable`, and `Interrupted` when told to stop: asked the same again it goes on.
    """
    settings = replace(settings, lease_s=min(settings.lease_s, _LEASE_S))
    job = _job_here(store, settings, asked.as_json())
    with Work(store, settings, job, asked.stop) as work:
        try:
            progress = import_(work, told)
        except BaseException:
            with store.connection() as connection:
                queue.give_back(connection, work.job, 0)
            raise
        with store.connection() as connection:
            queue.finish(connection, work.job, queue.DONE, progress.as_json())
    return progress


def _job_here(store: Store, settings: Settings, request: dict[str, Any]) -> queue.Job:
    """The job that an earlier command has left, if it is asked the same; else a new one. One that
    shows a sign of life is another command's, and left to it."""
    with store.connection() as connection:
        left = queue.unfinished(connection, kept.HERE, request)
        held = queue.lease_of(connection, left) if left is not None else None
        while left is not None:
            job = queue.claim_one(connection, left, settings.lease_s)
            if job is not None:
                return job
            if queue.lease_of(connection, left) != held:
                break
            time.sleep(_LOOK_S)
        id_, at = clock.new_id(), clock.now()
        queue.put(connection, queue.Job(id_, kept.HERE, queue.QUEUED, request, {}, 0, at))
        job = queue.claim_one(connection, id_, settings.lease_s)
    if job is None:
        raise Interrupted
    return job


class _Doing:
    """One import in hand."""

    def __init__(self, work: Work, told: Told, *, is_beside: bool) -> None:
        self._work = work
        self._told = told
        self._is_beside = is_beside
        self._begun = clock.ticks_ms()
        self._before_s = float(work.job.progress.get("seconds", 0))
        self._done = {part.number: part.done for part in work.finished_parts()}
        is_new = _BEGUN not in self._done
        if is_new:
            self._begin()
        self.sources = [source_of(one) for one in self._done[_BEGUN]["sources"]]
        if not is_new:
            _check_same(self.sources)
        self._wish: Wish = wish_of(work.job.request["wish"])
        self.progress = Progress(size=sum(one.size for one in self.sources))
        for number, done in self._done.items():
            if number not in (_BEGUN, _END):
                self._add(outcome_of(done | {"findings": []}), done["read"])
        told.progress(self.progress)

    def all_parts(self) -> None:
        """Everything once."""
        most = self._work.settings.import_line_bytes_max
        parts = (part for part in cut(self.sources, most) if part.number + 1 not in self._done)
        self._do(parts, 1)

    def what_waited(self) -> None:
        """The lines that waited for all others."""
        self._do(self._later(), _LATER)

    def end(self) -> None:
        """What is told at the end: what dangles."""
        if _END in self._done:
            self.progress.dangling = self._done[_END]["dangling"]
            return
        findings: list[Finding] = []
        with self._work.store.connection() as connection:
            for one in kept.dangling(connection, self._work.job.id):
                self.progress.dangling += one.count
                if len(findings) < DANGLING_MAX:
                    findings.append(_dangling(one))
        self._told.findings(_END, findings, self.sources)
        if self.progress.counts.stored >= _ANALYZE_FROM:
            self._analyze()
        done = {"dangling": self.progress.dangling}
        self._record(queue.Part(_END, {}, done))

    def _begin(self) -> None:
        request = self._work.job.request
        sources = request["sources"]
        if request.get("fetch"):
            folder = self._work.settings.import_path / self._work.job.id
            found = fetch.fetched(request["fetch"], folder, self._work.settings, self._work.go_on)
            sources = [one.as_json() for one in found]
        done = {"sources": sources}
        self._work.finish_part(queue.Part(_BEGUN, {}, done), {})
        self._done[_BEGUN] = done

    def _later(self) -> Iterator[Part]:
        """Parts of the lines that wait, each cut as it was."""
        most = self._work.settings.import_line_bytes_max
        waiting = {
            number - 1: {(file, line) for file, line in done["later"]}
            for number, done in self._done.items()
            if _BEGUN < number < _LATER and done["later"]
        }
        if not waiting:
            return
        for part in cut(self.sources, most):
            only = waiting.get(part.number)
            if only and part.number + _LATER not in self._done:
                yield replace(part, read=0, only=frozenset(only))

    def _do(self, parts: Iterator[Part], first: int) -> None:
        for part, outcome in self._results(parts):
            self._look()
            before = self.progress.counts.stored
            self._told.findings(part.number + first, outcome.findings, self.sources)
            done = outcome.as_json() | {"read": part.read, "findings": []}
            self._add(outcome, part.read)
            self._done[part.number + first] = done
            self._record(queue.Part(part.number + first, {}, done))
            self._told.progress(self.progress)
            if before < _ANALYZE_FROM <= self.progress.counts.stored:
                self._analyze()
            if outcome.is_stopped:
                return

    def _look(self) -> None:
        """Whether to go on; how long it takes is told."""
        self._work.go_on()
        self.progress.seconds = self._before_s + (clock.ticks_ms() - self._begun) / 1000
        self._told.progress(self.progress)

    def _results(self, parts: Iterator[Part]) -> Results:
        work, request = self._work, self._work.job.request
        told = {
            "job": work.job.id,
            "begun": work.job.made.isoformat(),
            "caller": request["caller"],
            "asker": request.get("asker"),
            "base_url": request["base_url"],
            "wish": request["wish"],
            "sources": [one.as_json() for one in self.sources],
        }
        count = work.settings.import_processes
        inflated = sum(one.size * (_GZIP_SHRINKS if one.is_gzip else 1) for one in self.sources)
        is_small = inflated <= _SMALL_BYTES
        if not self._is_beside and (count == 1 or is_small):
            yield from self._here(parts, told)
            return
        under_way: dict[int, Part] = {}

        def tasks() -> Iterator[Task]:
            for part in parts:
                under_way[part.number] = part
                yield task_of(part)

        opening = opening_of(work.settings, work.store.url, told)
        with closing(Processes(1 if is_small else count, process.__name__, opening)) as working:
            for task, answer in working.answers(tasks(), self._look):
                yield under_way.pop(task.asked["number"]), outcome_of(answer)

    def _here(self, parts: Iterator[Part], told: dict[str, Any]) -> Results:
        store = opened(self._work.settings, self._work.store.url)
        try:
            intake = None
            for part in parts:
                intake = intake or intake_of(store, self._work.settings, told)
                yield part, load(intake, part, self._work.go_on)
        finally:
            store.close()

    def _add(self, outcome: Outcome, read: int) -> None:
        self.progress.read += read
        self.progress.counts.add(outcome.total())
        self.progress.is_stopped |= outcome.is_stopped

    def _record(self, part: queue.Part) -> None:
        self._work.finish_part(part, self.progress.as_json())

    def _analyze(self) -> None:
        with self._work.store.connection() as connection:
            kept.analyze(connection)


def _check_same(sources: Sequence[Source]) -> None:
    """Parts are stretches of files: of others they would be other lines. Raises `Failed`; a file
    that is gone is told by the parts that need it."""
    for one in sources:
        if one.path.exists() and source(one.path, one.name) != one:
            raise Failed(
                f"{one.name} is not the file any more that it was when this import began. Start it "
                "anew: what is stored is left as it is.",
                f"{one.name} đã thay đổi từ khi bắt đầu nhập. Hãy bắt đầu lại: dữ liệu đã lưu được "
                "giữ nguyên.",
            )


def _dangling(one: kept.Dangling) -> Finding:
    told = f"{one.type}/{id_without_number(one.id)}"
    more = f" ({one.count} references here)" if one.count > 1 else ""
    more_vi = f" ({one.count} tham chiếu)" if one.count > 1 else ""
    text = f"It refers to {told}, which is not here{more}."
    vi = f"Tham chiếu tới {told} không có ở đây{more_vi}."
    return Finding(one.file, one.line, one.place, "warning", "not-found", text, vi)


def _write(
    folder: Path, number: int, findings: Sequence[Finding], sources: Sequence[Source]
) -> None:
    """The findings of a part, by file, whole or not at all."""
    by_file: dict[int, list[bytes]] = {}
    for one in findings:
        line = json.write(one.outcome(sources[one.file].name))
        by_file.setdefault(one.file, []).append(line)
    for file, lines in by_file.items():
        path = folder / f"part-{file:06}-{number:010}.ndjson"
        unfinished = path.with_suffix(".unfinished")
        unfinished.write_bytes(b"\n".join(lines) + b"\n")
        unfinished.replace(path)


def _end_folder(folder: Path) -> None:
    """The findings of each file in one report, `errors-000003.ndjson`, in the order of the parts;
    what was uploaded and fetched is removed."""
    several: dict[str, list[Path]] = {}
    for path in sorted(folder.glob(_PART_FILE)):
        several.setdefault(path.name.split("-")[1], []).append(path)
    for file, paths in several.items():
        if (folder / f"errors-{file}.ndjson").is_file():
            continue  # a worker that was killed has made it, and may have removed some of the parts
        unfinished = folder / f"errors-{file}.unfinished"
        with unfinished.open("wb") as report:
            for path in paths:
                report.write(path.read_bytes())
            report.flush()
            os.fsync(report.fileno())
        unfinished.replace(folder / f"errors-{file}.ndjson")
    for path in folder.iterdir():
        if not path.name.startswith("errors-"):
            path.unlink(missing_ok=True)
