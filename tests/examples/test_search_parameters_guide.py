"""The commands of the guide to search parameters do what the text around them says."""

from pathlib import Path

from examples.guides import needs_curl, printed
from servers import Server

pytestmark = needs_curl


def test_the_commands_print_what_is_promised(server: Server, tmp_path: Path) -> None:
    assert printed("search-parameters.md", server, tmp_path) == [
        '"id":"blood-example"',
        '"status":"active"',
        '"id":"blood-example"',
        '"http://clinic.example/SearchParameter/blood"',
        "204",
        "400",
    ]
