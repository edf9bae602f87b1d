"""Fixtures of servers that ask who calls."""

from collections.abc import Iterator

import httpx
import pytest

from api import tokens
from api.callers import everything
from databases import open_folder
from servers import Server, serving


@pytest.fixture(scope="module")
def guarded(module_database: str) -> Iterator[Server]:
    """A server that asks for tokens, shared by the tests of a module."""
    with open_folder() as folder, serving(module_database, **tokens.settings(folder)) as server:
        yield server


@pytest.fixture(scope="module")
def keeper(guarded: Server) -> Iterator[httpx.Client]:
    """A client of `guarded` who may do everything."""
    client = everything(guarded)
    yield client
    client.close()
