"""A process that does parts: `python -m ehr_server.intake.process`.

It reads from standard input a line of JSON with what it works with, then for each part one line,
followed by the bytes that the part brings along; it answers each with a line of JSON on standard
output. It ends with its input, so that it does not outlive who started it.
"""

from __future__ import annotations

import os
import sys
from datetime import datetime
from typing import Any, BinaryIO

from ehr_server import collector
from ehr_server.access.caller import LOOPBACK, Caller
from ehr_server.changes.change import InForce, Means, means
from ehr_server.errors import Unavailable
from ehr_server.fhir import json
from ehr_server.fhir.outcome import issues_of
from ehr_server.intake.load import Intake, load
from ehr_server.intake.parts import Part, Stretch
from ehr_server.intake.sources import source_of
from ehr_server.intake.wish import wish_of
from ehr_server.packages.shelf import on_shipped
from ehr_server.settings import Settings, settings_of
from ehr_server.store.connect import Store
from ehr_server.store.packages import stored
from ehr_server.store.search_parameters import generation
from ehr_server.store.trouble import MIB, Room
from ehr_server.telemetry import configure
from ehr_server.validation.policy import policy
from ehr_server.validation.rulebook import Rulebook

STATEMENT_TIMEOUT_MS = 600_000


def opened(settings: Settings, url: str) -> Store:
    """A hold on the database for doing parts: a commit does not wait for the disk. What is there
    is on disk once the part is recorded as done, by a commit that does (`jobs.import_`)."""
    least = settings.disk_free_mb_min
    is_watched = least > 0 and settings.database_url is None
    return Store(
        url,
        pool_size=2,
        statement_timeout_ms=STATEMENT_TIMEOUT_MS,
        room=Room(settings.data_dir / "postgres", least * MIB) if is_watched else None,
        waits_for_disk=False,
    )


def means_of(store: Store, settings: Settings, caller: str | None, base_url: str) -> Means:
    """What the write path works with, as the database is now."""
    in_force = InForce(Rulebook(on_shipped(stored(store).layers), policy(settings)))
    with store.connection() as connection:
        in_force.searchable.of(connection, generation(connection))
    whose = LOOPBACK if caller is None else Caller(caller)
    return means(store, settings, in_force, whose, base_url)


def intake_of(store: Store, settings: Settings, told: dict[str, Any]) -> Intake:
    """What a job says of how its parts are done."""
    return Intake(
        means_of(store, settings, told["caller"], told["base_url"]),
        wish_of(told["wish"]),
        [source_of(one) for one in told["sources"]],
        told["job"],
        datetime.fromisoformat(told["begun"]),
        settings.import_line_bytes_max,
    )


def main() -> None:
    """Do parts until there are no more."""
    coming = sys.stdin.buffer
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what anything prints is not an answer
    told = json.read_own(coming.readline())
    settings = settings_of(told["settings"])
    configure(settings.log_level)
    store = opened(settings, told["url"])
    intake = intake_of(store, settings, told)
    collector.settle()
    try:
        while line := coming.readline():
            answers.write(json.write(_answer(intake, _part(json.read_own(line), coming))) + b"\n")
            answers.flush()
    except BrokenPipeError:  # nobody waits for it any more
        os._exit(1)
    finally:
        store.close()


def _answer(intake: Intake, part: Part) -> dict[str, Any]:
    try:
        return {"number": part.number, "outcome": load(intake, part).as_json()}
    except Unavailable as refusal:
        issue = issues_of(refusal)[0]
        return {"number": part.number, "unavailable": [issue.text, issue.vi]}


def _part(head: dict[str, Any], coming: BinaryIO) -> Part:
    stretches = []
    for (file, start, end, line, fault), size in zip(head["stretches"], head["sizes"], strict=True):
        data = coming.read(size) if size is not None else None
        why = (fault[0], fault[1]) if fault else None
        stretches.append(Stretch(file, start, end, line, data, why))
    only = head["only"]
    taken = None if only is None else frozenset((file, line) for file, line in only)
    return Part(head["number"], tuple(stretches), head["read"], taken)


if __name__ == "__main__":
    main()
