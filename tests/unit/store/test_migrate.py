"""The schema is brought up to date, and a start that finds it so does not ask Alembic."""

import psycopg
from alembic.config import Config
from alembic.script import ScriptDirectory

from ehr_server.layout import folder
from ehr_server.store.migrate import migrate, newest, revision


def test_the_newest_revision_is_the_one_that_alembic_leads_to() -> None:
    config = Config()
    config.set_main_option("script_location", str(folder("migrations")))
    assert ScriptDirectory.from_config(config).get_current_head() == newest()


def test_a_migrated_database_is_at_the_newest_revision(database: str) -> None:
    with psycopg.connect(database) as connection:
        assert revision(connection) == newest()


def test_an_upgrade_cut_short_before_its_last_step_is_brought_to_its_end(database: str) -> None:
    with psycopg.connect(database) as connection:
        connection.execute("delete from zdict")
    migrate(database)
    with psycopg.connect(database) as connection:
        assert connection.execute("select count(*) from zdict").fetchone() == (1,)
