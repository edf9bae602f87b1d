"""Tokens of our own: made for programs that are registered here, and checked.

JWTs as https://www.rfc-editor.org/rfc/rfc9068 has them, signed by ES256. What a client may is read
from its registration whenever a token is checked, so that a change holds at once; the token says
whose it is, what of that was granted, and for how long.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from joserfc import jwk, jws

from ehr_server import clock
from ehr_server.access.principal import Principal
from ehr_server.admission.claims import check_audience, check_times, texts
from ehr_server.admission.clients import ALGORITHM, published
from ehr_server.admission.granting import granted
from ehr_server.admission.keys import pick, thumbprint_of
from ehr_server.admission.rejected import Rejected
from ehr_server.admission.signed import Signed, check_signature
from ehr_server.fhir import json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ehr_server.admission.clients import Clients
    from ehr_server.settings import Settings
    from ehr_server.store.clients import Client

_CURVE = "P-256"
_HERE = "http://localhost/fhir"  # of a server that nobody told its address
_PRIVATE = ("d", "p", "q", "dp", "dq", "qi")


def new_key(kind: str = "EC", size: str | int = _CURVE) -> dict[str, Any]:
    """A new private JWK with its thumbprint for a name, and the instant at which it was `made`."""
    value: dict[str, Any] = dict(jwk.generate_key(kind, size).as_dict(private=True))  # type: ignore[call-overload]
    kid = thumbprint_of(value)
    return {**value, "kid": kid, "made": clock.instant(clock.now())}


def public(key: dict[str, Any]) -> dict[str, Any]:
    """What of a JWK everybody may know."""
    return {name: value for name, value in key.items() if name not in _PRIVATE}


@dataclass(frozen=True, slots=True)
class OwnTokens:
    """Makes and checks our tokens."""

    settings: Settings
    clients: Clients

    @property
    def issuer(self) -> str:
        """What our tokens say of who made them, and whom they are for."""
        return self.settings.public_url or _HERE

    def made(self, client: Client, scopes: Sequence[str]) -> str:
        """A token for a client, of the scopes that it was granted."""
        now, key = clock.epoch_s(), self.clients.current().signing[0]
        claims = {
            "iss": self.issuer,
            "aud": self.issuer,
            "sub": client.id,
            "client_id": client.id,
            "scope": " ".join(scopes),
            "iat": now,
            "exp": now + self.settings.auth_token_s,
            "jti": clock.new_id(),
        }
        header = {"alg": ALGORITHM, "typ": "at+jwt", "kid": key["kid"]}
        signing = jwk.import_key({name: key[name] for name in ("kty", "crv", "x", "y", "d")})
        return jws.serialize_compact(header, json.write(claims), signing)

    def principal(self, signed: Signed) -> Principal:
        """Who a token of ours is of. Raises `Rejected`, and `Unavailable` without a database."""
        named, found = str(signed.claims.get("client_id")), self.clients.current()
        key, client = pick(found.checking, signed), found.clients.get(named)
        if key is None or client is None:  # they may be newer than what this process knows
            found = self.clients.current(is_new=True)
            key, client = pick(found.checking, signed), found.clients.get(named)
        if key is None:
            raise Rejected(
                "key",
                "The token is signed by no key of this server.",
                "Token không được ký bằng khóa của máy chủ này.",
            )
        check_signature(signed, key)
        check_audience(signed.claims, (self.issuer,))
        expires = check_times(signed.claims, self.settings.auth_skew_s)
        if client is None:
            raise Rejected(
                "client",
                "The client of this token is not registered here, or was revoked.",
                "Client của token này chưa đăng ký ở đây, hoặc đã bị thu hồi.",
            )
        return Principal(
            client.id,
            client.id,
            scopes=tuple(granted(texts(signed.claims.get("scope")), client.scopes)),
            policy=client.policy,
            facility=client.facility,
            purposes=client.purposes,
            expires=expires,
        )

    def jwks(self) -> dict[str, Any]:
        """The keys that our tokens are checked by, and were while they may still be in use."""
        signing = self.clients.current().signing
        return {"keys": [published(key) for key in signing]}
