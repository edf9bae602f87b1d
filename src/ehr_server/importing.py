"""What `ehr-server import` does: files to the record, told by line, with a bar of how far it is."""

import argparse
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import BinaryIO

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from ehr_server.commands import CommandError, base_url, given_files, opened
from ehr_server.fhir import json
from ehr_server.intake.report import Finding
from ehr_server.intake.sources import Source, source
from ehr_server.intake.wish import Wish
from ehr_server.jobs.import_ import Asked, Told, import_here
from ehr_server.jobs.import_ import Progress as ImportProgress
from ehr_server.jobs.reindex import keep_up
from ehr_server.jobs.work import Failed, Interrupted
from ehr_server.settings import Settings


def import_(settings: Settings, options: argparse.Namespace) -> int:
    """Load files; print what was refused, by line; 1 when anything was. Told to stop, or killed,
    it goes on when it is asked the same again."""
    files = [source(path) for path in given_files(options)]
    wish = Wish(options.ids, options.match, options.dangling, options.stop_on_error, options.source)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with opened(settings) as store, ExitStack() as open_:
        keep_up(store)  # or an index that is empty would pass for an old one, and be made anew
        report = open_.enter_context(options.report.open("wb")) if options.report else None
        told = Told(open_.enter_context(_import_progress()), partial(_tell_findings, report))
        asked = Asked(files, wish, base_url(settings), stop)
        try:
            done = import_here(store, settings, asked, told)
        except Interrupted:
            raise CommandError("stopped; the same command goes on where it was.") from None
        except Failed as failed:
            raise CommandError(failed.why) from None
    _print_imported(done)
    return 1 if done.counts.refused else 0


def _tell_findings(
    report: BinaryIO | None, _part: int, findings: Sequence[Finding], files: Sequence[Source]
) -> None:
    for one in findings:
        name = files[one.file].name
        print(one.told(name))
        if report is not None:
            report.write(json.write(one.outcome(name)) + b"\n")
    sys.stdout.flush()


def _print_imported(done: ImportProgress) -> None:
    counts = done.counts
    told = [
        f"{counts.stored} resources stored",
        f"{counts.same} left as they were",
        f"{counts.refused} lines refused",
    ]
    if counts.removed:
        told.append(f"{counts.removed} references to nothing removed")
    if done.dangling:
        told.append(f"{done.dangling} references to nothing kept")
    print(", ".join(told))
    if done.is_stopped:
        print("stopped at the first refusal, as asked; what is counted as stored is stored")


@contextmanager
def _import_progress() -> Iterator[Callable[[ImportProgress], None]]:
    """A bar on standard error, where that is a terminal: how much is read, the rate of resources,
    and when the end is to be expected."""
    console = Console(stderr=True)
    columns = (
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[told]}"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as bar:
        task = bar.add_task("import", total=None, told="")

        def told(now: ImportProgress) -> None:
            count = now.counts.stored + now.counts.same
            rate = f", {count / now.seconds:,.0f}/s" if now.seconds >= 1 else ""
            refused = f", {now.counts.refused:,} refused" if now.counts.refused else ""
            words = f"{count:,} resources{rate}{refused}"
            bar.update(task, total=now.size, completed=now.read, told=words)

        yield told
