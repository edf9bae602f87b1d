"""What people allow and forbid: see `ehr_server.store.tables`.

Consents that are stored already are read when the index is brought to its new format. Until then
each denies all: by all records of its person.

What the rules of a person say is decided by two functions. Written into each search the same would
be planned with each, which takes longer than most searches; and only few people have said anything.
They say what `consent.decide` says.
"""

from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

_MATCHES = """
({r}.since <= at and {r}.until > at
 and ({r}.actors = '{{}}' or {r}.actors && who) and ({r}.purposes = '{{}}' or {r}.purposes && why)
 and ({r}.labels = '{{}}' or {r}.labels && toks)
 and ({r}.classes = '{{}}' or type_ = any({r}.classes))
 and ({r}.codes = '{{}}' or {r}.codes && toks)
 and ({r}.instances = '{{}}' or own = any({r}.instances)) and {of_time})
"""
# Undated data, of the year 1 in the index, may be of any time: a denial is about them.
_MAYBE = """({r}.data_from is null or d1 is null or d1 < '0001-01-02 00:00+00'
 or (d1 < {r}.data_until and {r}.data_from < d1e))"""
_SURELY = (
    "({r}.data_from is null or coalesce(d1 >= {r}.data_from and d1e <= {r}.data_until, false))"
)
_EITHER = (
    "case when x.effect = 0 then "
    + _SURELY.format(r="x")
    + " else "
    + _MAYBE.format(r="x")
    + " end"
)


def _decides(of_time: str) -> str:
    """The rule `d` matches, and all that it lies in, and no exception to it."""
    own = _MATCHES.format(r="d", of_time=of_time.format(r="d"))
    outer = _MATCHES.format(r="o", of_time=of_time.format(r="o"))
    exception = _MATCHES.format(r="x", of_time=_EITHER)
    return (
        f"{own} and not exists (select from directive o where o.comp = d.comp and o.key = d.key"
        f" and o.number = any(d.above) and not {outer})"
        " and not exists (select from directive x where x.comp = d.comp and x.key = d.key"
        f" and x.parent = d.number and x.effect <> 2 and {exception})"
    )


_CONSENT = 29  # type numbers
_PATIENT = 103
_ASKED = "type_ smallint, own bigint, toks bigint[], d1 timestamptz, d1e timestamptz"
_ASK = "who bigint[], why bigint[], at timestamptz"
_DENIED = f"""
create function directive_denies(comps bigint[], {_ASKED}, {_ASK}) returns boolean
language plpgsql stable parallel safe as $$ begin return exists (
 select from directive d where d.comp = any(comps) and d.effect = 1
 and (type_ <> {_PATIENT} or d.hides_patient) and {_decides(_MAYBE)}
); end $$"""
_OPENED = f"""
create function directive_opens(comp_ bigint, {_ASKED}, {_ASK}, closed bigint[], is_named boolean)
returns boolean language plpgsql stable parallel safe as $$ begin return exists (
 select from directive d where d.comp = comp_ and d.effect = 0
 and (not is_named or d.names && why)
 and (own = any(d.instances)
  or not exists (select from unnest(closed) m where m = any(toks) and m <> all(d.names)))
 and {_decides(_SURELY)}
); end $$"""

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
    _DENIED,
    _OPENED,
    f"{_DENY} select comp, key, comp from resource where type = {_CONSENT}) {_AS}",
    f"{_DENY} select other.comp, r.key, r.comp from resource r join merged own on own.comp = r.comp"
    " join merged other on other.person = own.person and other.comp <> own.comp"
    f" where r.type = {_CONSENT}) {_AS} on conflict do nothing",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
