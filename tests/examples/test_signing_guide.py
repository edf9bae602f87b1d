"""The commands of the guide to signing do what the text around them says."""

import os
import sys
from pathlib import Path

import pytest

from databases import PostgreSQL, open_folder
from examples.guides import needs_curl, printed
from servers import serving

EXAMPLES = Path(__file__).parents[2] / "examples"

pytestmark = needs_curl


def test_the_commands_print_what_is_promised(
    given_postgresql: PostgreSQL, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_folder() as folder, given_postgresql.database() as url:
        (folder / "keys").mkdir()
        (folder / "examples").symlink_to(EXAMPLES)
        programs = folder / "programs"  # the Python of the tests, under the name of the guide
        programs.mkdir()
        python = programs / "python3"
        python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
        python.chmod(0o755)
        monkeypatch.setenv("PATH", str(programs), prepend=os.pathsep)
        keys = str(folder / "keys")
        with serving(url, signatures="verified", signature_keys_dir=keys) as server:
            assert printed("signing.md", server, folder) == [
                "201",
                '"target":[{"reference":"Patient/told-1/_history/1"}]',
                "200",
                '"expression":["Bundle.signature"]',
                '"who":{"display":"bv-tinh"}',
            ]
