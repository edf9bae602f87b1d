"""The guide to search: every address in it finds what its row says, every command prints."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from examples.guides import asked
from servers import Server

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs" / "guides" / "search.md").read_text(encoding="utf-8")
CHECKUP = ROOT / "examples" / "01-checkup" / "checkup.json"
ROWS = [
    (address.replace("\\|", "|"), int(finds))
    for address, finds in re.findall(
        r"^\| `((?:POST )?[A-Z]\w+(?:\?|/_search ).+?)` \| (\d+) \|", GUIDE, re.M
    )
]
REFUSED = 400


@pytest.fixture(scope="module", autouse=True)
def checkup(server: Server) -> None:
    """What the guide says is the only thing stored."""
    headers = {"content-type": "application/fhir+json"}
    body = CHECKUP.read_bytes()
    httpx.post(server.fhir, content=body, headers=headers, timeout=60).raise_for_status()


def test_every_row_is_read() -> None:
    assert len(ROWS) == len(re.findall(r"^\| `[A-Z]", GUIDE, re.M)) > 50


@pytest.mark.parametrize(("address", "finds"), ROWS)
def test_a_row(client: httpx.Client, address: str, finds: int) -> None:
    answer = asked(client, address)
    if finds == REFUSED:
        assert answer.status_code == REFUSED
    else:
        assert answer.status_code == 200, answer.text
        assert answer.json()["total"] == finds


def test_unknown_parameters_are_left_out_for_who_is_lenient(client: httpx.Client) -> None:
    headers = {"prefer": "handling=lenient"}
    found = client.get("/Patient?nickname=ngop", headers=headers).json()
    assert [entry["search"]["mode"] for entry in found["entry"]] == ["match", "outcome"]


@pytest.mark.skipif(
    shutil.which("curl") is None or shutil.which("sh") is None, reason="it needs sh and curl"
)
def test_the_commands_print_what_the_text_says(server: Server, module_database: str) -> None:
    (script,) = re.findall(r"^```sh\n(.*?)^```", GUIDE, re.M | re.S)
    script = script.replace("http://127.0.0.1:8080/fhir", server.fhir)
    script = script.replace(".venv/bin/ehr-server", f"{sys.executable} -m ehr_server")
    done = subprocess.run(
        ["sh", "-e", "-c", script],
        cwd=ROOT,
        env=os.environ | {"no_proxy": "127.0.0.1", "EHR_DATABASE_URL": module_database},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    (printed,) = re.findall(r"^```\n(As .*?)^```", GUIDE, re.M | re.S)
    assert done.returncode == 0, done.stderr
    assert "Condition for which all of this holds:" in done.stdout
    assert done.stdout.endswith(printed)
