"""The commands of the page about identity do what the text around them says."""

from pathlib import Path

from examples.guides import needs_curl, printed
from servers import Server

pytestmark = needs_curl


def test_the_commands_print_what_is_promised(server: Server, tmp_path: Path) -> None:
    assert printed("../explanation/identity.md", server, tmp_path) == [
        "201",
        "200",  # under another system of the same number
        '"status":"200',  # by the last ten digits of the card
        "cccd-spelling",
        "probably 0",
        "409",
        "201",  # to be reviewed
        '"total":1',
        "2",  # the newborn and its mother
        '"total":1',  # by the personal number
        '"total":1',  # by the card
        '"total":1',  # by its last ten digits
        '"total":1',  # by a bare number
        '"total":1',  # the child
        "0",
        '"valueCode":"probable"',
    ]
