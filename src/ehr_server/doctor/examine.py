"""Ask everything, whether or not the server runs: the installation, the port, the database."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ehr_server.doctor import database, installation
from ehr_server.doctor.finding import Finding, fail, ok
from ehr_server.doctor.listening import port
from ehr_server.search.rows import FORMAT
from ehr_server.store.checkup import Unreachable, look
from ehr_server.store.embedded import EmbeddedError, embedded, running
from ehr_server.store.migrate import newest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ehr_server.settings import Settings


def examine(settings: Settings) -> Iterator[Finding]:
    """The findings, one after another as they are made."""
    is_sound = True
    for check in installation.CHECKS:
        finding = check(settings)
        is_sound &= finding.level != "fail"
        yield finding
    yield port(settings)
    if settings.database_url:
        yield from _of(settings.database_url, settings)
    elif (url := running(settings.data_dir)) is not None:
        yield ok("the embedded PostgreSQL runs")
        yield from _of(url, settings)
    elif is_sound and settings.data_dir.exists():
        yield from _started(settings)


def _started(settings: Settings) -> Iterator[Finding]:
    """Started for as long as it takes to look at it."""
    try:
        with embedded(settings.data_dir) as url:
            yield ok("the embedded PostgreSQL starts")
            yield from _of(url, settings)
    except EmbeddedError as error:
        yield fail("the embedded PostgreSQL does not start", str(error))


def _of(url: str, settings: Settings) -> Iterator[Finding]:
    target = newest()
    try:
        facts = look(url, target)
    except Unreachable as error:
        yield fail(
            f"the database cannot be reached: {error}",
            "start it, and see that database-url names its host, port, user and database",
        )
        return
    yield ok("the database can be reached")
    case = database.Case(facts, settings, target, FORMAT)
    for check in database.CHECKS:
        yield check(case)
    if facts.record is not None:
        for of_record in database.OF_RECORD:
            yield of_record(facts.record, case)
