"""Figures of the database as a whole, for those who watch over it: cheap ones alone."""

from __future__ import annotations

from dataclasses import dataclass

from ehr_server.errors import Unavailable
from ehr_server.store import queue
from ehr_server.store.connect import Collision, Store


@dataclass(frozen=True, slots=True)
class Figures:
    """`jobs` as (kind, state, count); the size counts everything on the disk of the database."""

    size_bytes: int
    resources_about: int
    jobs: list[tuple[str, str, int]]


_SIZE = "select pg_database_size(current_database())"
_RESOURCES = (
    "select coalesce(sum(greatest(c.reltuples, 0)), 0)::bigint from pg_class c"
    " join pg_inherits i on i.inhrelid = c.oid where i.inhparent = 'resource'::regclass"
)


def figures(store: Store) -> Figures | None:
    """What the database says of itself; None when it is away. `resources_about` is what its
    statistics say, since to count them reads them all."""
    try:
        with store.connection() as connection:
            size = connection.execute(_SIZE).fetchone() or (0,)
            about = connection.execute(_RESOURCES).fetchone() or (0,)
            return Figures(size[0], about[0], queue.counts(connection))
    except (Unavailable, Collision):
        return None
