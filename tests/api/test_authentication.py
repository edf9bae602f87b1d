"""Who calls: bearer tokens (RFC 6750), and a server that asks for them."""

from collections.abc import Iterator

import httpx
import pytest

from api.patients import resident
from api.tokens import bearer, provider_token, settings, token_for
from databases import open_folder
from servers import Server, client_of, serving


@pytest.fixture(scope="module")
def server(module_database: str) -> Iterator[Server]:
    with open_folder() as folder, serving(module_database, **settings(folder)) as started:
        yield started


@pytest.fixture
def client(server: Server) -> Iterator[httpx.Client]:
    with client_of(server) as client:
        yield client


def test_without_a_token_nothing_is_answered(client: httpx.Client) -> None:
    """RFC 6750, 3: "the resource server MUST include the HTTP "WWW-Authenticate" response
    header field"; without an error code where no authentication was tried (3.1)."""
    answer = client.get("/Patient")
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert answer.json()["issue"][0]["code"] == "login"


def test_a_program_gets_a_token_and_writes(client: httpx.Client, server: Server) -> None:
    token = token_for(server, scopes=["system/*.cruds"])
    answer = client.post("/Patient", json=resident(), headers=bearer(token))
    assert answer.status_code == 201, answer.text
    assert client.get(answer.headers["Location"], headers=bearer(token)).status_code == 200


def test_a_token_of_a_provider_is_taken(client: httpx.Client) -> None:
    token = provider_token(scope="patient/*.rs", patient="somebody")
    assert client.get("/Patient", headers=bearer(token)).status_code == 200
