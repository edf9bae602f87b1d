"""The content of large Binaries: parts of one size, written and read one by one.

docs/decisions/0013-binary.md. A content that comes in raw is written while it comes, in small
transactions of their own, so that no connection waits for a slow sender; a row of `upload` says
that no version names it yet. The transaction that stores the version takes that row away. What
nobody attaches is removed by the sender's process, or by the worker where that was killed.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from ehr_server import clock
from ehr_server.errors import Unavailable
from ehr_server.fhir.kept import Kept, kept_in
from ehr_server.layout import leaf
from ehr_server.store.connect import Collision, Connection, Store
from ehr_server.store.contents import Contents
from ehr_server.store.read import place

# Divisible by three: each part is encoded in base64 by itself, and the texts joined.
PART_BYTES = 3 << 17

Part = tuple[int, bytes, int]  # number, bytes as they are stored, `enc`

_AT_ONCE = 2  # parts that are read in one statement

# The rows are durable by the commit that attaches them: it flushes all that was logged before.
_SOON = "set local synchronous_commit = off"
_PART = "insert into blob (comp, key, part, bytes, enc) values (%s, %s, %s, %b, %s)"


@dataclass(frozen=True, slots=True)
class Blob:
    """Content for a version to be stored: the `parts` that are not in the database yet, one at
    least, and the compartment that those lie in which came before, None where there are none."""

    kept: Kept
    parts: Sequence[Part]
    staged_at: int | None = None


def part(contents: Contents, number: int, content: bytes) -> Part:
    """A part as it is stored."""
    enc, stored = contents.keep(content)
    return number, stored, enc


def cut(contents: Contents, content: bytes) -> list[Part]:
    """The content in parts."""
    return [
        part(contents, number, content[at : at + PART_BYTES])
        for number, at in enumerate(range(0, len(content), PART_BYTES))
    ]


def stage(store: Store, comp: int, key: int, part: Part) -> None:
    """Store a part of a content that is still coming. Raises `Unavailable`."""
    with store.transaction(is_small=True) as opened:
        opened.connection.execute(_SOON)
        opened.connection.execute(
            "insert into upload (comp, key, at) values (%s, %s, %s)"
            " on conflict (comp, key) do update set at = excluded.at",
            (comp, key, clock.now()),
        )
        opened.connection.execute(_PART, (comp, key, *part))


def discard(store: Store, comp: int, key: int) -> None:
    """Remove what came of a content, unless a version names it."""
    with store.connection() as connection, connection.transaction():
        _forget(connection, comp, key)


def forget_abandoned(connection: Connection, before: datetime) -> int:
    """Remove contents of which nothing has come since `before`; how many there were."""
    rows = connection.execute("select comp, key from upload where at < %s", (before,)).fetchall()
    for comp, key in rows:
        with connection.transaction():
            _forget(connection, comp, key)
    return len(rows)


def attach(connection: Connection, comp: int, blob: Blob) -> None:
    """The content belongs to a version in the compartment from this transaction on: the parts that
    came before are named, and taken along where they lie elsewhere. Raises `Collision` when any of
    them was removed."""
    if blob.staged_at is None:
        return
    here = (blob.staged_at, blob.kept.key)
    if not _claim(connection, *here) or _count(connection, *here) != blob.parts[0][0]:
        raise Collision
    move(connection, [blob.kept.key], blob.staged_at, comp)


def move(connection: Connection, keys: Sequence[int], old: int, new: int) -> None:
    """Take contents along to another compartment."""
    if old == new or not keys:
        return
    connection.execute(
        "insert into blob (comp, key, part, bytes, enc)"
        " select %s, key, part, bytes, enc from blob where comp = %s and key = any(%s)",
        (new, old, list(keys)),
    )
    connection.execute("delete from blob where comp = %s and key = any(%s)", (old, list(keys)))


def keys_of(store: Store, connection: Connection, comp: int, key: int) -> list[int]:
    """The keys of all content that the versions of a Binary name."""
    rows = connection.execute(
        f"select enc, content from version_{leaf('Binary')} where comp = %s and key = %s",
        (comp, key),
    ).fetchall()
    contents = (store.contents.unpack(enc, stored) for enc, stored in rows)
    return sorted({kept.key for content in contents if (kept := kept_in(content)) is not None})


def parts(store: Store, id_: str, kept: Kept, first: int = 0) -> Iterator[bytes]:
    """The parts of a Binary's content in order, from the part `first` on.

    A connection is held for one statement at a time, not while the reader takes what it read.
    Raises `Unavailable` when the content is gone meanwhile.
    """
    count = -(-kept.size // PART_BYTES)
    comp: int | None = None
    while first < count:
        with store.connection() as connection:
            found = _some(connection, comp, kept.key, first) if comp is not None else []
            if not found:  # not looked for yet, or taken along to another compartment
                comp = _comp(connection, id_)
                found = _some(connection, comp, kept.key, first)
        if not found:
            raise Unavailable(
                f"The content of Binary/{id_} is not there any more.",
                vi=f"Nội dung của Binary/{id_} không còn nữa.",
            )
        for enc, stored in found:
            yield store.contents.unpack(enc, stored)
        first += len(found)


def between(pieces: Iterable[bytes], skipped: int, length: int) -> Iterator[bytes]:
    """`length` bytes of the pieces, after the first `skipped`."""
    for piece in pieces:
        shown = piece[skipped : skipped + length]
        skipped = max(0, skipped - len(piece))
        length -= len(shown)
        if shown:
            yield shown
        if not length:
            return


def _some(connection: Connection, comp: int, key: int, first: int) -> list[tuple[int, bytes]]:
    with connection.cursor(binary=True) as cursor:
        return cursor.execute(
            "select enc, bytes from blob where comp = %s and key = %s and part >= %s"
            " order by part limit %s",
            (comp, key, first, _AT_ONCE),
        ).fetchall()


def _comp(connection: Connection, id_: str) -> int:
    at = place(connection, "Binary", id_)
    return 0 if at is None else at.comp


def _claim(connection: Connection, comp: int, key: int) -> bool:
    """Take the row that says that no version names the content: only one can."""
    row = connection.execute(
        "delete from upload where comp = %s and key = %s returning key", (comp, key)
    ).fetchone()
    return row is not None


def _count(connection: Connection, comp: int, key: int) -> int:
    row = connection.execute(
        "select count(*) from blob where comp = %s and key = %s", (comp, key)
    ).fetchone()
    return 0 if row is None else int(row[0])


def _forget(connection: Connection, comp: int, key: int) -> None:
    if _claim(connection, comp, key):
        connection.execute("delete from blob where comp = %s and key = %s", (comp, key))
