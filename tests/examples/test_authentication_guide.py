"""The commands of the guide to authentication run, and the example sends a checkup by a token."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import psycopg
import pytest

from api.tokens import bearer, provider_token, settings
from databases import open_folder
from ehr_server.admission.issuers import issuers
from ehr_server.settings import Settings
from examples.guides import needs_curl, printed
from servers import Server, serving

FOLDER = Path(__file__).parents[2] / "examples" / "08-authentication"


@pytest.fixture(scope="module")
def server(module_database: str) -> Iterator[Server]:
    with open_folder() as folder, serving(module_database, **settings(folder)) as started:
        yield started


@pytest.fixture
def command(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder where commands run, with `ehr-server` on the path and the server's database."""
    program = tmp_path / "ehr-server"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m ehr_server "$@"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("EHR_DATABASE_URL", str(server.database_url))
    return tmp_path


@needs_curl
def test_the_commands_run(server: Server, command: Path) -> None:
    lines = printed("authentication.md", server, command)
    assert lines[:2] == [
        "lab is registered",
        "its private key is in lab.key.json, for you alone to read",
    ]
    assert lines[2].startswith("id\tname\tpolicy\tfacility")
    assert lines[3].startswith("lab\tlab\tfacility\tbv1\t-\tsystem/*.cruds\t")
    assert lines[4].startswith("lab has new keys; 1 of before serve until ")
    assert lines[-1] == "lab is revoked"


def test_the_example_sends_a_checkup(server: Server, command: Path) -> None:
    add = ("client", "add", "lab-2", "--scope", "system/*.cruds", "--policy", "everything")
    key = ("--generate", "--out", "key.json")
    subprocess.run(["ehr-server", *add, *key], cwd=command, check=True, capture_output=True)
    script = (str(FOLDER / "push_with_token.py"), "lab-2", "key.json", "--base", server.fhir)
    done = subprocess.run(
        [sys.executable, *script],
        cwd=command,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=os.environ | {"no_proxy": "127.0.0.1"},
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("resources stored by lab-2\n")
    found = httpx.get(f"{server.fhir}/Patient?_summary=count", headers=bearer(provider_token()))
    assert found.json()["total"] == 1
    with psycopg.connect(str(server.database_url)) as connection:
        senders = connection.execute(
            "select distinct name from version join sender on sender.id = sender"
        ).fetchall()
    assert senders == [("lab-2",)]


def test_the_example_of_keycloak_fits_itself() -> None:
    """What its mappers write is what the file of issuers reads, for the audience it asks for."""
    path = FOLDER / "issuers.json"
    (told,) = issuers(Settings(auth_issuers=path)).values()
    realm = json.loads((FOLDER / "keycloak-realm.json").read_text())
    assert told.issuer.endswith(f"/realms/{realm['realm']}")
    scopes = {scope["name"]: scope for scope in realm["clientScopes"]}
    mappers = {one["name"]: one["config"] for one in scopes["fhir"]["protocolMappers"]}
    assert told.audience == {mappers.pop("audience")["included.custom.audience"]}
    written = {one["claim.name"] for one in mappers.values()}
    assert written <= set(told.claims.values())
    for client in realm["clients"]:
        asked = {*client["defaultClientScopes"], *client["optionalClientScopes"]} - {"basic"}
        assert asked <= scopes.keys()
