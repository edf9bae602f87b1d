"""Merged records: which Patients are records of one person, see `ehr_server.store.tables`."""

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

STATEMENTS = (
    'create table merged (comp bigint not null, id text collate "C" not null,'
    ' target text collate "C", person bigint not null, provenance text collate "C",'
    " primary key (comp, id))",
    "create index merged_person on merged (person)",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
