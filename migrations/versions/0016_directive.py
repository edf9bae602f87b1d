"""What people allow and forbid: see `ehr_server.store.tables`."""

from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

STATEMENTS = (
    "create table directive (comp bigint not null, key bigint not null, number smallint not null,"
    " home bigint not null, parent smallint not null, above smallint[] not null,"
    " effect smallint not null, since timestamptz not null, until timestamptz not null,"
    " actors bigint[] not null, purposes bigint[] not null, labels bigint[] not null,"
    " classes smallint[] not null, codes bigint[] not null, instances bigint[] not null,"
    " names bigint[] not null, data_from timestamptz, data_until timestamptz,"
    " hides_patient boolean not null, primary key (comp, key, number))",
    "create index directive_key on directive (key)",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
