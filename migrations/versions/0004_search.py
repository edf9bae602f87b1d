"""What search asks of the index beyond plain values: see `ehr_server.store.tables`.

Rows that are there already get neutral values and keep their old format, so that they are indexed
anew: by the server in the background, or by `ehr-server reindex`. Each new column of theirs is
filled by a default, which is dropped at once: whoever writes names a value.
"""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

STATEMENTS = (
    # Chains and :missing; values of any unit beside their code.
    "alter table resource add column own bigint not null default 0,"
    " add column has bigint not null default 0",
    "alter table resource alter column own drop default, alter column has drop default",
    # What a sample of 30,000 rows did not meet is believed to be too common.
    "alter table resource alter column toks set statistics 500,"
    " alter column refs set statistics 500",
    "create index resource_own on resource (own)",
    "create index resource_q1 on resource (c1, q1, key) where q1 is not null",
    # Texts behind a letter of their parameter, U+0020 and its number above that; what tells texts
    # apart that fold to the same; pieces for :contains.
    "drop index string_value",
    "alter table string drop constraint string_pkey",
    "update string set value = chr(32 + param) || value",
    "alter table string drop column param, add column exact bigint not null default 1,"
    " add column grams integer[] not null default '{}'",
    "alter table string alter column exact drop default, alter column grams drop default,"
    " alter column value set statistics 500",
    "alter table string add primary key (comp, key, value, exact)",
    "create index string_value on string (value, comp, key)",
    "create index string_grams on string using gin (grams) with (fastupdate = off)",
    # What a quantity stands beside, for composites.
    "alter table quantity add column beside bigint not null default 0,"
    " add column beside_system bigint not null default 0",
    "alter table quantity alter column beside drop default,"
    " alter column beside_system drop default",
    "alter table quantity drop constraint quantity_pkey,"
    " add primary key (comp, key, param, value, unit, beside, beside_system)",
    "create index quantity_beside on quantity (param, beside, value, comp, key) where beside <> 0",
    # Directories: what codes are called, for :text; the units that are stored.
    'create table display (param smallint not null, value text collate "C" not null,'
    " primary key (param, value))",
    'create table unit (code text collate "C" not null, primary key (code))',
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
