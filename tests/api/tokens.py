"""Callers with tokens, for tests: programs that are registered here, and people of a provider.

    with serving(database, **settings(folder)) as server:
        token = token_for(server, policy="facility", scopes=["system/*.rs"], facility="bv1")
        client.get("/Patient", headers=bearer(token))

A token with a `patient` or a `user` is one of the provider, whose keys the server has from a file;
others are got at the server's own token endpoint.
"""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import psycopg
from joserfc import jwk, jws

from ehr_server import clock
from ehr_server.admission.own import new_key, public
from ehr_server.admission.token_endpoint import ASSERTION_TYPE
from ehr_server.store import clients as kept
from servers import Server

ISSUER = "https://login.example.vn/realms/health"
AUDIENCE = "https://ehr.example.vn/fhir"
PROVIDER_KEY = new_key()  # of the provider of `settings`
EVERYTHING = ("system/*.cruds",)

_NUMBERS = count(1)


def settings(folder: Path, **more: Any) -> dict[str, str]:
    """The settings of a server that asks for tokens, and trusts the provider of the tests too.
    `more` is of the provider's entry in the file."""
    (folder / "keys.json").write_text(json.dumps({"keys": [public(PROVIDER_KEY)]}))
    told = {"name": "login", "issuer": ISSUER, "audience": [AUDIENCE], "jwks_file": "keys.json"}
    path = folder / "issuers.json"
    path.write_text(json.dumps({"issuers": [{**told, **more}]}))
    return {"auth": "required", "auth_issuers": str(path)}


def bearer(token: str) -> dict[str, str]:
    """The header that brings a token."""
    return {"Authorization": f"Bearer {token}".strip()}


def signed(
    claims: dict[str, Any], key: dict[str, Any], algorithm: str = "ES256", **header: Any
) -> str:
    """A JWT of the claims, signed with a private JWK; None leaves a claim or a header out."""
    head = {"alg": algorithm, "typ": "JWT", "kid": key.get("kid"), **header}
    private = jwk.import_key({k: v for k, v in key.items() if k not in ("made", "kid")})
    return jws.serialize_compact(
        {name: value for name, value in head.items() if value is not None},
        json.dumps({k: v for k, v in claims.items() if v is not None}),
        private,
        [algorithm],
    )


def provider_token(key: dict[str, Any] = PROVIDER_KEY, **claims: Any) -> str:
    """A token of the provider of `settings`; claims given replace those it would have, None
    leaves one out."""
    now = int(time.time())
    usual = {"iss": ISSUER, "aud": AUDIENCE, "sub": "somebody", "azp": "app", "iat": now}
    more = {"exp": now + 300, "ehr_policy": "everything", "scope": " ".join(EVERYTHING)}
    return signed({**usual, **more, **claims}, key)


@dataclass(frozen=True)
class Machine:
    """A program that is registered, with its private key (a JWK)."""

    id: str
    key: dict[str, Any]
    algorithm: str = "ES256"

    def assertion(self, server: Server, **claims: Any) -> str:
        """What it signs to get a token: good once, for a minute."""
        usual = {"iss": self.id, "sub": self.id, "aud": f"{server.url}/auth/token"}
        times = {"exp": int(time.time()) + 60, "jti": str(uuid4())}
        return signed({**usual, **times, **claims}, self.key, self.algorithm)

    def ask(self, server: Server, scope: str = "", **form: str) -> httpx.Response:
        """What the token endpoint answers; `form` replaces parameters."""
        usual = {"grant_type": "client_credentials", "client_assertion_type": ASSERTION_TYPE}
        if "client_assertion" not in form:
            usual["client_assertion"] = self.assertion(server)
        return httpx.post(f"{server.url}/auth/token", data={**usual, "scope": scope, **form})

    def token(self, server: Server, scope: str = "") -> str:
        """A token with the scopes, all it is registered for if none are named."""
        answer = self.ask(server, scope)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["access_token"])

    def with_key(self, key: dict[str, Any], algorithm: str = "ES256") -> "Machine":
        """The same program, signing with another key."""
        return replace(self, key=key, algorithm=algorithm)


def machine(
    database_url: str,
    *,
    policy: str = "everything",
    scopes: Sequence[str] = EVERYTHING,
    facility: str | None = None,
    purposes: Sequence[str] = (),
) -> Machine:
    """A program that is newly registered in a database."""
    key, id_ = new_key(), f"machine-{next(_NUMBERS)}-{uuid4().hex[:6]}"
    row = kept.Client(
        *(id_, "of a test", tuple(scopes), policy, facility, tuple(purposes)),
        *(({**public(key), "until": None},), None, clock.now()),
    )
    with psycopg.connect(database_url, autocommit=True) as connection:
        assert kept.add(connection, row)
    return Machine(id_, key)


def token_for(
    server: Server,
    *,
    policy: str = "everything",
    scopes: Sequence[str] = EVERYTHING,
    patient: str | None = None,
    user: str | None = None,
    **more: Any,
) -> str:
    """A token with these facts; `more`: facility, purposes."""
    if patient is None and user is None:
        assert server.database_url is not None
        return machine(server.database_url, policy=policy, scopes=scopes, **more).token(server)
    claims = {f"ehr_{name}": value for name, value in more.items()}
    return provider_token(
        scope=" ".join(scopes),
        ehr_policy=policy or None,
        patient=patient,
        fhirUser=user,
        sub=user or patient,
        **claims,
    )
