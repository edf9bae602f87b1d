"""The schema, brought up to date by Alembic from the migrations that travel with the package."""

from typing import Any

import psycopg
from alembic import command
from alembic.config import Config
from sqlalchemy import NullPool, create_engine, text

from ehr_server.errors import Unavailable
from ehr_server.layout import folder
from ehr_server.store.contents import starter_dictionary

_ALONE = 7_304_411  # any number: servers that start together migrate one after another


def migrate(url: str) -> None:
    """Bring the database at `url` (a libpq URL or conninfo) to the newest schema.

    Safe to run at any time and from several processes at once. Raises `Unavailable` when there is
    no connection to be had.
    """
    first = _connected(url)
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
