"""`ehr-server load-codes`: a published code list, live in a server that runs."""

import time
from pathlib import Path

import httpx
import pytest

from api.terms import said
from api.test_command_line import run
from servers import Server

SYSTEM = "http://hl7.org/fhir/sid/icd-10"


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """15,000 codes, in the size of ICD-10."""
    lines = ["code,display,parent,display_vi"]
    for number in range(15_000):
        parent = f"X{number // 10}" if number else ""
        lines.append(f"X{number},Disease {number},{parent},Bệnh số {number}")
    path = tmp_path_factory.mktemp("lists") / "icd.csv"
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def test_a_list_is_live_in_seconds(
    server: Server, client: httpx.Client, module_database: str, table: Path
) -> None:
    asked = {"system": SYSTEM, "code": "X14999", "displayLanguage": "vi"}
    assert client.get("/CodeSystem/$lookup", params=asked).status_code == 404
    began = time.perf_counter()
    where = ("--database-url", module_database)
    head = ("--system", SYSTEM, "--version", "2019", "--name", "ICD10")
    done = run("load-codes", table, *head, *where)
    assert done.returncode == 0, done.stderr
    took_s = time.perf_counter() - began
    print(f"15,000 codes loaded in {took_s:.1f} s")
    assert "codes.icd10#2019 is loaded: 15000 concepts" in done.stdout
    assert took_s < 30
    answer = client.get("/CodeSystem/$lookup", params=asked)
    while answer.status_code == 404 and time.perf_counter() - began < 60:
        time.sleep(0.1)
        answer = client.get("/CodeSystem/$lookup", params=asked)
    found = said(answer)
    assert (found["name"], found["display"]) == ("ICD10", "Bệnh số 14999")
    assert "already" in run("load-codes", table, *head, *where).stdout


def test_what_is_wrong_is_said_in_one_line(module_database: str, table: Path) -> None:
    where = ("--database-url", module_database)
    done = run("load-codes", table, *where)
    assert (done.returncode, "--system" in done.stderr) == (1, True)
    done = run("load-codes", table, "--format", "loinc", "--system", SYSTEM, *where)
    assert done.returncode == 1
    assert "LOINC_NUM" in done.stderr
    assert "Traceback" not in done.stderr
    done = run("load-codes", table, "--format", "fhir", *where)
    assert (done.returncode, "Traceback" in done.stderr) == (1, False)
