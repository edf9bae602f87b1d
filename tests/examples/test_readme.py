"""The five minutes of the README, pasted as they stand, do what the text around them says."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from ehr_server.fhir import json
from servers import Server

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.skipif(
    shutil.which("curl") is None or shutil.which("sh") is None, reason="it needs sh and curl"
)


@pytest.fixture(scope="module")
def printed(server: Server) -> list[str]:
    """What each block of the tour prints."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    tour = text.partition("\n## Five minutes with curl\n")[2].partition("\n## ")[0]
    blocks = re.findall(r"(?:^    .*\n)+", tour, re.M)
    script = "\necho; echo ---next---\n".join(blocks)
    done = subprocess.run(
        ["sh", "-e", "-c", script.replace("http://127.0.0.1:8080/fhir", server.fhir)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert not done.stderr
    return done.stdout.split("---next---\n")


def test_the_checkup_is_stored(printed: list[str]) -> None:
    answer = json.read(printed[0].encode())
    assert answer["type"] == "transaction-response"


def test_the_person_and_the_blood_pressure_are_found(printed: list[str]) -> None:
    assert json.read(printed[1].encode())["total"] == 1
    pressures = json.read(printed[2].encode())
    assert [entry["resource"]["code"]["text"] for entry in pressures["entry"]] == ["Huyết áp"]


def test_versions_are_kept_and_a_wrong_entry_is_explained(printed: list[str]) -> None:
    history, refusal = printed[3].split('}{"resourceType":"OperationOutcome"')
    assert '"versionId":"1"' in history
    assert '"Patient.gender"' in refusal
    assert "male" in refusal


def test_an_export_is_started(printed: list[str]) -> None:
    assert " 202 " in printed[4].splitlines()[0]
    assert "$export-status/" in printed[4]
