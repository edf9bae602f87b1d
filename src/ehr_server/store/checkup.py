"""What can be told of a database by looking at it: facts for `ehr-server doctor` to judge."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg

from ehr_server import clock
from ehr_server.store import queue
from ehr_server.store.migrate import revision
from ehr_server.store.search_parameters import index_format, without_job
from ehr_server.store.walk import has_resources

_WAIT_S = 5
_SETTINGS = "select name, setting from pg_settings"
_FACTS = (
    "select pg_encoding_to_char(encoding), pg_is_in_recovery(),"
    " has_database_privilege(current_user, current_database(), 'create')"
    " and has_schema_privilege(current_user, 'public', 'create'), clock_timestamp()"
    " from pg_database where datname = current_database()"
)
_INVALID = (
    "select c.oid::regclass::text from pg_index i join pg_class c on c.oid = i.indexrelid"
    " where not i.indisvalid and c.relnamespace = 'public'::regnamespace order by 1"
)
_STUCK = (
    "select count(*) from job where state = 'running' and lease < now() - interval '10 minutes'"
    " or state = 'queued' and made < now() - interval '1 hour'"
    " and (lease is null or lease < now() - interval '10 minutes')"
)
_OLD = (
    "select count(*) from pg_stat_activity where datname = current_database()"
    " and xact_start < now() - interval '1 hour' and backend_type = 'client backend'"
)


class Unreachable(Exception):
    """There is no connection to be had; the text says why, without the URL."""


@dataclass(frozen=True, slots=True)
class Facts:
    """The database as it is: `settings` of PostgreSQL by name; `skew_s` is how far its clock is
    ahead of ours; `record` is None where there is no schema yet."""

    settings: dict[str, str]
    encoding: str
    is_in_recovery: bool
    may_create: bool
    skew_s: float
    old_transactions: int
    revision: str | None
    record: Record | None


@dataclass(frozen=True, slots=True)
class Record:
    """What is told of the tables: `building` are types with search parameters that no job builds
    an index of."""

    index_format: int | None  # None of an empty record: a server that starts sets it
    invalid_indexes: list[str]
    jobs: list[tuple[str, str, int]]
    jobs_stuck: int
    building: list[str]


def look(url: str, newest: str) -> Facts:
    """Gather the facts; the tables are looked at where the schema is the `newest`. Raises
    `Unreachable`."""
    try:
        connection = psycopg.connect(url, connect_timeout=_WAIT_S, autocommit=True)
    except psycopg.OperationalError as error:
        raise Unreachable(" ".join(str(error).split())) from None
    except psycopg.Error:  # its text may quote the URL, and so the password
        raise Unreachable(
            "the address is not of the form postgresql://user:password@host/database"
        ) from None
    with connection:
        found = revision(connection)
        before = clock.now()
        encoding, is_in_recovery, may_create, at = _row(connection, _FACTS)
        return Facts(
            dict(connection.execute(_SETTINGS).fetchall()),
            encoding,
            is_in_recovery,
            may_create,
            _skew_s(before, at),
            _row(connection, _OLD)[0],
            found,
            _record(connection) if found == newest else None,
        )


def _record(connection: psycopg.Connection[tuple[Any, ...]]) -> Record:
    return Record(
        index_format(connection) if has_resources(connection) else None,
        [name for (name,) in connection.execute(_INVALID)],
        queue.counts(connection),
        _row(connection, _STUCK)[0],
        without_job(connection),
    )


def _row(connection: psycopg.Connection[tuple[Any, ...]], statement: str) -> tuple[Any, ...]:
    row = connection.execute(statement).fetchone()
    if row is None:
        raise LookupError("a statement that always finds a row found none")
    return row


def _skew_s(before: datetime, at: datetime) -> float:
    """The database read its clock between two looks at ours: no skew if it lies between them."""
    after = clock.now()
    if at < before:
        return (at - before).total_seconds()
    return max(0.0, (at - after).total_seconds())
