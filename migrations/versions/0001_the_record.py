"""The record: resources, their versions, their index, the directories and the jobs.

What each table is for stands in `ehr_server.store.tables`; the statements here are frozen. Names
of leaves and type numbers are repeated, since a migration may not change when the code does.
"""

from collections.abc import Iterator

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

LEAVES = {  # leaf -> number of its type
    "allergyintolerance": 4,
    "careplan": 14,
    "claim": 19,
    "composition": 26,
    "condition": 28,
    "coverage": 31,
    "diagnosticreport": 40,
    "documentreference": 42,
    "encounter": 44,
    "explanationofbenefit": 53,
    "immunization": 62,
    "medicationrequest": 79,
    "observation": 96,
    "patient": 103,
    "procedure": 110,
    "provenance": 111,
    "questionnaireresponse": 113,
    "servicerequest": 124,
}

TABLES = """
create sequence record_key as bigint increment by 1024;

create table resource (
    comp bigint not null, key bigint not null, tx bigint not null, at timestamptz not null,
    d1 timestamptz, d1e timestamptz, c1 bigint, q1 double precision,
    ver integer not null, type smallint not null, fmt smallint not null,
    toks bigint[] not null, refs bigint[] not null,
    primary key (comp, key, type)
) partition by list (type);

create table version (
    comp bigint not null, key bigint not null, tx bigint not null, at timestamptz not null,
    ver integer not null, sender integer not null, type smallint not null,
    enc smallint not null, deed smallint not null, content bytea not null,
    primary key (comp, key, ver, type)
) partition by list (type);

create table rid (
    comp bigint not null, key bigint not null, type smallint not null, live boolean not null,
    id text collate "C" not null,
    primary key (type, id)
);

create table ident (
    h bigint not null, comp bigint not null, key bigint not null,
    primary key (h, comp, key)
);

create table member (
    comp bigint not null, key bigint not null, type smallint not null, home bigint not null,
    primary key (comp, key, type)
);

create table string (
    param smallint not null, value text collate "C" not null,
    comp bigint not null, key bigint not null,
    primary key (comp, key, param, value)
);

create table date (
    param smallint not null, lo timestamptz not null, hi timestamptz not null,
    comp bigint not null, key bigint not null,
    primary key (comp, key, param, lo, hi)
);

create table quantity (
    param smallint not null, value double precision not null, unit bigint not null,
    comp bigint not null, key bigint not null,
    primary key (comp, key, param, value, unit)
);

create table mark (at timestamptz not null, tx bigint not null, primary key (at, tx));
create table zdict (id smallint primary key, dict bytea not null);
create table setting (name text collate "C" primary key, value text not null);
create table sender (
    id integer generated always as identity primary key,
    name text collate "C" not null unique
);

create table job (
    id text collate "C" primary key, kind text not null, state text not null,
    request jsonb not null, progress jsonb not null, attempts smallint not null,
    made timestamptz not null, lease timestamptz
);

create table job_part (
    job text collate "C" not null, number integer not null,
    request jsonb not null, done jsonb,
    primary key (job, number)
);

insert into setting (name, value) values ('tx_offset', '0');
"""

INDEXES = """
create index resource_date on resource (comp, c1, d1, key);
create index resource_code on resource (c1, d1, key);
create index resource_d1 on resource (d1, key);
create index resource_at on resource (at, key);
create index resource_toks on resource using gin (toks) with (fastupdate = off);
create index resource_refs on resource using gin (refs) with (fastupdate = off);
create index version_tx on version (tx, key);
create index string_value on string (param, value, comp, key);
create index date_lo on date (param, lo, hi, comp, key);
create index quantity_value on quantity (param, value, unit, comp, key);
create index ident_comp on ident (comp);
create index member_key on member (key);
"""

# Counts answered from an index alone need pages that a vacuum has seen: vacuum often.
TIGHT = """
autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_insert_scale_factor = 0.02,
autovacuum_analyze_scale_factor = 0.02
"""


def upgrade() -> None:
    for statement in _statements():
        op.execute(statement)


def _statements() -> Iterator[str]:
    yield from _split(TABLES)
    for table in ("resource", "version"):
        for leaf, number in LEAVES.items():
            yield (f"create table {table}_{leaf} partition of {table} for values in ({number})")
        yield f"create table {table}_other partition of {table} default"
    for leaf in (*LEAVES, "other"):
        yield f"alter table resource_{leaf} set ({TIGHT})"
    yield from _split(INDEXES)


def _split(script: str) -> list[str]:
    return [statement for statement in script.split(";") if statement.strip()]
