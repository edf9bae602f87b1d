"""Packages of conformance artifacts at rest, and how every process hears of a new one.

Each load that changes anything counts the setting `library_generation` up and sends a NOTIFY, both
in its transaction. A process compares that number with the one it holds.
"""

import hashlib
import logging
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import psycopg
import zstandard

from ehr_server import clock
from ehr_server.definitions.catalog import Artifact
from ehr_server.errors import Conflict
from ehr_server.store.connect import Connection, Store, snapshot

log = logging.getLogger(__name__)

CHANNEL = "ehr_library"
_GENERATION = "select value::integer from setting where name = 'library_generation'"
_GENERATIONS = (
    "select value::integer from setting"
    " where name in ('library_generation', 'search_generation') order by name"
)
_LOADING = 7_304_412  # any number: packages are loaded one load after another
_LEVEL = 9
_LOOK_S = 0.1  # how long a stop may have to wait
_POLL_EVERY = 300  # looks: where no NOTIFY comes through, as behind some poolers
_RETRY_S = 1


@dataclass(frozen=True, slots=True)
class Stored:
    """All packages there are, lowest layer first: label to artifacts, decompressed when read."""

    generation: int
    layers: Mapping[str, tuple[Artifact, ...]]


def stored(store: Store) -> Stored:
    """What the database holds, as of one moment."""
    layers: dict[str, list[Artifact]] = {}
    with store.connection() as connection, snapshot(connection):
        number = generation(connection)
        for name, version in connection.execute(
            "select name, version from package order by number"
        ):
            layers[f"{name}#{version}"] = []
        for label, type_, url, version, content in connection.execute(
            "select package, type, url, version, content from artifact order by type, url, version"
        ):
            read = partial(zstandard.decompress, content)
            layers[label].append(Artifact(type_, url, version, label, read))
    return Stored(number, {label: tuple(layer) for label, layer in layers.items()})


def generation(connection: Connection) -> int:
    """The number that grows with each change of what is loaded."""
    row = connection.execute(_GENERATION).fetchone()
    return 0 if row is None else int(row[0])


def save(
    store: Store,
    layers: Mapping[str, Sequence[Artifact]],
    seen: int,
    then: Callable[[Connection], None] = lambda connection: None,  # noqa: ARG005
) -> bool:
    """Store packages by their labels, the lowest first; each replaces the one of that label.
    `then` is done in the same transaction, if anything changed.

    False if all of them were there already, with the same content. Raises `Conflict` if what is
    loaded is no longer of the generation `seen`: what was checked against it must be checked again.
    """
    with store.transaction((_LOADING,)) as opened:
        connection = opened.connection
        if generation(connection) != seen:
            raise Conflict(
                "Another package was loaded meanwhile; load this one again.",
                vi="Một gói khác vừa được nạp; xin nạp lại gói này.",
            )
        changes = [_save(connection, label, layer) for label, layer in layers.items()]
        is_changed = any(changes)
        if is_changed:
            connection.execute(
                "update setting set value = %s where name = 'library_generation'", (str(seen + 1),)
            )
            connection.execute("select pg_notify(%s, %s)", (CHANNEL, str(seen + 1)))
            then(connection)
    return is_changed


def _save(connection: Connection, label: str, artifacts: Sequence[Artifact]) -> bool:
    name, _, version = label.partition("#")
    rows = sorted((one.type, one.url, one.version, one.content()) for one in artifacts)
    digest = _digest(rows)
    same = connection.execute(
        "select 1 from package where name = %s and version = %s and digest = %s",
        (name, version, digest),
    )
    if same.fetchone():
        return False
    connection.execute("delete from artifact where package = %s", (label,))
    connection.execute("delete from package where name = %s and version = %s", (name, version))
    connection.execute(
        "insert into package (name, version, number, at, digest) values"
        " (%s, %s, (select coalesce(max(number), 0) + 1 from package), %s, %s)",
        (name, version, clock.now(), digest),
    )
    into = "copy artifact (package, type, url, version, content) from stdin (format binary)"
    packed = [(label, *names, zstandard.compress(content, _LEVEL)) for *names, content in rows]
    with connection.cursor() as cursor, cursor.copy(into) as copy:
        copy.set_types(["text", "text", "text", "text", "bytea"])
        for row in packed:
            copy.write_row(row)
    return True


def _digest(rows: Sequence[tuple[str, str, str, bytes]]) -> bytes:
    digest = hashlib.sha256()
    for *names, content in rows:
        for part in (*(name.encode() for name in names), content):
            digest.update(len(part).to_bytes(8, "big") + part)
    return digest.digest()


def generations(url: str, stop: threading.Event) -> Iterator[tuple[int, int]]:
    """The generations of what is loaded and of what can be searched by: now, and again whenever
    they may have changed, until told to stop.

    On a connection of its own, which is opened anew when it is lost: at each NOTIFY, every 30
    seconds, and after each reconnect.
    """
    while not stop.is_set():
        try:
            with psycopg.connect(
                url,
                autocommit=True,
                application_name="ehr-server",
                connect_timeout=10,
                keepalives_idle=30,
            ) as connection:
                connection.execute(f"listen {CHANNEL}")
                while not stop.is_set():
                    (loaded,), (searched,) = connection.execute(_GENERATIONS).fetchall()
                    yield loaded, searched
                    _wait(connection, stop)
        except psycopg.Error as error:
            log.warning("packages: no connection to the database: %s", type(error).__name__)
            stop.wait(_RETRY_S)


def _wait(connection: Connection, stop: threading.Event) -> None:
    for _ in range(_POLL_EVERY):
        heard = any(connection.notifies(timeout=_LOOK_S, stop_after=1))
        if heard or stop.is_set():
            return
