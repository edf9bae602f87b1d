"""A database for each size, in one embedded PostgreSQL: each grows out of the one before.

Kept in a folder they are there for the next run, as long as the shape of the index stays. Only
whole ones have their final name; one left half loaded is dropped.
"""

from __future__ import annotations

from contextlib import contextmanager
from hashlib import blake2b
from typing import TYPE_CHECKING

import psycopg
from psycopg.conninfo import make_conninfo

from ehr_server.search.rows import FORMAT
from ehr_server.store.embedded import embedded
from ehr_server.store.migrate import migrate
from ehr_server.store.tables import metadata
from growth.load import Loaded, load
from growth.record import Part

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_OWNER = "ehr"
_QUICK = {"full_page_writes": "off", "autovacuum": "off", "max_wal_size": "8GB"}


class Databases:
    """The databases of one campaign; `admin` is the conninfo of a superuser."""

    def __init__(self, admin: str, seed: int = 1, owner: str | None = _OWNER) -> None:
        self.admin = admin
        self.seed = seed
        self.owner = owner
        self._mark = f"bench_{shape()}_{seed}"
        self._drop_others()

    def url(self, residents: int) -> str:
        return self._url(f"{self._mark}_{residents}")

    def names(self) -> list[str]:
        with psycopg.connect(self.admin, autocommit=True) as connection:
            found = connection.execute("select datname from pg_database where datname ~ '^bench_'")
            return sorted(str(name) for (name,) in found)

    def grow(self, residents: int, processes: int) -> Loaded | None:
        """Make the database of so many residents; None where it is there already."""
        sizes = self._sizes()
        if residents in sizes:
            return None
        before = max((size for size in sizes if size < residents), default=0)
        new = f"{self._mark}_{residents}_growing"
        template = f"{self._mark}_{before}" if before else "template0"
        owner = f"owner {self.owner}" if self.owner else ""
        _execute(
            self.admin, f"create database {new} template {template} strategy file_copy {owner}"
        )
        if not before:
            migrate(self._url(new))
        with quick(self.admin):
            loaded = load(self._url(new), Part(before, residents, self.seed), processes)
        _execute(self.admin, f"alter database {new} rename to {self._mark}_{residents}")
        _execute(self.admin, "checkpoint")  # now, and not while it is measured
        return loaded

    def _sizes(self) -> list[int]:
        prefix = f"{self._mark}_"
        return [int(name.removeprefix(prefix)) for name in self.names() if name.startswith(prefix)]

    def _drop_others(self) -> None:
        """Those of another shape, and those that a run left half loaded."""
        for name in self.names():
            if not name.startswith(f"bench_{shape()}_") or name.endswith("_growing"):
                _execute(self.admin, f"drop database {name} with (force)")

    def _url(self, name: str) -> str:
        user = {"user": self.owner} if self.owner else {}
        return make_conninfo(self.admin, dbname=name, **user)


@contextmanager
def quick(admin: str) -> Iterator[None]:
    """PostgreSQL without what only protects from a crash or tidies up meanwhile: a quarter less
    work. What a crash leaves half loaded is dropped anyhow. `admin` is a superuser's conninfo."""
    try:
        for name, value in _QUICK.items():
            _execute(admin, f"alter system set {name} = '{value}'")
        _execute(admin, "select pg_reload_conf()")
        yield
    finally:
        for name in _QUICK:
            _execute(admin, f"alter system reset {name}")
        _execute(admin, "select pg_reload_conf()")


@contextmanager
def built_last(url: str, index: str) -> Iterator[None]:
    """Without an index, which is built at the end in one go: of many rows that is much quicker.
    `url` is that of its owner."""
    with psycopg.connect(url, autocommit=True) as connection:
        row = connection.execute("select pg_get_indexdef(%s::regclass)", (index,)).fetchone()
        connection.execute(f"drop index {index}".encode())
        yield
        connection.execute("set maintenance_work_mem = '1GB'")
        connection.execute(str(row[0] if row else "").encode())


@contextmanager
def databases(folder: Path, seed: int = 1) -> Iterator[Databases]:
    """Those of the folder, which PostgreSQL's own user must be able to reach."""
    with embedded(folder) as url:
        yield Databases(administering(url), seed)


def administering(url: str) -> str:
    """The superuser's conninfo of an embedded PostgreSQL; `url` is the server's own."""
    return make_conninfo(url, user="postgres", dbname="postgres")


def shape() -> str:
    """Stands for the columns of the tables and the format of the index rows."""
    columns = [
        f"{table.name}.{column.name} {column.type}"
        for table in metadata.sorted_tables
        for column in table.columns
    ]
    indexes = sorted(str(index.name) for table in metadata.sorted_tables for index in table.indexes)
    text = "\n".join((str(FORMAT), *columns, *indexes))
    return blake2b(text.encode(), digest_size=4).hexdigest()


def _execute(admin: str, statement: str) -> None:
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute(statement.encode())
