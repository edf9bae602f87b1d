"""The commands of the guide to bulk export do what the text around them says."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from examples.guides import needs_curl, printed
from servers import Server, serving

pytestmark = [
    needs_curl,
    pytest.mark.skipif(shutil.which("sha256sum") is None, reason="it needs sha256sum"),
]


@pytest.fixture
def server(database: str) -> Iterator[Server]:
    """With nothing in it: the guide exports all there is."""
    with serving(database) as started:
        yield started


def test_the_commands_print_what_is_promised(server: Server, tmp_path: Path) -> None:
    assert printed("bulk-export.md", server, tmp_path) == [
        "2",
        "Patient.000000.ndjson: OK",
        "Observation.000013.ndjson: OK",
        '"birthDate":"1954-03-02"',
        '"url":"Observation/minh-1"',
        '"id":"hoa-1"',
        '"id":"hoa"',
        '"id":"hoa-1"',
        '"id":"hoa"',
        '"header"',
        '"reference":"Patient/minh"',
        '"birthDate":"2012-07-09"',
        '"header"',
        '"reference":"Patient/hoa"',
        '"birthDate":"1954-03-02"',
    ]
