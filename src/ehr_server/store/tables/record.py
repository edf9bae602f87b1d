"""The record, its index, and the work in the background."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    Identity,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    Table,
    Text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, TSVECTOR

from ehr_server.store.tables.columns import instant, key, metadata, text

# One narrow row per live resource: what searches read. A delete removes it.
resource = Table(
    "resource",
    metadata,
    key("comp", BigInteger),
    key("key", BigInteger),
    Column("tx", BigInteger, nullable=False),
    Column("at", instant, nullable=False),  # meta.lastUpdated
    Column("d1", instant),  # the main date, [d1, d1e)
    Column("d1e", instant),
    Column("c1", BigInteger),  # the main code
    Column("q1", Double),  # the main quantity
    Column("ver", Integer, nullable=False),
    key("type", SmallInteger),
    Column("fmt", SmallInteger, nullable=False),  # search.rows.FORMAT of this row
    Column("toks", ARRAY(BigInteger), nullable=False),
    Column("refs", ARRAY(BigInteger), nullable=False),
    Column("own", BigInteger, nullable=False),  # hashing.own_comp: what references to it hold
    Column("has", BigInteger, nullable=False),  # bits of the parameters that have a value
    postgresql_partition_by="LIST (type)",
)
Index("resource_date", resource.c.comp, resource.c.c1, resource.c.d1, resource.c.key)
Index("resource_code", resource.c.c1, resource.c.d1, resource.c.key)
Index("resource_d1", resource.c.d1, resource.c.key)
Index("resource_at", resource.c.at, resource.c.key)
Index("resource_toks", resource.c.toks, postgresql_using="gin")
Index("resource_own", resource.c.own)
Index(
    "resource_q1",
    resource.c.c1,
    resource.c.q1,
    resource.c.key,
    postgresql_where=resource.c.q1.is_not(None),
)
Index("resource_refs", resource.c.refs, postgresql_using="gin")

# Every version of every resource, for ever: bytes as served. Append only.
version = Table(
    "version",
    metadata,
    key("comp", BigInteger),
    key("key", BigInteger),
    Column("tx", BigInteger, nullable=False),
    Column("at", instant, nullable=False),
    key("ver", Integer),
    Column("sender", Integer, nullable=False),
    key("type", SmallInteger),
    Column("enc", SmallInteger, nullable=False),  # 0 plain, n: zstd with dictionary n; -n: sealed
    Column("deed", SmallInteger, nullable=False),  # store.read.CREATE and its like
    Column("content", LargeBinary, nullable=False),
    postgresql_partition_by="LIST (type)",
)
Index("version_tx", version.c.tx, version.c.key)
Index("version_later", version.c.key, version.c.ver, postgresql_where=version.c.ver > 1)

# The content of a Binary that is too large to stand in its resource, in parts of one size
# (`store.blobs`). The key is that of the content, which the version names; comp is the resource's,
# so that all of a person lies together. Nothing changes or removes a part that a version names.
blob = Table(
    "blob",
    metadata,
    key("comp", BigInteger),
    key("key", BigInteger),
    key("part", Integer),
    Column("bytes", LargeBinary, nullable=False),  # storage external
    Column("enc", SmallInteger, nullable=False),  # 0 plain, -n: sealed by the data key n
)

# Contents that are still coming, or were left lying: a row goes in the transaction that stores the
# version. What has had no part since `at` for a day is removed.
upload = Table(
    "upload",
    metadata,
    key("comp", BigInteger),
    key("key", BigInteger),
    Column("at", instant, nullable=False),
)

# Every id ever used, and where its resource lies: the one uniqueness of ids.
rid = Table(
    "rid",
    metadata,
    Column("comp", BigInteger, nullable=False),
    Column("key", BigInteger, nullable=False),
    key("type", SmallInteger),
    Column("live", Boolean, nullable=False),
    Column("id", text, primary_key=True),
)

# Which patients carry an identifier, by the hash of its forms.
ident = Table(
    "ident",
    metadata,
    key("h", BigInteger),
    key("comp", BigInteger),
    key("key", BigInteger),
)
Index("ident_comp", ident.c.comp)

# Further compartments of a resource that lies at home in another.
member = Table(
    "member",
    metadata,
    key("comp", BigInteger),
    key("key", BigInteger),
    key("type", SmallInteger),
    Column("home", BigInteger, nullable=False),
)
Index("member_key", member.c.key)

# Patients that are records of one person: a row for each of them, none for who was never merged
# (`store.merged`). `target` is the Patient that it was merged into, null for the one that
# survives; `person` is the compartment of that one, whichever way leads there. Read by all
# searches that name a Patient and written by merges alone: on Citus a reference table.
merged = Table(
    "merged",
    metadata,
    key("comp", BigInteger),
    Column("id", text, primary_key=True),
    Column("target", text),
    Column("person", BigInteger, nullable=False),
    Column("provenance", text),  # the id of the Provenance that tells of the merge
)
Index("merged_person", merged.c.person)

# What people allow and forbid: a row for each provision of a Consent in force (`consent.rule.Rule`
# explains the columns), and that for each record of the person, so that who was merged is heard by
# whichever record (`store.directives`). `home` is the compartment of the Consent. Read beside every
# row that a caller may not see as a matter of course, and small: on Citus a reference table.
directive = Table(
    "directive",
    metadata,
    key("comp", BigInteger),
    key("key", BigInteger),  # of the Consent
    key("number", SmallInteger),
    Column("home", BigInteger, nullable=False),
    Column("parent", SmallInteger, nullable=False),
    Column("above", ARRAY(SmallInteger), nullable=False),
    Column("effect", SmallInteger, nullable=False),
    Column("since", instant, nullable=False),
    Column("until", instant, nullable=False),
    Column("actors", ARRAY(BigInteger), nullable=False),
    Column("purposes", ARRAY(BigInteger), nullable=False),
    Column("labels", ARRAY(BigInteger), nullable=False),
    Column("classes", ARRAY(SmallInteger), nullable=False),
    Column("codes", ARRAY(BigInteger), nullable=False),
    Column("instances", ARRAY(BigInteger), nullable=False),
    Column("names", ARRAY(BigInteger), nullable=False),
    Column("data_from", instant),
    Column("data_until", instant),
    Column("hides_patient", Boolean, nullable=False),
)
Index("directive_key", directive.c.key)

# What does not fit on the narrow row: found by value, removed by (comp, key).
string = Table(
    "string",
    metadata,
    key("comp", BigInteger),
    key("key", BigInteger),
    # The letter of the parameter (search.types.string), then the text: so the statistics of this
    # one column tell how common a name is, and are kept of 500 values.
    Column("value", text, primary_key=True),
    key("exact", BigInteger),  # hash of the text as it was sent; 0: a word of one
    Column("grams", ARRAY(Integer), nullable=False),  # search.grams
)
Index("string_value", string.c.value, string.c.comp, string.c.key)
Index("string_grams", string.c.grams, postgresql_using="gin")

date = Table(
    "date",
    metadata,
    key("comp", BigInteger),
    key("key", BigInteger),
    key("param", SmallInteger),
    Column("lo", instant, primary_key=True),
    Column("hi", instant, primary_key=True),
)
Index("date_lo", date.c.param, date.c.lo, date.c.hi, date.c.comp, date.c.key)

quantity = Table(
    "quantity",
    metadata,
    key("comp", BigInteger),
    key("key", BigInteger),
    key("param", SmallInteger),
    Column("value", Double, primary_key=True),
    key("unit", BigInteger),
    # What it stands beside (search.types.composite): the hash of a code, or another number, or 0;
    # the hash of the code's system, or 0.
    key("beside", BigInteger),
    key("beside_system", BigInteger),
)
Index(
    "quantity_value",
    quantity.c.param,
    quantity.c.value,
    quantity.c.unit,
    quantity.c.comp,
    quantity.c.key,
)
Index(
    "quantity_beside",
    quantity.c.param,
    quantity.c.beside,
    quantity.c.value,
    quantity.c.comp,
    quantity.c.key,
    postgresql_where=quantity.c.beside != 0,
)

# The words of a resource and their places, those of the narrative with the weight A
# (`search.words`). A resource without words has no row, nor one of a type that the setting
# `full_text` leaves out. One vector for both, so that a word is once in the index.
full_text = Table(
    "full_text",
    metadata,
    key("comp", BigInteger),
    key("key", BigInteger),
    Column("type", SmallInteger, nullable=False),
    Column("words", TSVECTOR, nullable=False),
)
Index("full_text_words", full_text.c.words, postgresql_using="gin")

# What was ever said of codes, and all units of UCUM that quantities came in: directories in which a
# search looks up what it may mean. Nothing is removed from them.
display = Table(
    "display",
    metadata,
    key("param", SmallInteger),
    Column("value", text, primary_key=True),  # folded
)

unit = Table("unit", metadata, Column("code", text, primary_key=True))

# Instants tied to the transaction numbers below which everything is complete.
mark = Table("mark", metadata, Column("at", instant, primary_key=True), key("tx", BigInteger))

zdict = Table(
    "zdict",
    metadata,
    key("id", SmallInteger),
    Column("dict", LargeBinary, nullable=False),
)

setting = Table(
    "setting",
    metadata,
    Column("name", text, primary_key=True),
    Column("value", Text, nullable=False),
)

sender = Table(
    "sender",
    metadata,
    Column("id", Integer, Identity(always=True), primary_key=True),
    Column("name", text, nullable=False, unique=True),
)

# What was found wrong in what was stored all the same: a row for each compartment that a
# transaction wrote to, with the kinds of findings, and beside each the key of the resource.
# Together with tx that names the version, so that a row takes 150 bytes, not as many for each.
finding = Table(
    "finding",
    metadata,
    key("comp", BigInteger),
    key("tx", BigInteger),
    Column("at", instant, nullable=False),
    Column("sender", Integer, nullable=False),
    Column("keys", ARRAY(BigInteger), nullable=False),
    Column("kinds", ARRAY(BigInteger), nullable=False),
)
Index("finding_sender", finding.c.sender, finding.c.at)

# What a kind of finding is: its number is the hash of the rest (`store.findings`).
finding_kind = Table(
    "finding_kind",
    metadata,
    key("kind", BigInteger),
    Column("type", SmallInteger, nullable=False),  # of the resource
    Column("severity", Text, nullable=False),
    Column("rule", Text, nullable=False),
    Column("profile", Text, nullable=False),
    Column("path", Text, nullable=False),  # without indices
)

# What was stored under a key of its sender, so that what is sent again is stored once
# (`store.receipts`): a row for a push, written by the transaction that stored it. No content stands
# in it. The entries of a batch are transactions of their own: they have rows until it is done.
receipt = Table(
    "receipt",
    metadata,
    Column("key", text, primary_key=True),
    key("sender", Integer),
    key("entry", Integer),  # of a batch; -1 for the whole
    Column("tx", BigInteger, nullable=False),
    Column("at", instant, nullable=False),
    Column("kind", SmallInteger, nullable=False),  # store.receipts.SINGLE and its like
    Column("digest", LargeBinary, nullable=False),  # of method, address and content
    Column("types", ARRAY(SmallInteger), nullable=False),  # of each entry; 0: nothing stored
    Column("enc", SmallInteger, nullable=False),
    Column("done", LargeBinary, nullable=False),  # status, id and version of each entry
)
Index("receipt_day", receipt.c.sender, receipt.c.at)

# Work in the background, and its parts: a part that is done is never done again.
job = Table(
    "job",
    metadata,
    Column("id", text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("state", Text, nullable=False),  # queued, running, done, failed, cancelled
    Column("request", JSONB, nullable=False),
    Column("progress", JSONB, nullable=False),
    Column("attempts", SmallInteger, nullable=False),
    Column("made", instant, nullable=False),
    Column("lease", instant),  # a running job whose lease is over may be claimed again
)

job_part = Table(
    "job_part",
    metadata,
    Column("job", text, primary_key=True),
    key("number", Integer),
    Column("request", JSONB, nullable=False),
    Column("done", JSONB),
)

# A request that is answered in the background and its answer (`store.deferred`), in pieces: the
# record is what several servers share, a folder is not.
job_content = Table(
    "job_content",
    metadata,
    Column("job", text, primary_key=True),
    key("side", SmallInteger),  # 0 the request, 1 the answer, 2 persons (`store.cohort`)
    key("number", Integer),  # 0 all but the body, then the body
    Column("enc", SmallInteger, nullable=False),  # as in version
    Column("content", LargeBinary, nullable=False),
)

# What agreement at a level says of two records, as a site has learnt it (`identity.weights`): of
# pairs of one person the share m stands at it, of others the share u. Empty: the defaults.
weight = Table(
    "weight",
    metadata,
    Column("field", text, primary_key=True),
    Column("level", text, primary_key=True),
    Column("m", Double, nullable=False),
    Column("u", Double, nullable=False),
)

# What a source of imports calls a resource that has another id here, since it was found by its
# identifiers (`store.import_`): so what comes later and refers to it is put right at once.
alias = Table(
    "alias",
    metadata,
    Column("source", text, primary_key=True),
    key("type", SmallInteger),
    Column("given", text, primary_key=True),
    Column("id", text, nullable=False),
)
Index("alias_id", alias.c.type, alias.c.id)

# Implementation guides. The number grows: later packages lie above earlier ones.
package = Table(
    "package",
    metadata,
    Column("name", text, primary_key=True),
    Column("version", text, primary_key=True),
    Column("number", Integer, nullable=False),
    Column("at", instant, nullable=False),
    Column("digest", LargeBinary, nullable=False),  # of all its artifacts
)

artifact = Table(
    "artifact",
    metadata,
    Column("package", text, primary_key=True),  # name#version
    Column("type", text, primary_key=True),
    Column("url", text, primary_key=True),
    Column("version", text, primary_key=True),
    Column("content", LargeBinary, nullable=False),  # zstd
)

# Search parameters that are not the standard's (`store.search_parameters`): a row for each type
# that one names. Those that are retired stay, so that no number is given twice.
search_parameter = Table(
    "search_parameter",
    metadata,
    key("number", SmallInteger),
    Column("base", text, nullable=False),
    Column("code", text, nullable=False),
    Column("definition", JSONB, nullable=False),
    Column("state", Text, nullable=False),  # building, ready, retired
    Column("source", text, nullable=False),  # SearchParameter/<id>, or library
    Column("job", text),  # that builds its index
)
Index(
    "search_parameter_code",
    search_parameter.c.base,
    search_parameter.c.code,
    unique=True,
    postgresql_where=search_parameter.c.state != "retired",
)
