"""The file of issuers: what is wrong with it is told when the server starts."""

import json
from pathlib import Path
from typing import Any

import pytest

from ehr_server.admission.issuers import issuers
from ehr_server.settings import SettingError, Settings

GOOD: dict[str, Any] = {"name": "a", "issuer": "https://login.example.vn", "audience": "here"}


def _read(path: Path, value: object) -> list[str]:
    path.write_text(value if isinstance(value, str) else json.dumps(value))
    return list(issuers(Settings(auth="required", auth_issuers=path)))


def test_a_file_of_two(tmp_path: Path) -> None:
    other = {**GOOD, "name": "b", "issuer": "http://localhost:8180/realms/x"}
    found = _read(tmp_path / "issuers.json", {"issuers": [GOOD, other]})
    assert found == [GOOD["issuer"], other["issuer"]]


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("", "not valid JSON"),
        ('{"issuers": [], "issuers": []}', "duplicate key"),
        ([], "list indices"),
        ({"issuers": [{}]}, "issuer is missing"),
        ({"issuers": [{**GOOD, "isuer": 1}]}, "isuer is not known"),
        ({"issuers": [{**GOOD, "issuer": "http://login.example.vn"}]}, "https"),
        ({"issuers": [{**GOOD, "issuer": "https://u:p@login.example.vn"}]}, "https"),
        ({"issuers": [{**GOOD, "jwks_uri": "http://10.0.0.1/"}]}, "jwks_uri takes an https"),
        ({"issuers": [{**GOOD, "audience": []}]}, "no audience"),
        ({"issuers": [{**GOOD, "algorithms": ["HS256"]}]}, "algorithms are of"),
        ({"issuers": [{**GOOD, "algorithms": ["none"]}]}, "algorithms are of"),
        ({"issuers": [{**GOOD, "claims": {"role": "x"}}]}, "claims are of"),
        ({"issuers": [{**GOOD, "name": "A/B"}]}, "name takes"),
        ({"issuers": [GOOD, GOOD]}, "stands twice"),
    ],
)
def test_a_file_that_is_wrong(value: object, why: str, tmp_path: Path) -> None:
    path = tmp_path / "issuers.json"
    with pytest.raises(SettingError, match="--auth-issuers") as raised:
        _read(path, value)
    assert why in str(raised.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="No such file"):
        issuers(Settings(auth_issuers=tmp_path / "absent.json"))
