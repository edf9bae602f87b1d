"""Policies are data, and a file that is none is told where it is wrong."""

from pathlib import Path
from typing import Any

import pytest

from ehr_server.deidentify import policies, policy
from ehr_server.errors import Invalid
from ehr_server.fhir import json

KEY = bytes(range(32))


def _file(folder: Path, **changes: Any) -> Path:
    shipped = Path(policy.__code__.co_filename).with_name("policies") / "research.json"
    told = json.read_own(shipped.read_bytes()) | changes
    (folder / "ours.json").write_bytes(
        json.write({name: value for name, value in told.items() if value is not None})
    )
    return folder


def test_those_that_come_with_the_server() -> None:
    assert policies() == ("research", "statistics")
    assert {policy(name).name for name in policies()} == set(policies())


def test_a_site_adds_its_own(tmp_path: Path) -> None:
    folder = _file(tmp_path, days_max=30)
    assert policies(folder) == ("ours", "research", "statistics")
    assert policy("ours", folder).days_max == 30


@pytest.mark.parametrize("name", ["unknown", "", "../research", "Research", "x" * 65])
def test_a_name_that_is_not_known(name: str) -> None:
    with pytest.raises(Invalid, match="There are: research, statistics") as refused:
        policy(name)
    assert refused.value.vi is not None


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"dates": "later"}, "dates: must be one of shift, year"),
        ({"dates": None}, "dates: is missing"),
        ({"days_max": 3}, "days_max: must be a whole number from 7"),
        ({"days_max": True}, "days_max: must be a whole number"),
        ({"resources": ["Pacient"]}, "resources: Pacient is no resource type"),
        ({"elements": {"Patient.nom": "drop"}}, "Patient.nom is no element"),
        ({"elements": {"Patient.name": "shred"}}, "Patient.name must be one of keep, drop"),
        ({"systems": [""]}, "systems: must be a list of texts"),
        ({"codes": {"http://loinc.org": 0}}, "codes: must be a whole number from 1"),
        ({"colour": "red"}, "colour: is not known"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, changes: dict[str, Any], told: str) -> None:
    with pytest.raises(Invalid) as refused:
        policy("ours", _file(tmp_path, **changes))
    assert told in refused.value.text
    assert "ours" in refused.value.text


def test_a_file_that_is_not_json(tmp_path: Path) -> None:
    (tmp_path / "ours.json").write_text("{")
    with pytest.raises(Invalid, match="ours is not usable: the file"):
        policy("ours", tmp_path)


@pytest.mark.parametrize("size", [0, 16, 31, 33])
def test_a_key_has_32_bytes(size: int) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        policy("research").of(bytes(size), year=2026)
