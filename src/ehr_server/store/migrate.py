"""The schema, brought up to date by Alembic from the migrations that travel with the package."""

from typing import Any

import psycopg

from ehr_server.errors import Unavailable
from ehr_server.layout import folder
from ehr_server.store.contents import starter_dictionary

_ALONE = 7_304_411  # any number: servers that start together migrate one after another


def migrate(url: str) -> None:
    """Bring the database at `url` (a libpq URL or conninfo) to the newest schema.

    Safe to run at any time and from several processes at once. Raises `Unavailable` when there is
    no connection to be had.
    """
    connection = _connected(url)
    if revision(connection) == newest() and _has_dictionary(connection):
        connection.close()
        return
    _upgrade(connection)


def newest() -> str:
    """The revision that the migrations of this program lead to."""
    versions = (folder("migrations") / "versions").glob("[0-9]*.py")
    return max(path.name.partition("_")[0] for path in versions)


def revision(connection: psycopg.Connection[Any]) -> str | None:
    """The revision that the database is at, None if it is empty."""
    is_there = connection.execute("select to_regclass('migration') is not null").fetchone()
    if is_there != (True,):
        return None
    row = connection.execute("select version_num from migration").fetchone()
    return None if row is None else str(row[0])


def _upgrade(first: psycopg.Connection[Any]) -> None:
    # Imported here, since a start seldom needs them: they take longer than all the rest of it.
    from alembic import command
    from alembic.config import Config
    from sqlalchemy import NullPool, create_engine, text

    first.rollback()
    engine = create_engine("postgresql+psycopg://", creator=lambda: first, poolclass=NullPool)
    with engine.connect() as connection:
        connection.execute(text("select pg_advisory_lock(:alone)"), {"alone": _ALONE})
        connection.commit()
        config = Config()
        config.set_main_option("script_location", str(folder("migrations")))
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        connection.execute(
            text("insert into zdict (id, dict) values (1, :dict) on conflict do nothing"),
            {"dict": starter_dictionary()},
        )
        connection.commit()


def _has_dictionary(connection: psycopg.Connection[Any]) -> bool:
    """Whether the last step of an upgrade was done, which comes after the revision is noted."""
    return connection.execute("select exists (select from zdict)").fetchone() == (True,)


def _connected(url: str) -> psycopg.Connection[Any]:
    try:
        return psycopg.connect(url)
    except psycopg.OperationalError as error:
        reason = " ".join(str(error).split())
        raise Unavailable(f"The database cannot be reached: {reason}") from error
    except psycopg.Error:  # its text may quote the URL, and so the password
        raise Unavailable(
            "--database-url is not of the form postgresql://user:password@host/database."
        ) from None
