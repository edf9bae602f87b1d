"""`ehr-server validate` and `ehr-server quality`, as a user types them."""

import subprocess
import sys
from pathlib import Path

import pytest

from api.patients import resident
from ehr_server.fhir import json
from tarballs import guide, profile, written

LOCAL = "http://ehr-server.org/fhir/vn/StructureDefinition"


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "ehr_server", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Two residents, the second without a name."""
    nameless = resident(id="two", meta={"profile": [f"{LOCAL}/resident"]})
    del nameless["name"]
    path = tmp_path / "people.ndjson"
    path.write_bytes(json.write(resident(id="one")) + b"\n" + json.write(nameless))
    return path


def test_local_profiles_warn_by_default(file: Path) -> None:
    done = run("validate", file)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{file}:2: warning: Patient.name: name is missing" in done.stdout


def test_the_settings_say_how_strictly(file: Path) -> None:
    done = run("validate", file, "--profiles", "Patient=reject")
    assert done.returncode == 1
    assert f"{file}:2: error: Patient.name: name is missing" in done.stdout
    silent = run("validate", file, "--profiles", "*=off")
    assert silent.stdout == "2 files and lines checked, 0 findings\n"


def test_a_profile_that_is_named_is_kept_to(file: Path) -> None:
    done = run("validate", file, "--profile", f"{LOCAL}/resident", "--profiles", "*=off")
    assert done.returncode == 1
    assert f"{file}:2: error: Patient.name: " in done.stdout


def test_what_is_not_there_is_told_in_a_line(file: Path, tmp_path: Path) -> None:
    (tmp_path / "broken.tgz").write_bytes(b"no package")
    for options, text in (
        (("--profile", "http://example.org/none"), "http://example.org/none is not there"),
        (("--package", tmp_path / "broken.tgz"), "broken.tgz"),
        (("--package", tmp_path / "none.tgz"), "none.tgz"),
    ):
        done = run("validate", file, *options)
        assert (done.returncode, done.stderr.count("\n")) == (1, 1), done.stderr
        assert text in done.stderr


@pytest.mark.smoke
def test_findings_are_counted_by_sender(database: str, file: Path) -> None:
    assert run("import", file, "--database-url", database).returncode == 0
    done = run("quality", "--since", "2026-01-01", "--database-url", database)
    assert f"1\t\twarning\tPatient.name\tmin\t{LOCAL}/resident\n" in done.stdout
    assert len(run("quality", "--sender", "x", "--database-url", database).stdout.split("\n")) == 2


def test_packages_bring_their_profiles(file: Path, tmp_path: Path) -> None:
    donor = profile({"id": "Patient.photo", "path": "Patient.photo", "min": 1})
    package = written(tmp_path, guide(donor))
    options = ("--package", package, "--profile", donor["url"], "--profiles", "*=off")
    done = run("validate", file, *options)
    assert done.returncode == 1
    for line in (1, 2):
        assert f"{file}:{line}: error: Patient.photo: photo is missing" in done.stdout, done.stdout
    lacking = written(tmp_path, guide(donor, dependencies={"org.example.other": "1.0.0"}), "l.tgz")
    refused = run("validate", file, "--package", lacking)
    assert refused.returncode == 1
    assert "org.example.other#1.0.0" in refused.stderr
