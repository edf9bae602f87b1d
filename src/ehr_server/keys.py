"""What `ehr-server keys` does: the keys of a record that is encrypted at rest."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

from ehr_server import app, clock, collector
from ehr_server.access.caller import LOOPBACK
from ehr_server.changes.change import InForce, means
from ehr_server.commands import CommandError, base_url, database
from ehr_server.definitions import definitions
from ehr_server.jobs.reindex import reindex_now
from ehr_server.store import keyring
from ehr_server.store.migrate import migrate
from ehr_server.store.reseal import TABLES, left, reseal
from ehr_server.validation.rulebook import Rulebook

if TYPE_CHECKING:
    from ehr_server.settings import Settings
    from ehr_server.store.connect import Store

_TOLD_S = 5.0


def generate(_settings: Settings, _options: argparse.Namespace) -> int:
    """Print a new master key, for the setting `encryption_key`."""
    print(keyring.new_master())
    print(
        "Set it as EHR_ENCRYPTION_KEY and keep a copy apart from the database and its backups:\n"
        "whoever loses it loses the record, and nobody can bring that back.",
        file=sys.stderr,
    )
    return 0


def list_(settings: Settings, options: argparse.Namespace) -> int:
    """Print the data keys; with `--count` how many contents are not sealed by the newest."""
    with database(settings) as url:
        migrate(url)
        with keyring.alone(url) as connection:
            rows = keyring.read(connection)
            current = [one for one in rows if (one.purpose, one.state) == ("content", "current")]
            others = left(connection, -current[0].number) if current and options.count else None
    print("number\tpurpose\tstate\tmaster\tmade\tsealed")
    for one in rows:
        told = (one.number, one.purpose, one.state, one.master, clock.instant(one.made), one.sealed)
        print(*told, sep="\t")
    if not rows:
        print("no keys: the record is in clear", file=sys.stderr)
    if others is not None:
        print(f"{others} contents are in clear or by a former key", file=sys.stderr)
    return 0


def rotate(settings: Settings, options: argparse.Namespace) -> int:
    """Make a new data key for what is written from now on, or with `--index` for the index."""
    with database(settings) as url:
        migrate(url)
        with keyring.alone(url) as connection:
            trusted = keyring.check(_some(keyring.read(connection)), settings.encryption_key)
            make = keyring.rotate_index if options.index else keyring.rotate
            number = make(connection, trusted)
    what = "the index" if options.index else "contents"
    print(f"{what}: data key {number}; `ehr-server keys encrypt` brings the others under it")
    return 0


def rewrap(settings: Settings, _options: argparse.Namespace) -> int:
    """Wrap the data keys by the first of the master keys that are given."""
    with database(settings) as url:
        migrate(url)
        with keyring.alone(url) as connection:
            trusted = keyring.check(_some(keyring.read(connection)), settings.encryption_key)
            count = keyring.rewrap(connection, trusted)
    print(f"{count} data keys wrapped anew, by the master key {trusted[0].name}")
    return 0


def encrypt(settings: Settings, _options: argparse.Namespace) -> int:
    """Seal all that is in clear or by a former key, and key the index, while others read and write.
    Stopped, it goes on when it is asked again."""
    with database(settings) as url:
        migrate(url)
        with keyring.alone(url) as connection:
            trusted = keyring.masters(settings.encryption_key)
            if not trusted:
                raise CommandError("--encryption-key (EHR_ENCRYPTION_KEY) is not set.")
            if not keyring.read(connection):
                keyring.make(connection, trusted)
                print("keys are made: servers may be started, with the key", flush=True)
        store = app.open_store(settings, url)
        collector.settle()
        try:
            _encrypt(store, settings)
        finally:
            store.close()
    return 0


def _encrypt(store: Store, settings: Settings) -> None:
    told = _Telling("resources indexed")
    indexed = 0
    if store.keyring is not None and store.keyring.is_moving:
        in_force = InForce(Rulebook())
        with_these = means(store, settings, in_force, LOOPBACK.anew(), base_url(settings))
        indexed = reindex_now(with_these, definitions().resource_types, told)
        with store.connection() as connection:
            keyring.end_move(connection)
    sealed = reseal(store, _Telling("contents sealed"))
    with store.connection() as connection:
        # What the planner keeps of values is of those that are gone.
        for table in ("resource", "ident", *(one.name for one in TABLES)):
            connection.execute(f"analyze {table}".encode())
    print(f"{indexed} resources indexed, {sealed} contents sealed")
    if indexed or sealed:
        print(
            "What was there before lies in dead rows and in the log of the database until those are"
            "\nwritten over: `vacuum full`, or a backup restored to a new disk, removes it."
        )


class _Telling:
    """Says on standard error how far it is, every few seconds."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._count = 0
        self._at = clock.ticks_s()

    def __call__(self, count: int) -> None:
        self._count += count
        if clock.ticks_s() - self._at > _TOLD_S:
            self._at = clock.ticks_s()
            print(self._count, self._what, file=sys.stderr, flush=True)


def _some(rows: list[keyring.DataKey]) -> list[keyring.DataKey]:
    if not rows:
        raise CommandError("the record is in clear; `ehr-server keys encrypt` changes that.")
    return rows


COMMANDS: tuple[tuple[str, str, Callable[[Settings, argparse.Namespace], int]], ...] = (
    ("generate", "print a new master key", generate),
    ("list", "list the data keys", list_),
    ("rotate", "make a new data key for what is written from now on", rotate),
    ("rewrap", "wrap the data keys by the first master key", rewrap),
    ("encrypt", "seal what is in clear or by a former key, while serving", encrypt),
)
