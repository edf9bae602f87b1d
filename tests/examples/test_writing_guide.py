"""The commands of the guide to writing do what the text around them says."""

from pathlib import Path

from examples.guides import needs_curl, printed
from servers import Server

pytestmark = needs_curl


def test_the_commands_print_what_is_promised(server: Server, tmp_path: Path) -> None:
    assert printed("writing.md", server, tmp_path) == [
        "201",
        '"gender":"female"',
        '"value":"W-2"',
        '"birthDate":"1974-05-20"',
        "201",
        "200",
        '"status":"200',
    ]
