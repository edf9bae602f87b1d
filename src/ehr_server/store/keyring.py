"""Encryption at rest: contents sealed by data keys, tokens of the index keyed, so that the disk and
its copies tell neither.

docs/decisions/0032-at-rest.md. Data keys are made here, wrapped by a master key (the setting
`encryption_key`) that the database never holds, and kept in the table `data_key`. AES-256-GCM with
nonces of 96 random bits (NIST SP 800-38D section 8.2.2), of which one key may see 2**32 at most
(section 8.3): a key is given up for a new one at half of that. The hashes of the index are keyed by
AES as a pseudo-random function, cut to 64 bits: a number of twelve digits cannot be found by
hashing them all, and yet is looked up as before.
"""

import hashlib
import logging
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from struct import Struct
from threading import local
from typing import Any, Literal

import psycopg
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, CipherContext, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ehr_server import clock
from ehr_server.setting import SettingError

Connection = psycopg.Connection[tuple[Any, ...]]
Purpose = Literal["content", "index"]
State = Literal["moving", "current", "former"]

SEALED_MAX = 2**31  # contents under one key
KEY_BYTES = 32
NUMBER_MAX = 32_767  # `enc` is a smallint

_NONCE_BYTES = 12
_HEAD_BYTES = 1 + _NONCE_BYTES
_RENEW_MS = 10_000.0
_RENEW_AFTER = 2**16  # contents
_COLUMNS = "number, purpose, master, wrapped, made, state, sealed"
_CURRENT = "select number from data_key where purpose = 'content' and state = 'current'"
_RECORD = (
    "select exists (select from version) or exists (select from rid) or exists (select from blob)"
    " or exists (select from receipt) or exists (select from job_content)"
)
_IN_USE = (
    "select count(*) from pg_stat_activity"
    " where datname = current_database() and application_name = 'ehr-server'"
)
_ALONE = 7_304_412  # any number
_LOSE = (
    "the record is encrypted under the master key %s: keep a copy of it apart from the database and"
    " its backups. Whoever loses it loses the record"
)
_ALL = f"select {_COLUMNS} from data_key order by number"

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class DataKey:
    """A row of `data_key`. `master`: the name of the key that wraps it."""

    number: int
    purpose: Purpose
    master: str
    wrapped: bytes
    made: Any
    state: State
    sealed: int


class Master:
    """A key of the setting: it wraps data keys and nothing else. Its `name` tells nothing of it."""

    def __init__(self, key: bytes) -> None:
        self.name = hashlib.blake2b(key, digest_size=8, person=b"ehr master name").hexdigest()
        self._cipher = AESGCM(key)

    def wrap(self, purpose: Purpose, number: int, key: bytes) -> bytes:
        """The data key, for the disk."""
        nonce = clock.random_bytes(_NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, key, _bound(purpose, number))

    def unwrap(self, row: DataKey) -> bytes:
        """The data key. Raises `SettingError` where the row was tampered with."""
        nonce, sealed = row.wrapped[:_NONCE_BYTES], row.wrapped[_NONCE_BYTES:]
        try:
            return self._cipher.decrypt(nonce, sealed, _bound(row.purpose, row.number))
        except InvalidTag:
            raise SettingError(
                f"the data key {row.number} in the database is damaged: take the table data_key "
                "from a backup"
            ) from None


def masters(text: str | None) -> list[Master]:
    """The keys of the setting, the one that wraps first. Raises `SettingError`."""
    found = []
    for one in (part.strip() for part in (text or "").split(",")):
        if one:
            key = _key_of(one)
            if key is None:
                raise SettingError(
                    "--encryption-key (EHR_ENCRYPTION_KEY) takes keys of 32 bytes in base64 or "
                    "hexadecimal, divided by commas; `ehr-server keys generate` prints one"
                )
            found.append(Master(key))
    return found


def new_master() -> str:
    """A new key for the setting."""
    return b64encode(clock.random_bytes(KEY_BYTES)).decode()


