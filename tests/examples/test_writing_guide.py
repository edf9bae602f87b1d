"""The commands of the guide to writing do what the text around them says."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from servers import Server

ROOT = Path(__file__).parents[2]
GUIDE = ROOT / "docs" / "guides" / "writing.md"

pytestmark = pytest.mark.skipif(
    shutil.which("curl") is None or shutil.which("sh") is None, reason="it needs sh and curl"
)


def test_the_commands_print_what_is_promised(server: Server, tmp_path: Path) -> None:
    steps = re.findall(r"^```sh\n(.*?)^```", GUIDE.read_text(encoding="utf-8"), re.M | re.S)
    script = "\n".join(steps).replace("http://127.0.0.1:8080/fhir", server.fhir)
    done = subprocess.run(
        ["sh", "-e", "-c", script],
        cwd=tmp_path,
        env=os.environ | {"no_proxy": "127.0.0.1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "201",
        '"gender":"female"',
        '"value":"W-2"',
        '"birthDate":"1974-05-20"',
        "201",
        "200",
        '"status":"200',
    ]
