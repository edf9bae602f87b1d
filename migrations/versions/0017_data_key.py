"""Encryption at rest: the keys, and which part of a Binary is sealed. See `store.tables`."""

from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

STATEMENTS = (
    "create table data_key (number smallint primary key, purpose text not null,"
    " master text not null, wrapped bytea not null, made timestamptz not null,"
    " state text not null, sealed bigint not null)",
    "alter table blob add column enc smallint not null default 0",
    "alter table blob alter column enc drop default",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
