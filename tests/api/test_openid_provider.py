"""Tokens of a provider of OpenID that runs beside the server: discovery, keys, rotation, absence.

https://openid.net/specs/openid-connect-discovery-1_0.html,
https://openid.net/specs/openid-connect-core-1_0.html#RotateSigKeys
"""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from api.tokens import AUDIENCE, bearer
from databases import open_folder
from ehr_server.admission.own import new_key
from provider import REALM, Provider, providing
from servers import Server, serving

CERTS = f"{REALM}/protocol/openid-connect/certs"


@pytest.fixture
def provider() -> Iterator[Provider]:
    with providing() as one:
        yield one


@pytest.fixture
def folder() -> Iterator[Path]:
    with open_folder() as path:
        yield path


def _settings(folder: Path, provider: Provider, **more: Any) -> dict[str, str]:
    told = {"name": "keycloak", "issuer": provider.issuer, "audience": AUDIENCE, **more}
    path = folder / "issuers.json"
    path.write_text(json.dumps({"issuers": [told]}))
    return {"auth": "required", "auth_issuers": str(path)}


def _status(server: Server, token: str) -> int:
    return httpx.get(f"{server.fhir}/Patient", headers=bearer(token)).status_code


def test_its_tokens_are_taken(database: str, provider: Provider, folder: Path) -> None:
    with serving(database, **_settings(folder, provider)) as server:
        for _ in range(5):
            assert _status(server, provider.token()) == 200
        assert provider.asked[CERTS] == 1  # they are held
        answer = httpx.get(f"{server.fhir}/Patient", headers=bearer(provider.token(aud="account")))
        assert answer.status_code == 401


def test_a_new_key_is_asked_for_at_once_but_not_over_and_over(
    database: str, provider: Provider, folder: Path
) -> None:
    """ "The signer … signals the change to the verifier using the kid value"; anybody can name one,
    so that half a minute passes before the provider is asked again."""
    with serving(database, **_settings(folder, provider, keys_again_s=0)) as server:
        before = provider.token()
        assert _status(server, before) == 200
        provider.keys.insert(0, new_key())
        assert _status(server, provider.token()) == 200
        assert _status(server, before) == 200
    provider.asked.clear()
    with serving(database, **_settings(folder, provider)) as server:
        assert _status(server, provider.token()) == 200
        provider.keys.insert(0, new_key())
        assert [_status(server, provider.token()) for _ in range(5)] == [401] * 5
        assert provider.asked[CERTS] == 1


def test_its_keys_go_on_while_it_is_away(database: str, folder: Path) -> None:
    with ExitStack() as there:
        provider = there.enter_context(providing())
        chosen = _settings(folder, provider, keys_again_s=0, keys_fresh_s=0)
        with serving(database, **chosen) as server:
            assert _status(server, provider.token()) == 200
            there.close()
            assert _status(server, provider.token(jti="another")) == 200
            provider.keys.insert(0, new_key())
            assert _status(server, provider.token()) == 401
            with providing(provider):
                assert _status(server, provider.token()) == 200
            assert "cannot be had" in server.logged()


def test_while_it_never_was_there_its_tokens_are_put_off(database: str, folder: Path) -> None:
    """Nobody can say whether they are good: 503 with Retry-After, and not 401."""
    with providing() as provider:
        chosen, token = _settings(folder, provider), provider.token()
    with serving(database, **chosen) as server:
        answer = httpx.get(f"{server.fhir}/Patient", headers=bearer(token))
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "30")


def test_a_document_of_another_issuer_is_not_believed(
    database: str, provider: Provider, folder: Path
) -> None:
    """Discovery 4.3: "The issuer value returned MUST be identical"."""
    provider.says = {"issuer": "https://login.example.vn/realms/health"}
    with serving(database, **_settings(folder, provider)) as server:
        assert _status(server, provider.token()) == 503


def test_where_people_log_in_is_told(database: str, provider: Provider, folder: Path) -> None:
    """SMART App Launch: apps find the provider through this server."""
    with serving(database, **_settings(folder, provider, is_login=True)) as server:
        told = httpx.get(f"{server.fhir}/.well-known/smart-configuration").json()
    place = f"{provider.issuer}/protocol/openid-connect"
    assert told["authorization_endpoint"] == f"{place}/auth"
    assert told["token_endpoint"] == f"{place}/token"
    assert told["issuer"] == provider.issuer
    assert "authorization_code" in told["grant_types_supported"]
    assert {"launch-standalone", "sso-openid-connect"} <= set(told["capabilities"])


def test_claims_are_named_by_the_file(database: str, provider: Provider, folder: Path) -> None:
    """What a token says becomes the caller, who is kept with the jobs that they begin."""
    names = {"policy": "role", "facility": "org", "purposes": "why", "patient": "person"}
    chosen = _settings(folder, provider, claims=names, policy="facility")
    said = {
        "org": "Organization/bv1",
        "why": ["TREAT"],
        "person": "p1",
        "scope": "openid user/*.rs",
    }
    with serving(database, **chosen) as server:
        headers = {**bearer(provider.token(**said)), "Prefer": "respond-async"}
        begun = httpx.get(f"{server.fhir}/Patient", headers=headers)
        assert begun.status_code == 202
    with psycopg.connect(database) as connection:
        row = connection.execute("select request -> 'asker' from job").fetchone()
    assert row is not None
    assert row[0]["name"] == "keycloak/app"
    principal = row[0]["principal"]
    assert principal.pop("expires") > 0
    assert principal == {
        "client": "app",
        "subject": "f:1:lan",
        "issuer": provider.issuer,
        "scopes": ["openid", "user/*.rs"],
        "policy": "facility",
        "facility": "bv1",
        "user": None,
        "patient": "p1",
        "purposes": ["TREAT"],
    }
