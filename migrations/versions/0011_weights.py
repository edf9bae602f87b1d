"""What a site has learnt of its own people, for $match: see `ehr_server.store.tables`.

Empty: the defaults of `ehr_server.identity.weights` are in force.
"""

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

STATEMENTS = (
    'create table weight (field text collate "C" not null, level text collate "C" not null,'
    " m double precision not null, u double precision not null, primary key (field, level))",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
