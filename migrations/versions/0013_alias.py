"""What a source of imports calls resources that go by another id: see `ehr_server.store.tables`."""

from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

STATEMENTS = (
    'create table alias (source text collate "C" not null, type smallint not null,'
    ' given text collate "C" not null, id text collate "C" not null,'
    " primary key (source, type, given))",
    "create index alias_id on alias (type, id)",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
