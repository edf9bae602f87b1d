"""Programs that are registered here, and what they asserted: see `ehr_server.store.tables`."""

from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

STATEMENTS = (
    'create table client (id text collate "C" not null, name text not null,'
    " scopes text[] not null, policy text not null, facility text, purposes text[] not null,"
    " keys jsonb not null, jwks_uri text, made timestamptz not null, revoked timestamptz,"
    " primary key (id))",
    'create table assertion (client text collate "C" not null, jti bytea not null,'
    " expires timestamptz not null, primary key (client, jti))",
    "create index assertion_expires on assertion (expires)",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