class Keyring:
    """The keys of a database, as a process knows them. Safe across threads; `renewed` by the store
    now and then, so that a rotation becomes known. `again` reads the rows of `data_key` anew.

    Raises `SettingError` where the masters are not those that wrap the rows.
    """

    def __init__(
        self,
        trusted: Sequence[Master],
        rows: Sequence[DataKey],
        again: Callable[[], list[DataKey]],
    ) -> None:
        self._trusted = trusted
        self._again = again
        self._sealed = 0
        self._ciphers: dict[int, AESGCM] = {}
        self._prfs: dict[int, Prf] = {}
        self._take(rows)

    def seal(self, kind: int, content: bytes) -> tuple[int, bytes]:
        """`(enc, bytes)` as they are stored; `kind` is the `enc` that they would have in clear."""
        self._sealed += 1
        enc, cipher = self._sealing
        head, nonce = bytes((kind,)), clock.random_bytes(_NONCE_BYTES)
        return enc, b"%b%b%b" % (head, nonce, cipher.encrypt(nonce, content, head))

    @property
    def enc(self) -> int:
        """What is sealed now says that it is sealed by, as a number below zero."""
        return self._sealing[0]

    def open(self, enc: int, stored: bytes) -> tuple[int, bytes]:
        """The `kind` and content. Raises `ValueError` for what was not sealed so."""
        cipher = self._ciphers.get(-enc)
        if cipher is None:  # of a key that another process has made since
            self._take(self._again())
            cipher = self._ciphers.get(-enc)
        if cipher is None:
            raise ValueError("a content is sealed by a data key that is not there")
        head = bytes(stored[:1])
        try:
            content = cipher.decrypt(stored[1:_HEAD_BYTES], stored[_HEAD_BYTES:], head)
        except InvalidTag:
            raise ValueError("a content was altered on the disk, or its key is another") from None
        return head[0], content

    def written(self, hashes: Sequence[int]) -> list[int]:
        """Tokens as the index is to hold them, in the same order."""
        return self._writing(hashes)

    def asked(self, hashes: Sequence[int]) -> list[tuple[int, int]]:
        """Each token with all that the index may hold it as: several while it is rewritten."""
        found = list(zip(hashes, self._writing(hashes), strict=True))
        if self.is_moving:
            found += zip(hashes, hashes, strict=True)
            for former in self._formers:
                found += zip(hashes, former(hashes), strict=True)
        return found

    def is_due(self) -> bool:
        """Whether the store is to call `renew`."""
        return self._sealed > _RENEW_AFTER or clock.ticks_ms() > self._until_ms

    def renew(self, connection: Connection) -> None:
        """Take in what became of the keys, and tell how many contents were sealed; make a new one
        where that is too many."""
        sealed, self._sealed = self._sealed, 0
        if sealed:
            row = connection.execute(
                "update data_key set sealed = sealed + %s where number = %s returning sealed",
                (sealed, -self._sealing[0]),
            ).fetchone()
            if row is not None and row[0] > SEALED_MAX:
                number = rotate(connection, self._trusted, after=-self._sealing[0])
                log.info("encryption: contents are sealed by the data key %d from now on", number)
        self._take(read(connection))

    def _take(self, rows: Iterable[DataKey]) -> None:
        formers = []
        for row in rows:
            if row.purpose == "content" and row.number not in self._ciphers:
                self._ciphers[row.number] = AESGCM(self._unwrapped(row))
            if row.purpose == "index" and row.number not in self._prfs:
                self._prfs[row.number] = Prf(self._unwrapped(row))
            if row.purpose == "content" and row.state == "current":
                self._sealing = -row.number, self._ciphers[row.number]  # both at once
            elif row.purpose == "index" and row.state == "former":
                formers.append(self._prfs[row.number])
            elif row.purpose == "index":
                self._writing, self.is_moving = self._prfs[row.number], row.state == "moving"
        self._formers = tuple(formers)
        self._until_ms = clock.ticks_ms() + _RENEW_MS

    def _unwrapped(self, row: DataKey) -> bytes:
        return _master_of(row, self._trusted).unwrap(row)


