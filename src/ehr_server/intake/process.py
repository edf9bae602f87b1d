"""A process that does parts: `python -m ehr_server.intake.process`, see `ehr_server.processes`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from ehr_server.access.caller import LOOPBACK
from ehr_server.access.entitled import asker
from ehr_server.access.log import event
from ehr_server.changes.change import InForce, Means, means
from ehr_server.intake.load import Intake, load
from ehr_server.intake.parts import Part, Stretch
from ehr_server.intake.sources import source_of
from ehr_server.intake.wish import wish_of
from ehr_server.packages.shelf import on_shipped
from ehr_server.processes import Answering, Task, Value, answer_from_now_on
from ehr_server.settings import Settings, settings_of
from ehr_server.store.access_log import Words
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
        encryption_key=settings.encryption_key,
    )


def means_of(store: Store, settings: Settings, asked: Value) -> Means:
    """What the write path works with, as the database is now: `base_url` and who asked."""
    in_force = InForce(Rulebook(on_shipped(stored(store).layers), policy(settings)))
    with store.connection() as connection:
        in_force.searchable.of(connection, generation(connection))
    made = means(store, settings, in_force, LOOPBACK, asked["base_url"])
    caller = asker(asked, store, made.rules)
    if settings.audit != "off":
        caller.trail.event = event(Words(store), caller, "import", ("$import",))
    return replace(made, caller=caller)


def intake_of(store: Store, settings: Settings, told: Value) -> Intake:
    """What a job says of how its parts are done."""
    return Intake(
        means_of(store, settings, told),
        wish_of(told["wish"]),
        [source_of(one) for one in told["sources"]],
        told["job"],
        datetime.fromisoformat(told["begun"]),
        settings.import_line_bytes_max,
    )


def task_of(part: Part) -> Task:
    """What a process is told of a part."""
    asked = {
        "number": part.number,
        "stretches": [one.as_json() for one in part.stretches],
        "has_data": [one.data is not None for one in part.stretches],
        "read": part.read,
        "only": None if part.only is None else sorted(part.only),
    }
    return Task(asked, [one.data for one in part.stretches if one.data is not None])


def opening_of(settings: Settings, url: str, told: Value) -> Value:
    """What a process opens with: `told` is what the job says, see `intake_of`."""
    return {"settings": settings.as_texts(), "url": url, **told}


def main() -> None:
    """Do parts until there are no more."""
    answer_from_now_on(_opened)


def _opened(opening: Value) -> Answering:
    settings = settings_of(opening["settings"])
    configure(settings.log_level)
    intake = intake_of(opened(settings, opening["url"]), settings, opening)
    return lambda asked, data: load(intake, _part(asked, data)).as_json()


def _part(asked: Value, data: Sequence[bytes]) -> Part:
    rest = iter(data)
    stretches = []
    for (file, start, end, line, fault), has_data in zip(
        asked["stretches"], asked["has_data"], strict=True
    ):
        why = (fault[0], fault[1]) if fault else None
        stretches.append(Stretch(file, start, end, line, next(rest) if has_data else None, why))
    only = asked["only"]
    taken = None if only is None else frozenset((file, line) for file, line in only)
    return Part(asked["number"], tuple(stretches), asked["read"], taken)


if __name__ == "__main__":
    main()
