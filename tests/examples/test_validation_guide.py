"""The commands of the guide to validation do what the text around them says."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from servers import Server

ROOT = Path(__file__).parents[2]
GUIDE = ROOT / "docs" / "guides" / "validation.md"

pytestmark = pytest.mark.skipif(
    shutil.which("curl") is None or shutil.which("sh") is None, reason="it needs sh and curl"
)


@pytest.fixture(scope="module")
def printed(server: Server) -> list[str]:
    """What each command prints."""
    steps = re.findall(r"^```sh\n(.*?)^```", GUIDE.read_text(encoding="utf-8"), re.M | re.S)
    script = "\necho ---next---\n".join(steps)
    script = script.replace("http://127.0.0.1:8080/fhir", server.fhir)
    script = script.replace(".venv/bin/ehr-server", f"{sys.executable} -m ehr_server")
    done = subprocess.run(
        ["sh", "-e", "-c", script],
        cwd=ROOT,
        env=os.environ | {"no_proxy": "127.0.0.1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.split("---next---\n")


def test_what_is_wrong_is_said_with_its_place(printed: list[str]) -> None:
    severities = re.findall(r'"severity": ?"(\w+)"', printed[0])
    assert severities[0] == "error"
    assert set(severities) == {"error", "warning"}
    assert '"Patient.gender"' in printed[0]
    assert '"Thiếu name' in printed[0]


def test_a_profile_is_asked_for(printed: list[str]) -> None:
    assert printed[1] == '"expression":["Patient.name"]\n'


def test_warnings_are_told_to_who_prefers_to_hear_them(printed: list[str]) -> None:
    assert printed[2] == '"severity":"warning"\n'


def test_files_are_checked(printed: list[str]) -> None:
    assert re.fullmatch(r"1 files and lines checked, \d+ findings\n", printed[3])


def test_the_findings_of_a_sender_are_counted(printed: list[str]) -> None:
    assert printed[4] == '"valueString":"Patient.name"\n'
