"""What it costs to tell who calls: a token that was looked at before, and one that comes first."""

from __future__ import annotations

import tempfile
from pathlib import Path

from joserfc import jwk, jws

from ehr_server import clock
from ehr_server.admission.admit import Admission
from ehr_server.admission.own import new_key, public
from ehr_server.admission.signed import taken_apart
from ehr_server.fhir import json
from ehr_server.settings import Settings
from ehr_server.store.clients import Client
from ehr_server.store.clients import add as add_client
from ehr_server.store.connect import Store
from ehr_server.store.embedded import embedded
from ehr_server.store.migrate import migrate
from harness.validation import Cost, least

_ISSUER, _AUDIENCE = "https://login.example.vn/realms/health", "https://ehr.example.vn/fhir"
_PATH = ("Patient",)
_TARGET = "100 µs"
_TYPES = ("jwt", "at+jwt")


def costs(rounds: int = 7) -> list[Cost]:
    """Rows for a token of our own and one of a provider (ES256 both), warm and cold."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)  # for the user that PostgreSQL runs as
        key = new_key()
        with embedded(folder / "postgres") as url:
            migrate(url)
            store = Store(url)
            try:
                admission = Admission(store, _settings(folder, key))
                tokens = (("our own", _own(store, admission)), ("a provider's", _foreign(key)))
                return [row for of, token in tokens for row in _rows(admission, of, token, rounds)]
            finally:
                store.close()


def _rows(admission: Admission, of: str, token: str, rounds: int) -> list[Cost]:
    headers = {"authorization": f"Bearer {token}"}
    admission.admit("GET", _PATH, headers)

    def warm(_: int) -> None:
        admission.clients.current()  # so that no second passes without a look at the database
        if admission.known("GET", _PATH, headers) is None:
            raise AssertionError("a token was forgotten")

    def cold(_: int) -> None:
        signed = taken_apart(token, _TYPES)
        issuer = admission.issuers.get(signed.claims["iss"])
        if issuer is None:
            admission.own.principal(signed)
        else:
            issuer.principal(signed, admission.settings.auth_skew_s)

    warm_s, cold_s = least(range(100), rounds, warm, cold)
    return [
        Cost("token check, warm", of, _TARGET, warm_s, "ms"),
        Cost("token check, cold", of, "", cold_s, "ms"),
    ]


def _settings(folder: Path, key: dict[str, object]) -> Settings:
    (folder / "keys.json").write_bytes(json.write({"keys": [public(key)]}))
    told = {"name": "p", "issuer": _ISSUER, "audience": _AUDIENCE, "jwks_file": "keys.json"}
    path = folder / "issuers.json"
    path.write_bytes(json.write({"issuers": [told]}))
    return Settings(auth="required", auth_issuers=path, auth_token_s=3_600)


def _own(store: Store, admission: Admission) -> str:
    row = Client("bench", "bench", ("system/*.rs",), "", None, (), (), None, clock.now())
    with store.connection() as connection:
        add_client(connection, row)
    return admission.own.made(row, row.scopes)


def _foreign(key: dict[str, object]) -> str:
    now = clock.epoch_s()
    claims = {"iss": _ISSUER, "aud": _AUDIENCE, "sub": "f:1:lan", "azp": "app", "iat": now}
    claims |= {"exp": now + 3_600, "scope": "openid fhirUser user/*.rs"}
    private = jwk.import_key({name: str(key[name]) for name in ("kty", "crv", "x", "y", "d")})
    return jws.serialize_compact({"alg": "ES256", "kid": key["kid"]}, json.write(claims), private)
