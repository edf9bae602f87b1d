"""The commands of the guide to merging do what the text around them says."""

from pathlib import Path

from examples.guides import needs_curl, printed
from servers import Server

pytestmark = needs_curl


def test_the_commands_print_what_is_promised(server: Server, tmp_path: Path) -> None:
    assert printed("merging.md", server, tmp_path) == [
        "would be merged",
        "was merged",
        '"total":1',
        '"id":"ward-1"',
        '"type":"replaced-by"',
        "is a record of its own again",
        '"total":0',
        '"total":1',
    ]
