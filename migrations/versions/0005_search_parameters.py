"""Search parameters of one's own, and how new the index of all rows is at least.

What each table is for stands in `ehr_server.store.tables`; the statements here are frozen.
"""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

STATEMENTS = (
    """
    create table search_parameter (
        number smallint primary key, base text collate "C" not null,
        code text collate "C" not null, definition jsonb not null, state text not null,
        source text collate "C" not null, job text collate "C"
    )
    """,
    "create unique index search_parameter_code on search_parameter (base, code)"
    " where state <> 'retired'",
    "insert into setting (name, value) values ('search_generation', '0')",
    # Where there are rows, nobody has looked how old they are: a server that starts does. Where
    # there are none, all that will come is of the format that this version begins with.
    "insert into setting (name, value) values"
    " ('index_format', case when exists (select from resource) then '0' else '3' end)",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
