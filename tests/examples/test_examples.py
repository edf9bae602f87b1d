"""Every example runs against a real server, in Python and in the shell, and does what it says."""

import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from fhir.resources.R4B import get_fhir_model_class

from ehr_server.fhir import json
from servers import Server

EXAMPLES = Path(__file__).parents[2] / "examples"
CHECKUP = EXAMPLES / "01-checkup" / "checkup.json"
SHELL = shutil.which("sh")
NAME = "Phạm Thị Ngọp"

needs_curl = pytest.mark.skipif(
    shutil.which("curl") is None or SHELL is None, reason="the shell examples need sh and curl"
)


def run(script: str, *options: str) -> str:
    """What an example prints; it must end well."""
    path = EXAMPLES / script
    program = sys.executable if path.suffix == ".py" else str(SHELL)
    done = subprocess.run(
        [program, str(path), *options],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=os.environ | {"PYTHONIOENCODING": "utf-8", "no_proxy": "127.0.0.1"},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def stored(server: Server) -> Server:
    """A server that holds the checkup of the first example."""
    printed = run("01-checkup/checkup.py", "--base", server.fhir)
    entries = json.read(CHECKUP.read_bytes())["entry"]
    assert [line.split()[0] for line in printed.splitlines()] == ["201"] * len(entries)
    return server


def test_every_example_has_its_readme() -> None:
    folders = sorted(path for path in EXAMPLES.iterdir() if path.is_dir())
    assert [path.name for path in folders] == [
        "01-checkup",
        "02-find-person",
        "03-history",
        "04-export",
        "05-push-over-a-bad-link",
        "06-reception",
        "07-analysts",
        "08-authentication",
        "09-sign-a-push",
    ]
    assert all((folder / "README.md").is_file() for folder in folders)


def test_the_checkup_is_valid_for_another_reader_of_the_standard() -> None:
    bundle = json.read(CHECKUP.read_bytes())
    for entry in bundle["entry"]:
        resource = entry["resource"]
        model = get_fhir_model_class(resource["resourceType"])
        model.model_validate_json(json.write(resource))


def test_the_checkup_has_the_parts_of_an_adults_checkup() -> None:
    counts = Counter(
        entry["resource"]["resourceType"] for entry in json.read(CHECKUP.read_bytes())["entry"]
    )
    assert counts["Patient"] == counts["Encounter"] == counts["Composition"] == 1
    assert counts["Observation"] >= 40
    assert counts["DiagnosticReport"] == 7
    text = CHECKUP.read_text(encoding="utf-8")
    assert re.search(r'"Loại (I|II|III|IV|V): ', text), "a class of health"


def test_a_checkup_is_sent_once(stored: Server) -> None:
    assert "stored already" in run("01-checkup/checkup.py", "--base", stored.fhir)


@needs_curl
def test_a_checkup_is_sent_once_by_the_shell_too(stored: Server) -> None:
    assert "stored already" in run("01-checkup/checkup.sh", stored.fhir)


def test_both_cards_find_the_person(stored: Server) -> None:
    printed = run("02-find-person/find_person.py", "--base", stored.fhir)
    assert printed.count(": 1 found") == 2
    assert printed.count(NAME) == 2
    nobody = run("02-find-person/find_person.py", "001174999999", "--base", stored.fhir)
    assert nobody == "001174999999: 0 found\n"


@needs_curl
def test_both_cards_find_the_person_by_curl(stored: Server) -> None:
    found = [json.read(line.encode()) for line in _lines("02-find-person/find_person.sh", stored)]
    assert [page["entry"][0]["resource"]["name"][0]["text"] for page in found] == [NAME, NAME]


def test_the_history_is_read(stored: Server) -> None:
    printed = run("03-history/history.py", "--base", stored.fhir)
    assert printed.startswith(f"{NAME} 1974-05-20\n")
    assert "Visit      2026-08-12T07:30:00+07:00 Trạm Y tế xã Tiến Thắng" in printed
    assert "Condition  I10 Tăng huyết áp" in printed
    assert "HbA1c      2026-08-12T07:50:00+07:00 6.9 %" in printed
    observations = CHECKUP.read_text(encoding="utf-8").count('"resourceType": "Observation"')
    assert f"Findings   {observations}\n" in printed
    assert "Versions   1\n" in printed


@needs_curl
def test_the_history_is_read_by_curl(stored: Server) -> None:
    pages = [json.read(line.encode()) for line in _lines("03-history/history.sh", stored)]
    assert [page["resourceType"] for page in pages] == ["Patient"] + ["Bundle"] * 4
    assert pages[-1]["entry"][0]["resource"]["code"]["text"] == "HbA1c"


def test_the_record_is_exported(stored: Server, tmp_path: Path) -> None:
    printed = run("04-export/export.py", "--base", stored.fhir, "--out", str(tmp_path))
    loaded = Counter(
        entry["resource"]["resourceType"] for entry in json.read(CHECKUP.read_bytes())["entry"]
    )
    told = dict(line.split() for line in printed.splitlines()[:-1])
    assert told == {type_name: str(count) for type_name, count in loaded.items()}
    written = Counter(
        json.read(line)["resourceType"]
        for file in tmp_path.glob("*.ndjson")
        for line in file.read_bytes().splitlines()
    )
    assert written == loaded


@needs_curl
def test_the_record_is_exported_by_curl(stored: Server, tmp_path: Path) -> None:
    printed = run("04-export/export.sh", stored.fhir, str(tmp_path))
    entries = len(json.read(CHECKUP.read_bytes())["entry"])
    assert printed.split() == [str(entries)]


MOTHER, CHILD = "Lê Thị Mai 1992-04-18", "Con bà Lê Thị Mai 2026-08-30"


def test_the_reception_finds_who_is_there(stored: Server) -> None:
    for _ in range(2):  # stored once
        printed = run("06-reception/reception.py", "--base", stored.fhir)
        assert printed.splitlines() == [
            f"CCCD: {MOTHER}",
            f"CCCD as it was typed: {MOTHER}",
            f"BHYT card: {MOTHER}",
            f"last ten digits of the card: {MOTHER}",
            f"a number, of whatever kind: {MOTHER}",
            f"old number: {MOTHER}",
            f"birth certificate: {CHILD}",
            f"child, by the mother's CCCD: {CHILD}",
        ]


def test_the_reception_takes_what_was_typed(stored: Server) -> None:
    run("06-reception/reception.py", "--base", stored.fhir)
    asked = ("001 192 000 601", "--guardian", "001192000601", "--base", stored.fhir)
    printed = run("06-reception/reception.py", *asked)
    assert printed.splitlines() == [f"number: {MOTHER}", f"guardian: {CHILD}"]
    nobody = run("06-reception/reception.py", "001192000602", "--base", stored.fhir)
    assert nobody == "number: nobody\n"


@needs_curl
def test_the_reception_finds_by_curl(stored: Server) -> None:
    run("06-reception/reception.py", "--base", stored.fhir)
    pages = [json.read(line.encode()) for line in _lines("06-reception/reception.sh", stored)]
    found = [page["entry"][0]["resource"]["name"][0]["text"] for page in pages]
    assert found == ["Lê Thị Mai"] * 5 + ["Con bà Lê Thị Mai"]
    assert [page["total"] for page in pages] == [1] * 6


@needs_curl
def test_the_shell_stores_the_checkup(shared_server: Server) -> None:
    printed = run("01-checkup/checkup.sh", shared_server.fhir)
    assert "Patient/" in printed or "stored already" in printed


def _lines(script: str, server: Server) -> list[str]:
    """The answers that a shell example prints, without its headings."""
    printed = run(script, server.fhir)
    return [line for line in printed.splitlines() if line and not line.startswith("#")]
