"""Requests that are answered in the background: see `ehr_server.store.tables`."""

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

STATEMENTS = (
    'create table job_content (job text collate "C" not null, side smallint not null,'
    " number integer not null, enc smallint not null, content bytea not null,"
    " primary key (job, side, number))",
    "alter table job_content alter column content set storage external",  # packed already
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
