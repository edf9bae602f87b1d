"""The example stores its checkup once, whatever the link does to it."""

import shutil
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from bad_link import BadLink, bad_link
from servers import Server

EXAMPLE = Path(__file__).parents[2] / "examples" / "05-push-over-a-bad-link"
CHECKUP = EXAMPLE.parent / "01-checkup" / "checkup.json"
VISIT = "01557.2026.0000456"  # MA_LK
LOSSY = {"whole": 2, "never sent": 1, "half sent": 1, "left": 1, "unheard": 2, "half heard": 1}

needs_curl = pytest.mark.skipif(
    any(shutil.which(one) is None for one in ("sh", "curl", "sha256sum")),
    reason="the shell examples need sh, curl and sha256sum",
)


def run(*command: str | Path) -> str:
    done = subprocess.run(
        list(map(str, command)), capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def checkup(tmp_path: Path, visit: str) -> Path:
    """The checkup of another visit."""
    file = tmp_path / f"{visit}.json"
    text = CHECKUP.read_text(encoding="utf-8")
    assert VISIT in text
    file.write_text(text.replace(VISIT, visit), encoding="utf-8")
    return file


def visits(client: httpx.Client, visit: str) -> int:
    answer = client.get("/Encounter", params={"identifier": visit, "_total": "accurate"})
    total: int = answer.json()["total"]
    return total


def lost(link: BadLink) -> int:
    return sum(link.met.values()) - link.met["whole"]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_it_is_stored_once_whatever_is_cut(
    server: Server, client: httpx.Client, tmp_path: Path, seed: int
) -> None:
    visit = f"01557.2026.{seed:07}"
    file = checkup(tmp_path, visit)
    with bad_link(server.url, seed, LOSSY) as link:
        options = ("--base", f"{link.url}/fhir", "--pause", "0.01")
        printed = run(sys.executable, EXAMPLE / "push.py", file, *options)
        assert printed.count("attempt") == lost(link)
    assert "stored" in printed
    assert visits(client, visit) == 1
    again = run(sys.executable, EXAMPLE / "push.py", file, "--base", server.fhir)
    assert again.startswith("stored before")
    assert visits(client, visit) == 1


def test_some_of_it_was_lost_after_it_was_stored(
    server: Server, client: httpx.Client, tmp_path: Path
) -> None:
    file = checkup(tmp_path, "01557.2026.0000999")
    with bad_link(server.url, 1, {"unheard": 1}) as link:
        command = [sys.executable, "-u", EXAMPLE / "push.py", file, "--base", f"{link.url}/fhir"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            assert process.stdout.readline().startswith("attempt 1")
            assert process.stdout.readline().startswith("attempt 2")
            link.is_good = True
            printed = process.stdout.read()  # with what readline has read ahead
        assert process.returncode == 0
    assert "stored before" in printed
    assert visits(client, "01557.2026.0000999") == 1


@needs_curl
def test_it_is_stored_once_by_curl_too(
    server: Server, client: httpx.Client, tmp_path: Path
) -> None:
    file = checkup(tmp_path, "01557.2026.0000777")
    fates = {"whole": 3, "unheard": 2, "half heard": 1}
    with bad_link(server.url, 4, fates) as link:
        printed = run("sh", EXAMPLE / "push.sh", f"{link.url}/fhir", file)
        assert lost(link) > 0
    assert printed.startswith("stored ")
    assert '"valueCode":"stored"' in printed
    assert visits(client, "01557.2026.0000777") == 1
