"""The scan of dependencies says what it could not do, and fails for what it found."""

import json
import subprocess
from typing import Any

import pytest

import audit_dependencies


def _scan(monkeypatch: pytest.MonkeyPatch, told: str) -> int:
    def run(*_arguments: Any, **_more: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess([], 1, told, "")

    monkeypatch.setattr(subprocess, "run", run)
    return audit_dependencies.main()


_SOUND = {"name": "orjson", "version": "3.11.0", "vulns": []}
_SKIPPED = {"name": "rich", "skip_reason": "Dependency not found on PyPI"}
_ILL = {
    "name": "jinja2",
    "version": "2.4.1",
    "vulns": [{"id": "PYSEC-2019-217", "fix_versions": ["2.10.1"]}],
}


def test_a_known_vulnerability_ends_the_check(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _scan(monkeypatch, json.dumps({"dependencies": [_SOUND, _ILL]})) == 1
    assert "jinja2 2.4.1: PYSEC-2019-217, mended in 2.10.1" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("told", "says"),
    [
        (json.dumps({"dependencies": [_SOUND]}), "0 known vulnerabilities in 1 packages\n"),
        (json.dumps({"dependencies": [_SOUND, _SKIPPED]}), "in 1 packages; NOT DONE for 1"),
        ("ConnectionError", "NOT DONE, nobody could be asked"),
    ],
)
def test_what_was_not_done_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], told: str, says: str
) -> None:
    assert _scan(monkeypatch, told) == 0
    assert says in capsys.readouterr().out
