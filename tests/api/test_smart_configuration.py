"""The discovery document: https://hl7.org/fhir/smart-app-launch/conformance.html."""

from collections.abc import Iterator

import httpx
import pytest

from api.tokens import machine
from databases import PostgreSQL
from servers import Server, serving

PATH = "/.well-known/smart-configuration"


@pytest.fixture(scope="module")
def server(module_database: str) -> Iterator[Server]:
    with serving(module_database, cors_origins="https://app.example.vn") as started:
        yield started


def test_it_is_there_without_authentication_too(client: httpx.Client, server: Server) -> None:
    """ "SHALL be retrievable … with application/json", and what it SHALL have."""
    answer = client.get(PATH)
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "application/json"
    told = answer.json()
    assert told["token_endpoint"] == f"{server.url}/auth/token"
    assert told["grant_types_supported"] == ["client_credentials"]
    assert told["code_challenge_methods_supported"] == ["S256"]
    assert "client-confidential-asymmetric" in told["capabilities"]
    assert {"RS384", "ES384"} <= set(told["token_endpoint_auth_signing_alg_values_supported"])
    assert "private_key_jwt" in told["token_endpoint_auth_methods_supported"]
    assert "authorization_endpoint" not in told  # nobody logs in here


def test_whatever_is_accepted_it_is_json(client: httpx.Client) -> None:
    for accept in ("application/fhir+xml", "text/html", "*/*"):
        answer = client.get(PATH, headers={"Accept": accept})
        assert answer.headers["Content-Type"] == "application/json"


def test_pages_of_other_origins_may_read_it(client: httpx.Client) -> None:
    """ "The server SHALL … support CORS", where the settings name origins."""
    answer = client.get(PATH, headers={"Origin": "https://app.example.vn"})
    assert answer.headers["Access-Control-Allow-Origin"] == "https://app.example.vn"


def test_the_token_endpoint_works_on_an_open_server(
    client: httpx.Client, server: Server, module_database: str
) -> None:
    token_endpoint = client.get(PATH).json()["token_endpoint"]
    one = machine(module_database)
    assertion = one.assertion(server, aud=token_endpoint)
    assert one.ask(server, client_assertion=assertion).status_code == 200


def test_the_address_is_that_of_the_settings(given_postgresql: PostgreSQL) -> None:
    with (
        given_postgresql.database() as url,
        serving(url, base_url="https://ehr.example.vn/fhir/") as server,
    ):
        told = httpx.get(f"{server.fhir}{PATH}").json()
        assert told["token_endpoint"] == "https://ehr.example.vn/auth/token"
        one = machine(url)
        here = one.assertion(server)  # for http://127.0.0.1: not what it is called
        assert one.ask(server, client_assertion=here).status_code == 401
        right = one.assertion(server, aud="https://ehr.example.vn/auth/token")
        assert one.ask(server, client_assertion=right).status_code == 200