class Prf:
    """Hashes keyed: 64 bits of AES-256 of each. Safe across threads."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._mine = local()  # the context of a cipher serves one thread at a time

    def __call__(self, hashes: Sequence[int]) -> list[int]:
        """In the same order."""
        context: CipherContext | None = getattr(self._mine, "context", None)
        if context is None:
            # Of single blocks that are never repeated in what can be read back, ECB is the PRF.
            cipher = Cipher(algorithms.AES(self._key), modes.ECB())  # noqa: S305
            context = self._mine.context = cipher.encryptor()
        blocks = _blocks(len(hashes))
        return list(blocks.unpack(context.update(blocks.pack(*hashes))))


def read(connection: Connection) -> list[DataKey]:
    """All data keys, in the order in which they were made."""
    return [DataKey(*row) for row in connection.execute(_ALL).fetchall()]


def prepare(url: str, text: str | None) -> None:
    """Make the first data keys where a key is set and there is no record yet. Raises `SettingError`
    where setting and database do not go together, before anything is served."""
    trusted = masters(text)
    with alone(url) as connection:
        if trusted and not read(connection) and not _holds_record(connection):
            make(connection, trusted)
        rows = read(connection)
        check(rows, text)
        if rows:
            Keyring(trusted, rows, lambda: rows)


@contextmanager
def alone(url: str) -> Iterator[Connection]:
    """A connection, in autocommit, of which there is one at a time: for deeds on the keys."""
    with psycopg.connect(url, autocommit=True, application_name="ehr-keys") as connection:
        connection.execute("select pg_advisory_lock(%s)", (_ALONE,))
        yield connection


def make(connection: Connection, trusted: Sequence[Master]) -> None:
    """The first data keys; where there is a record already, it is to be encrypted from now on.

    Raises `SettingError` while a server runs, which would go on writing in clear.
    """
    with connection.transaction():
        is_moving = _holds_record(connection)
        _add(connection, trusted[0], "content", "current")
        _add(connection, trusted[0], "index", "moving" if is_moving else "current")
    try:
        # After the commit: a store that opens later reads the keys, and one that has not is seen.
        _refuse_use(connection)
    except SettingError:
        connection.execute("delete from data_key")
        raise
    log.warning(_LOSE, trusted[0].name)


def rotate(connection: Connection, trusted: Sequence[Master], after: int | None = None) -> int:
    """A new key for the contents that are written from now on; its number. Servers that run have it
    within ten seconds of writing. Unless another process gave up the key `after` meanwhile."""
    with connection.transaction():
        connection.execute("lock table data_key in exclusive mode")
        row = connection.execute(_CURRENT).fetchone()
        if row is None or (after is not None and row[0] != after):
            return 0 if row is None else int(row[0])
        connection.execute("update data_key set state = 'former' where purpose = 'content'")
        return _add(connection, trusted[0], "content", "current")


def rotate_index(connection: Connection, trusted: Sequence[Master]) -> int:
    """A new key of the index, which is to be rewritten; its number.

    Raises `SettingError` while a server runs: one that does not know the key yet would not find
    what is written by it.
    """
    with connection.transaction():
        connection.execute("lock table data_key in exclusive mode")
        connection.execute("update data_key set state = 'former' where purpose = 'index'")
        number = _add(connection, trusted[0], "index", "moving")
        _refuse_use(connection)
        return number


def end_move(connection: Connection) -> None:
    """The index holds tokens by the newest key alone."""
    with connection.transaction():
        connection.execute("delete from data_key where purpose = 'index' and state = 'former'")
        connection.execute("update data_key set state = 'current' where state = 'moving'")


def rewrap(connection: Connection, trusted: Sequence[Master]) -> int:
    """Wrap all data keys by the first master key; how many had another. Raises
    `SettingError` where one of those is not given."""
    first = trusted[0]
    with connection.transaction():
        others = [row for row in read(connection) if row.master != first.name]
        for row in others:
            wrapped = first.wrap(row.purpose, row.number, _master_of(row, trusted).unwrap(row))
            connection.execute(
                "update data_key set master = %s, wrapped = %s where number = %s",
                (first.name, wrapped, row.number),
            )
    return len(others)


def check(rows: Sequence[DataKey], text: str | None) -> list[Master]:
    """The masters of the setting; none where nothing is encrypted and no key is given. Raises
    `SettingError` where the setting and the database do not go together."""
    trusted = masters(text)
    if rows and not trusted:
        raise SettingError(
            "the record is encrypted: set --encryption-key (EHR_ENCRYPTION_KEY), which is the "
            f"master key {rows[-1].master}. Without it nobody can read the record"
        )
    if trusted and not rows:
        raise SettingError(
            "--encryption-key (EHR_ENCRYPTION_KEY) is set, but the record is in clear: stop all "
            "servers and run `ehr-server keys encrypt`"
        )
    return trusted


def _master_of(row: DataKey, trusted: Sequence[Master]) -> Master:
    for one in trusted:
        if one.name == row.master:
            return one
    raise SettingError(
        f"the record is encrypted under the master key {row.master}, which is not among those of "
        "--encryption-key (EHR_ENCRYPTION_KEY): set it, as the first or, where another takes its "
        "place, after that one"
    )


def _refuse_use(connection: Connection) -> None:
    (count,) = connection.execute(_IN_USE).fetchone() or (0,)
    if count:
        raise SettingError("a server or command uses the database: stop it first")


def _holds_record(connection: Connection) -> bool:
    return connection.execute(_RECORD).fetchone() == (True,)


def _add(connection: Connection, master: Master, purpose: Purpose, state: State) -> int:
    row = connection.execute("select coalesce(max(number), 0) + 1 from data_key").fetchone()
    number = int(row[0]) if row else 1
    if number > NUMBER_MAX:
        raise SettingError("there are too many data keys: export the record to a new database")
    wrapped = master.wrap(purpose, number, clock.random_bytes(KEY_BYTES))
    connection.execute(
        f"insert into data_key ({_COLUMNS}) values (%s, %s, %s, %s, %s, %s, 0)",
        (number, purpose, master.name, wrapped, clock.now(), state),
    )
    return number


def _bound(purpose: Purpose, number: int) -> bytes:
    return f"ehr-server data key {purpose} {number}".encode()


def _key_of(text: str) -> bytes | None:
    try:
        key = bytes.fromhex(text) if len(text) == 2 * KEY_BYTES else b64decode(text, validate=True)
    except ValueError:
        return None
    return key if len(key) == KEY_BYTES else None


@lru_cache(maxsize=256)
def _blocks(count: int) -> Struct:
    """So many blocks of 16 bytes, each with a hash in its first half."""
    return Struct(">" + "q8x" * count)
