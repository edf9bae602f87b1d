"""Who may come in, who looked, and by which keys contents are sealed."""

from sqlalchemy import (
    BigInteger,
    Column,
    Identity,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    Table,
    Text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from ehr_server.store.tables.columns import instant, key, metadata, text

# The keys of a record that is encrypted at rest (`store.keyring`), none of one in clear. Their
# numbers never come again: what is sealed names its key.
data_key = Table(
    "data_key",
    metadata,
    key("number", SmallInteger),
    Column("purpose", Text, nullable=False),  # content, index
    Column("master", Text, nullable=False),  # the name of the key that wraps it
    Column("wrapped", LargeBinary, nullable=False),
    Column("made", instant, nullable=False),
    # current: what is written is; former: what was written may be; moving: current, of an index
    # that is being rewritten, so that searches ask for what it held before too
    Column("state", Text, nullable=False),
    Column("sealed", BigInteger, nullable=False),  # contents, or a few less
)

# Who looked at whose record, or changed it: a row for each person of whom a request told or wrote
# something, one with an even comp for a request that told of nobody. Rows are only ever added.
# `id` is the moment and the writer (`store.access_log`): rows of one request share it.
access_log = Table(
    "access_log",
    metadata,
    key("comp", BigInteger),  # the person's compartment; even: of nobody
    key("id", BigInteger),
    Column("tx", BigInteger, nullable=False),
    Column("who", Integer, nullable=False),  # of access_word: the caller, the purpose, the reason
    Column("deed", Integer, nullable=False),  # of access_word: the interaction or operation
    Column("status", SmallInteger, nullable=False),  # of HTTP
    Column("count", Integer, nullable=False),  # resources of the person; of all, where of nobody
    Column("request", text, nullable=False),  # X-Request-Id
    Column("what", text, nullable=False),  # the address below the base, without numbers
)
Index("access_log_id", access_log.c.id)
Index("access_log_tx", access_log.c.tx)

# What many rows of the log say alike. Nothing is removed: the rows are sealed with these words.
access_word = Table(
    "access_word",
    metadata,
    Column("id", Integer, Identity(always=True), primary_key=True),
    Column("word", text, nullable=False, unique=True),
)

# Seals over the log, each over the rows with tx_from <= tx < tx_to and over the seal before it
# (`store.seals`).
access_seal = Table(
    "access_seal",
    metadata,
    key("number", Integer),
    Column("at", instant, nullable=False),
    Column("tx_from", BigInteger, nullable=False),
    Column("tx_to", BigInteger, nullable=False),
    Column("count", Integer, nullable=False),
    Column("digest", LargeBinary, nullable=False),  # of all rows, in the order of tx, id, comp
    Column("marks", LargeBinary, nullable=False),  # of each row comp, id, 8 bytes of its hash
    Column("mac", LargeBinary, nullable=False),
)

# Programs that get tokens here (`store.clients`). `keys` are public JWKs, each with the instant
# `until` which it serves, null for ever; `jwks_uri` is where others are had. A row is never
# removed, since versions name their sender by the id.
client = Table(
    "client",
    metadata,
    Column("id", text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("scopes", ARRAY(Text), nullable=False),
    Column("policy", Text, nullable=False),
    Column("facility", Text),  # the id of an Organization
    Column("purposes", ARRAY(Text), nullable=False),
    Column("keys", JSONB, nullable=False),
    Column("jwks_uri", Text),
    Column("made", instant, nullable=False),
    Column("revoked", instant),
)

# What a client has asserted, until it expires: nothing is taken twice.
assertion = Table(
    "assertion",
    metadata,
    Column("client", text, primary_key=True),
    Column("jti", LargeBinary, primary_key=True),  # its SHA-256
    Column("expires", instant, nullable=False),
)
Index("assertion_expires", assertion.c.expires)
