"""The access log: who looked at whose record, and the seals over it.

What each table is for stands in `ehr_server.store.tables`; the statements here are frozen.
"""

from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

STATEMENTS = (
    """
    create table access_log (
        comp bigint not null, id bigint not null, tx bigint not null, who integer not null,
        deed integer not null, status smallint not null, count integer not null,
        request text collate "C" not null, what text collate "C" not null,
        primary key (comp, id)
    )
    """,
    "create index access_log_id on access_log (id)",
    "create index access_log_tx on access_log (tx)",
    """
    create table access_word (
        id integer generated always as identity primary key,
        word text collate "C" not null unique
    )
    """,
    """
    create table access_seal (
        number integer not null primary key, at timestamptz not null, tx_from bigint not null,
        tx_to bigint not null, count integer not null, digest bytea not null,
        marks bytea not null, mac bytea not null
    )
    """,
    "create sequence access_writer",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
