"""Programs that are registered here, what they have asserted, and the keys that sign their tokens.

Each change counts the setting `client_generation` up, in its transaction: a process that compares
it with the number it holds knows whether what it holds is still so.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ehr_server import clock
from ehr_server.fhir import json

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from ehr_server.store.connect import Connection

_COLUMNS = "id, name, scopes, policy, facility, purposes, keys, jwks_uri, made, revoked"
_GENERATION = "select value::integer from setting where name = 'client_generation'"
_COUNT_UP = (
    "insert into setting (name, value) values ('client_generation', '1') on conflict (name)"
    " do update set value = (setting.value::integer + 1)::text"
)
_SIGNING = "signing_keys"


@dataclass(frozen=True, slots=True)
class Client:
    """A program: what it may ask for, and the public keys that it signs with, each a JWK with the
    instant `until` which it serves (None: for ever), or where they are had."""

    id: str
    name: str
    scopes: tuple[str, ...]
    policy: str
    facility: str | None
    purposes: tuple[str, ...]
    keys: tuple[dict[str, Any], ...]
    jwks_uri: str | None
    made: datetime
    revoked: datetime | None = None


def generation(connection: Connection) -> int:
    """The number that grows with each change of a client, or of the keys that sign tokens."""
    row = connection.execute(_GENERATION).fetchone()
    return 0 if row is None else int(row[0])


def clients(connection: Connection) -> list[Client]:
    """All there are, also those that were revoked, by their ids."""
    return list(map(_client, connection.execute(f"select {_COLUMNS} from client order by id")))


def find(connection: Connection, id_: str) -> Client | None:
    """The one of this id."""
    row = connection.execute(f"select {_COLUMNS} from client where id = %s", (id_,)).fetchone()
    return None if row is None else _client(row)


def add(connection: Connection, client: Client) -> bool:
    """Register a program; False if the id was ever used."""
    with connection.transaction():
        done = connection.execute(
            f"insert into client ({_COLUMNS}) values (%s, %s, %s, %s, %s, %s, %s::jsonb, %s, %s,"
            " null) on conflict do nothing",
            (
                *(client.id, client.name, list(client.scopes), client.policy, client.facility),
                *(list(client.purposes), _text(client.keys), client.jwks_uri, client.made),
            ),
        )
        connection.execute(_COUNT_UP)
    return done.rowcount == 1


def revoke(connection: Connection, id_: str, at: datetime) -> bool:
    """From now on it gets no tokens, and those it has are worth nothing; False if there is no such
    client, or it was revoked before."""
    with connection.transaction():
        done = connection.execute(
            "update client set revoked = %s where id = %s and revoked is null", (at, id_)
        )
        connection.execute(_COUNT_UP)
    return done.rowcount == 1


def rekey(
    connection: Connection, id_: str, keys: Sequence[dict[str, Any]], jwks_uri: str | None
) -> bool:
    """Give a client these keys in place of those it has; False if there is no such client."""
    with connection.transaction():
        done = connection.execute(
            "update client set keys = %s::jsonb, jwks_uri = %s where id = %s and revoked is null",
            (_text(keys), jwks_uri, id_),
        )
        connection.execute(_COUNT_UP)
    return done.rowcount == 1


def is_first(connection: Connection, client: str, jti: str, expires: datetime) -> bool:
    """Whether the client asserts this for the first time, in whatever process; from now on it does
    not any more."""
    done = connection.execute(
        "insert into assertion (client, jti, expires) values (%s, %s, %s) on conflict do nothing",
        (client, hashlib.sha256(jti.encode("utf-8", "surrogatepass")).digest(), expires),
    )
    return done.rowcount == 1


def forget_assertions(connection: Connection, before: datetime) -> None:
    """Let go of what expired before then."""
    connection.execute("delete from assertion where expires < %s", (before,))


def signing_keys(
    connection: Connection, made: Callable[[], dict[str, Any]]
) -> list[dict[str, Any]]:
    """The private keys (JWKs) that sign our tokens, the newest first; the first is `made` when
    they are asked for first. Each has the instant `made`, and `retired` if another follows it."""
    row = _signing(connection)
    if row is None:
        connection.execute(
            "insert into setting (name, value) values (%s, %s) on conflict do nothing",
            (_SIGNING, _text([made()])),
        )
        row = _signing(connection)
    return [] if row is None else list(json.read_own(row))


def rotate_signing_keys(connection: Connection, new: dict[str, Any], kept_since: datetime) -> None:
    """From now on the new key signs; those that were retired before `kept_since` are forgotten."""
    since = clock.instant(kept_since)
    with connection.transaction():
        connection.execute("select from setting where name = %s for update", (_SIGNING,))
        now = clock.instant(clock.now())
        old = [{"retired": now, **key} for key in signing_keys(connection, lambda: new)]
        kept = [key for key in old if key["retired"] >= since and key["kid"] != new["kid"]]
        connection.execute(
            "update setting set value = %s where name = %s", (_text([new, *kept]), _SIGNING)
        )
        connection.execute(_COUNT_UP)


def _signing(connection: Connection) -> str | None:
    row = connection.execute("select value from setting where name = %s", (_SIGNING,)).fetchone()
    return None if row is None else str(row[0])


def _client(row: tuple[Any, ...]) -> Client:
    id_, name, scopes, policy, facility, purposes, keys, jwks_uri, made, revoked = row
    return Client(
        id_, name, tuple(scopes), policy, facility, tuple(purposes), tuple(keys), jwks_uri, made,
        revoked,
    )  # fmt: skip


def _text(value: object) -> str:
    return json.write(value).decode()
