"""The words of resources, for `_text` and `_content`: see `ehr_server.store.tables`.

Empty for what is there already, which is indexed anew: by the server in the background, since 0005
says that rows may be of an older format, or by `ehr-server reindex`.
"""

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

STATEMENTS = (
    "create table full_text (comp bigint not null, key bigint not null, type smallint not null,"
    " words tsvector not null, primary key (comp, key))",
    "create index full_text_words on full_text using gin (words) with (fastupdate = off)",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
