"""The scan of secrets finds some where they are, and none in the project."""

from pathlib import Path

import pytest

import scan_secrets

_PLANTED = {  # put together here, or this file would be one that holds them
    "Private Key": "-----BEGIN " + "EC PRIVATE KEY-----",
    "AWS Access Key": "AKIA" + "QWERTYUIOPASDFGH",
    "JSON Web Token": "eyJhbGciOiJIUzI1NiJ9" + ".eyJzdWIiOiJsYWIifQ." + "c2lnbmF0dXJlLW9mLWE",
    "Basic Auth Credentials": "postgresql://ehr:" + "9f8g7h@db.example.vn/ehr",
    "Base64 High Entropy String": 'KEY = "' + "q7Xz1Pw9Lr4Ub6N" + "v8Yd2Gt5Kc3Hs0Jm" + '"',
}


@pytest.mark.parametrize("kind", _PLANTED)
def test_a_planted_secret_is_found(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "settings.py"
    path.write_text(f'"""Words."""\n\n{_PLANTED[kind]}\n')
    found = scan_secrets.secrets([str(path)])
    assert (3, kind) in [(line, told) for _, _, line, told in found]


def test_what_is_known_to_be_none_names_files_that_are_there() -> None:
    lines = scan_secrets.KNOWN.read_text().splitlines()
    assert lines
    for line in lines:
        assert (scan_secrets.ROOT / line.split()[0]).is_file()
