"""Implementation guides: the packages that are loaded, and their artifacts.

What each table is for stands in `ehr_server.store.tables`; the statements here are frozen.
"""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

STATEMENTS = (
    """
    create table package (
        name text collate "C" not null, version text collate "C" not null,
        number integer not null, at timestamptz not null, digest bytea not null,
        primary key (name, version)
    )
    """,
    """
    create table artifact (
        package text collate "C" not null, type text collate "C" not null,
        url text collate "C" not null, version text collate "C" not null,
        content bytea not null,
        primary key (package, type, url, version)
    )
    """,
    "insert into setting (name, value) values ('library_generation', '0')",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
