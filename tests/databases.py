"""Databases for tests, cloned from a migrated template: on the embedded or a given PostgreSQL."""

import itertools
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from ehr_server.store.embedded import embedded
from ehr_server.store.migrate import migrate

_GIVEN = os.environ.get("EHR_TEST_DATABASE_URL")


@dataclass
class PostgreSQL:
    """A PostgreSQL that databases can be made on. `admin` is a conninfo of a superuser."""

    admin: str
    owner: str | None  # the role of the server; None: the one of `admin`
    _numbers: Iterator[int] = field(default_factory=itertools.count)
    _template: str | None = None

    @contextmanager
    def database(self, *, is_migrated: bool = True, like: str | None = None) -> Iterator[str]:
        """The conninfo of a fresh database, which is dropped after the block; a copy of the one
        whose conninfo is given, to which nobody is connected."""
        name = self._new_name()
        template = self.template() if is_migrated else "template0"
        self._make(name, template if like is None else str(conninfo_to_dict(like)["dbname"]))
        try:
            yield self._url(name)
        finally:
            self._execute(f"drop database if exists {name} with (force)")

    def template(self) -> str:
        """The name of the migrated database that others are cloned from."""
        if self._template is None:
            name = self._new_name()
            self._make(name, "template0")
            migrate(self._url(name))
            self._template = name
        return self._template

    def close(self) -> None:
        """Drop the template."""
        if self._template:
            self._execute(f"drop database if exists {self._template} with (force)")

    def _new_name(self) -> str:
        return f"ehr_test_{os.getpid()}_{next(self._numbers)}"

    def _make(self, name: str, template: str) -> None:
        owner = f"owner {self.owner}" if self.owner else ""
        # file_copy takes 60 ms for the 700 tables and indexes, the default wal_log 290 ms.
        self._execute(f"create database {name} template {template} strategy file_copy {owner}")

    def _url(self, name: str) -> str:
        return make_conninfo(
            self.admin, dbname=name, **({"user": self.owner} if self.owner else {})
        )

    def _execute(self, statement: str) -> None:
        with psycopg.connect(self.admin, autocommit=True) as connection:
            connection.execute(statement)


@contextmanager
def postgresql(folder: Path) -> Iterator[PostgreSQL]:
    """The PostgreSQL of EHR_TEST_DATABASE_URL, else an embedded one in `folder`."""
    if _GIVEN:
        given = PostgreSQL(_GIVEN, None)
        try:
            yield given
        finally:
            given.close()
        return
    with embedded(folder) as url:
        admin = make_conninfo(url, user="postgres", dbname="postgres")
        with psycopg.connect(admin, autocommit=True) as connection:
            # The embedded one is durable; that costs tests time and is tested by itself.
            connection.execute("alter system set fsync = off")
            connection.execute("alter system set full_page_writes = off")
            connection.execute("select pg_reload_conf()")
        yield PostgreSQL(admin, "ehr")


@contextmanager
def open_folder() -> Iterator[Path]:
    """A fresh folder that other users can reach: the ones that pytest makes are closed to them."""
    path = Path(tempfile.mkdtemp(prefix="ehr-test-"))
    path.chmod(0o755)
    try:
        yield path
    finally:
        shutil.rmtree(path)
