"""The commands of the guide to importing do what the text around them says."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from databases import PostgreSQL
from examples.guides import needs_curl, printed
from servers import Server, serving

pytestmark = needs_curl


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """`ehr-server` as a command, and a folder to run it in."""
    command = tmp_path / "bin" / "ehr-server"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m ehr_server "$@"\n')
    command.chmod(0o755)
    monkeypatch.setenv("PATH", f"{command.parent}:{os.environ['PATH']}")
    folder = tmp_path / "work"
    folder.mkdir()
    return folder


@pytest.fixture
def server(given_postgresql: PostgreSQL, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    with given_postgresql.database() as url, serving(url) as started:
        monkeypatch.setenv("EHR_DATABASE_URL", url)
        yield started


def test_the_commands_print_what_is_promised(server: Server, installed: Path) -> None:
    first, *rest = printed("importing.md", server, installed)
    assert first.startswith("people.ndjson:3: Patient.gender: ")
    assert rest == [
        "2 resources stored, 0 left as they were, 1 lines refused",
        "something was refused",
        "0 resources stored, 2 left as they were, 1 lines refused",
        "200",
        '"same":2,"refused":1',
    ]
