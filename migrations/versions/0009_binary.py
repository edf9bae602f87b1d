"""The content of large Binaries, in parts: see `ehr_server.store.tables`.

EXTERNAL: what comes is mostly compressed already (JPEG, PDF), and a part is read whole.
"""

from alembic import op

revision = "0009"
down_revision = "0007"
branch_labels = None
depends_on = None

STATEMENTS = (
    "create table blob (comp bigint not null, key bigint not null, part integer not null,"
    " bytes bytea not null, primary key (comp, key, part))",
    "alter table blob alter bytes set storage external",
    "create table upload (comp bigint not null, key bigint not null, at timestamptz not null,"
    " primary key (comp, key))",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
