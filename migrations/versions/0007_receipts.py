"""Receipts: what was stored under a key, so that what is sent again is stored once.

What each table is for stands in `ehr_server.store.tables`; the statements here are frozen.
"""

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

STATEMENTS = (
    """
    create table receipt (
        key text collate "C" not null, sender integer not null, entry integer not null,
        tx bigint not null, at timestamptz not null, kind smallint not null,
        digest bytea not null, types smallint[] not null, enc smallint not null,
        done bytea not null,
        primary key (key, sender, entry)
    )
    """,
    "create index receipt_day on receipt (sender, at)",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
