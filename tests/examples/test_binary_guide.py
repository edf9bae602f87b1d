"""The commands of the guide to files do what the text around them says."""

from pathlib import Path

from examples.guides import needs_curl, printed
from servers import Server

pytestmark = needs_curl


def test_the_commands_print_what_is_promised(server: Server, tmp_path: Path) -> None:
    assert printed("binary.md", server, tmp_path) == [
        "201",
        "same",
        "x-security-context: Patient/scanned",
        "content-type: application/dicom",
        "10",
        '{"resourceType":"Binary","id":"scan-1","me',
        '"url":"Binary/scan-1"',
    ]
    assert list(tmp_path.iterdir()) == []
