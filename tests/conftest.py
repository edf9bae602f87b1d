"""Fixtures: a fresh database in milliseconds, a real server over HTTP.

One PostgreSQL per test process, started by the first test that asks for it: the embedded one, or
that of the environment variable EHR_TEST_DATABASE_URL (a superuser's URL; databases are made and
dropped there).
"""

import os
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from databases import PostgreSQL, open_folder, postgresql
from servers import Server, client_of, serving

os.umask(0o022)  # for root: the user that PostgreSQL runs as must reach what tests make


@pytest.fixture
def folder() -> Iterator[Path]:
    """A fresh folder that other users can reach: pytest's own are closed to them."""
    with open_folder() as path:
        yield path


@pytest.fixture(scope="session")
def given_postgresql() -> Iterator[PostgreSQL]:
    with open_folder() as path, postgresql(path / "data") as given:
        yield given


@pytest.fixture
def database(given_postgresql: PostgreSQL) -> Iterator[str]:
    """The conninfo of a fresh, migrated database of this test alone."""
    with given_postgresql.database() as url:
        yield url


@pytest.fixture(scope="module")
def module_database(given_postgresql: PostgreSQL) -> Iterator[str]:
    """The conninfo of a fresh, migrated database that the tests of a module share."""
    with given_postgresql.database() as url:
        yield url


@pytest.fixture(scope="module")
def server(module_database: str) -> Iterator[Server]:
    """A server with a fresh database, shared by the tests of a module."""
    with serving(module_database) as started:
        yield started


@pytest.fixture
def client(server: Server) -> Iterator[httpx.Client]:
    """A client whose addresses are relative to the FHIR base: `client.get("/Patient/1")`."""
    with client_of(server) as client:
        yield client


@pytest.fixture(scope="session")
def shared_server(given_postgresql: PostgreSQL) -> Iterator[Server]:
    """A server that many modules share, for tests that mind no other data."""
    with given_postgresql.database() as url, serving(url) as started:
        yield started


@pytest.fixture
def shared_client(shared_server: Server) -> Iterator[httpx.Client]:
    """As `client`, on the shared server."""
    with httpx.Client(base_url=shared_server.fhir, timeout=30) as client:
        yield client
