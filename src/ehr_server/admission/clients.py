"""The programs that are registered here, as one process knows them: never older than a second.

A client that is revoked, or was given other rights, is so in every process within a second: what
is older than that is compared with the database before it is relied on, which costs one small
statement a second, whatever the number of requests.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from threading import Lock
from typing import TYPE_CHECKING, Any

from ehr_server import clock
from ehr_server.admission.fetch import json_at
from ehr_server.admission.keys import Key, KeySource, keys_of, pick
from ehr_server.admission.rejected import Rejected
from ehr_server.store import clients as kept

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ehr_server.admission.signed import Signed
    from ehr_server.store.clients import Client
    from ehr_server.store.connect import Store

ALGORITHM = "ES256"  # of our own tokens
LOOK_S = 1.0


@dataclass(frozen=True, slots=True)
class Registered:
    """What the database holds, as of a generation: clients that are not revoked, by their ids,
    the private keys that sign tokens, the newest first, and what those are checked by."""

    generation: int = -1
    clients: Mapping[str, Client] = field(default_factory=dict)
    signing: tuple[dict[str, Any], ...] = ()
    checking: tuple[Key, ...] = ()


class Clients:
    """The clients of a database. Raises `Unavailable` where it is away."""

    def __init__(self, store: Store, new_key: Any) -> None:
        self._store = store
        self._new_key = new_key
        self._found = Registered()
        self._looked_s = -float("inf")
        self._lock = Lock()
        self._sources: dict[str, KeySource] = {}

    @property
    def seen(self) -> Registered | None:
        """What is known without a look at the database; None if that is too long ago."""
        return self._found if clock.ticks_s() - self._looked_s < LOOK_S else None

    def current(self, *, is_new: bool = False) -> Registered:
        """What is registered, as of a second ago at most, or with `is_new` of now."""
        with self._lock:
            if not is_new and (seen := self.seen) is not None:
                return seen
            at = clock.ticks_s()
            with self._store.connection() as connection:
                number = kept.generation(connection)
                if number != self._found.generation or not self._found.signing:
                    signing = kept.signing_keys(connection, self._new_key)
                    all_ = {one.id: one for one in kept.clients(connection) if not one.revoked}
                    checking = keys_of({"keys": list(map(published, signing))})
                    self._found = Registered(number, all_, tuple(signing), checking)
            self._looked_s = at
            return self._found

    def key_of(self, client: Client, signed: Signed) -> Key:
        """The key that an assertion of a client is to be checked by. Raises `Rejected`, and
        `Unavailable` where the address of its keys does not answer."""
        if client.jwks_uri is not None:
            source = self._sources.get(client.jwks_uri)
            if source is None:
                source = KeySource(f"client {client.id}", partial(json_at, client.jwks_uri))
                self._sources[client.jwks_uri] = source
            return source.key_of(signed)
        now = clock.now()
        serving = [one for one in client.keys if not _is_over(one.get("until"), now)]
        key = pick(keys_of({"keys": serving}), signed) if serving else None
        if key is None:
            raise Rejected(
                "key",
                "The assertion is signed by a key that is not registered for the client.",
                "Chứng thực được ký bằng khóa chưa đăng ký cho client này.",
            )
        return key


def published(key: dict[str, Any]) -> dict[str, Any]:
    """What everybody may know of a key that signs tokens."""
    shown = {name: key[name] for name in ("kty", "crv", "x", "y", "kid")}
    return {**shown, "use": "sig", "alg": ALGORITHM}


def _is_over(until: str | None, now: datetime) -> bool:
    return until is not None and datetime.fromisoformat(until) <= now
