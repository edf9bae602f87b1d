"""The tutorial's steps, pasted one after another, do what the text around them says."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from servers import Server

ROOT = Path(__file__).parents[2]
TUTORIAL = ROOT / "docs" / "tutorial" / "first-record.md"

pytestmark = pytest.mark.skipif(
    shutil.which("curl") is None or shutil.which("sh") is None, reason="it needs sh and curl"
)


@pytest.fixture(scope="module")
def printed(server: Server, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """What each step prints."""
    steps = re.findall(r"^```sh\n(.*?)^```", TUTORIAL.read_text(encoding="utf-8"), re.M | re.S)
    script = "\necho ---next---\n".join(steps)
    script = script.replace("http://127.0.0.1:8080/fhir", server.fhir)
    script = script.replace("$CHECKOUT/.venv/bin/python", sys.executable)
    done = subprocess.run(
        ["sh", "-e", "-c", script],
        cwd=ROOT,
        env=os.environ | {"TMPDIR": str(tmp_path_factory.mktemp("tutorial"))},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.split("---next---\n")


def test_the_server_is_there(printed: list[str]) -> None:
    assert printed[1] == '"fhirVersion":"4.0.1"\n'


def test_a_record_is_begun_and_added_to(printed: list[str]) -> None:
    assert "201" in printed[2].splitlines()[0]
    assert '"value":142.0,' in printed[3]


def test_it_is_found(printed: list[str]) -> None:
    assert printed[4].startswith('"total":1\n')
    assert '"text":"Huyết áp"' in printed[4]
    assert printed[5] == '"severity":"error"\n'


def test_a_stale_change_is_refused(printed: list[str]) -> None:
    assert printed[6].split() == ["200", "412"]


def test_a_refusal_names_the_element(printed: list[str]) -> None:
    assert "Patient.birthDate" in printed[7]


def test_the_history_holds_both_versions(printed: list[str]) -> None:
    assert printed[8].split() == ['"versionId":"2"', '"versionId":"1"', '"birthDate":"1955"']


def test_a_campaign_is_loaded(printed: list[str]) -> None:
    *answers, total = printed[9].split()
    assert set(answers) == {"200"}
    assert int(total.partition(":")[2]) > 100
