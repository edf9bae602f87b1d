"""What people allow and forbid: see `ehr_server.store.tables`.

Consents that are stored already are read when the index is brought to its new format. Until then
each denies all: by all records of its person.
"""

from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

_CONSENT = 29  # its type number
_DENY = (
    "insert into directive select d.comp, d.key, 0, d.home, -1, '{}', 1, '0001-01-02 00:00+00',"
    " '9999-12-31 00:00+00', '{}', '{}', '{}', '{}', '{}', '{}', '{}', null, null, false from ("
)
_AS = "as d (comp, key, home)"

STATEMENTS = (
    "create table directive (comp bigint not null, key bigint not null, number smallint not null,"
    " home bigint not null, parent smallint not null, above smallint[] not null,"
    " effect smallint not null, since timestamptz not null, until timestamptz not null,"
    " actors bigint[] not null, purposes bigint[] not null, labels bigint[] not null,"
    " classes smallint[] not null, codes bigint[] not null, instances bigint[] not null,"
    " names bigint[] not null, data_from timestamptz, data_until timestamptz,"
    " hides_patient boolean not null, primary key (comp, key, number))",
    "create index directive_key on directive (key)",
    f"{_DENY} select comp, key, comp from resource where type = {_CONSENT}) {_AS}",
    f"{_DENY} select other.comp, r.key, r.comp from resource r join merged own on own.comp = r.comp"
    " join merged other on other.person = own.person and other.comp <> own.comp"
    f" where r.type = {_CONSENT}) {_AS} on conflict do nothing",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
