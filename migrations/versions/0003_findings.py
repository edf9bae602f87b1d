"""Findings that did not stand in the way: kept, so that they can be counted by sender.

What each table is for stands in `ehr_server.store.tables`; the statements here are frozen.
"""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

STATEMENTS = (
    """
    create table finding (
        comp bigint not null, tx bigint not null, at timestamptz not null,
        sender integer not null, keys bigint[] not null, kinds bigint[] not null,
        primary key (comp, tx)
    )
    """,
    "create index finding_sender on finding (sender, at)",
    """
    create table finding_kind (
        kind bigint primary key, type smallint not null, severity text not null,
        rule text not null, profile text not null, path text not null
    )
    """,
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
