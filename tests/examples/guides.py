"""The commands and requests of a guide, run as they stand there against a server of the test."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import httpx
import pytest

from servers import Server

GUIDES = Path(__file__).parents[2] / "docs" / "guides"

needs_curl = pytest.mark.skipif(
    shutil.which("curl") is None or shutil.which("sh") is None, reason="it needs sh and curl"
)


def printed(guide: str, server: Server, folder: Path) -> list[str]:
    """The lines that the commands of a guide print, all of them run in the folder."""
    text = (GUIDES / guide).read_text(encoding="utf-8")
    steps = re.findall(r"^```sh\n(.*?)^```", text, re.M | re.S)
    script = "\n".join(steps).replace("http://127.0.0.1:8080/fhir", server.fhir)
    done = subprocess.run(
        ["sh", "-e", "-c", script],
        cwd=folder,
        env=os.environ | {"no_proxy": "127.0.0.1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


def asked(client: httpx.Client, written: str) -> httpx.Response:
    """The answer to a row of a table: `Patient?name=ngop`, `POST Patient/_search identifier=5`."""
    is_posted = written.startswith("POST ")
    path, _, text = written.removeprefix("POST ").partition(" " if is_posted else "?")
    pairs = [pair.partition("=")[::2] for pair in text.split("&")] if text else []
    if is_posted:
        return client.post(f"/{path}", data=dict(pairs))
    return client.get(f"/{path}", params=httpx.QueryParams(pairs))
