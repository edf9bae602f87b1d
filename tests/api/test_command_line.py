"""The command line, as a user types it: import, export, validate, reindex."""

import gzip
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from api.patients import resident, weight
from ehr_server.fhir import json
from servers import serving


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "ehr_server", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """NDJSON with two bad lines, and a gzipped transaction."""
    lines = [
        json.write(weight("Patient/one") | {"id": "w"}),  # before its patient: any order will do
        json.write(resident(id="one")),
        b"",
        b"{broken",
        json.write(resident(id="two", gender="man")),
        json.write(resident(id="three")),
    ]
    (tmp_path / "people.ndjson").write_bytes(b"\n".join(lines))
    urn = "urn:uuid:61ebe359-bfdc-4613-8bf2-c5e300945f0a"
    post = {"method": "POST", "url": "Patient"}
    bundle = {
        "resourceType": "Bundle",
        "type": "transaction",
        "entry": [{"fullUrl": urn, "resource": resident("001174000555"), "request": post}],
    }
    (tmp_path / "visit.json.gz").write_bytes(gzip.compress(json.write(bundle)))
    return tmp_path


@pytest.mark.smoke
def test_import_reports_by_line_and_may_run_again(database: str, files: Path) -> None:
    done = run("import", files, "--database-url", database)
    assert done.returncode == 1
    assert f"{files / 'people.ndjson'}:4: " in done.stdout
    assert f"{files / 'people.ndjson'}:5: Patient.gender: " in done.stdout
    assert "4 resources stored, 0 left as they were, 2 lines refused" in done.stdout
    run("import", files, "--database-url", database)
    with psycopg.connect(database) as connection:
        counts = connection.execute("select count(*), max(ver) from version").fetchone()
    assert counts == (4, 1)


@pytest.mark.smoke
def test_what_was_imported_is_not_indexed_anew_when_a_server_starts(
    database: str, files: Path
) -> None:
    run("import", files, "--database-url", database)
    with serving(database), psycopg.connect(database) as connection:
        rows = connection.execute("select count(*) from job where kind = 'reindex'").fetchall()
    assert rows == [(0,)]


def test_export_holds_what_was_imported(database: str, files: Path, tmp_path: Path) -> None:
    run("import", files, "--database-url", database)
    done = run("export", "--out", tmp_path / "out", "--database-url", database)
    assert (done.returncode, done.stderr.count("Traceback")) == (0, 0)
    manifest = json.read((tmp_path / "out" / "manifest.json").read_bytes())
    counts = {file["type"]: file["count"] for file in manifest["output"]}
    assert counts == {"Observation": 1, "Patient": 3}
    again = run("import", tmp_path / "out", "--database-url", database)
    assert (again.returncode, again.stdout) == (
        0,
        "0 resources stored, 4 left as they were, 0 lines refused\n",
    )
    assert not again.stderr


def test_an_export_replaces_the_one_before_it(database: str, files: Path, tmp_path: Path) -> None:
    run("import", files, "--database-url", database)
    out = tmp_path / "out"
    run("export", "--out", out, "--database-url", database)
    out.joinpath("mine.ndjson").touch()
    run("export", "--out", out, "--type", "Patient", "--database-url", database)
    named = [file["url"] for file in json.read((out / "manifest.json").read_bytes())["output"]]
    assert sorted(path.name for path in out.iterdir()) == sorted(
        ["manifest.json", "mine.ndjson", *named]
    )


def test_validate_prints_findings(files: Path) -> None:
    done = run("validate", files / "people.ndjson")
    assert done.returncode == 1
    assert ":5: error: Patient.gender: " in done.stdout
    assert run("validate", files / "visit.json.gz").returncode == 0


@pytest.mark.smoke
def test_reindex_builds_the_same_index_anew(database: str, files: Path) -> None:
    run("import", files, "--database-url", database)
    tables = ("resource", "string", "date", "quantity", "ident", "member")
    with psycopg.connect(database, autocommit=True) as connection:

        def rows() -> list[list[tuple[object, ...]]]:
            return [
                sorted(connection.execute(f"select * from {table}").fetchall(), key=str)
                for table in tables
            ]

        before = rows()
        connection.execute("update resource set toks = '{}', fmt = 0")
        connection.execute("delete from ident")
        connection.execute("delete from string")
        assert rows() != before
        done = run("reindex", "--database-url", database)
        assert "4 resources indexed" in done.stdout, done.stderr
        assert rows() == before
    with serving(database) as server, httpx.Client(base_url=server.fhir) as client:
        assert client.get("/Patient?identifier=001174000555").json()["total"] == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ("import", "/nowhere.ndjson"),
        ("reindex", "--type", "Nonsense"),
        ("export", "--out", "out", "--since", "yesterday"),
        ("serve", "--port", "many"),
        ("serve", "--time-zone", "Mars/Base"),
        ("export", "--out", __file__),
        ("migrate", "--database-url", "postgresql://user:geheim@127.0.0.1:1/nothing"),
        ("migrate", "--database-url", "user:geheim"),
    ],
)
def test_mistakes_are_told_in_one_line(database: str, arguments: tuple[str, ...]) -> None:
    done = run(arguments[0], "--database-url", database, *arguments[1:])
    _assert_one_line(done)


def test_a_port_in_use_is_told_in_one_line(database: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        _assert_one_line(run("serve", "--database-url", database, "--port", str(port)))


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.ndjson.gz", b"no gzip", "is broken"),
        ("a.ndjson.gz", gzip.compress(b'{"resourceType":"Patient","id":"one"}')[:-9], "is broken"),
    ],
    ids=["no-gzip", "cut-off"],  # a gzip holds the time, and so would the name of the test
)
def test_files_that_cannot_be_read(
    database: str, tmp_path: Path, name: str, content: bytes, says: str
) -> None:
    (tmp_path / name).write_bytes(content)
    for command in (("import", "--database-url", database), ("validate",)):
        done = run(*command, tmp_path)
        assert done.returncode == 1
        assert f"{tmp_path / name}:1: " in done.stdout
        assert says in done.stdout
        assert not done.stderr


@pytest.mark.parametrize(
    "bundle",
    [
        {"entry": None},
        {"entry": [{"resource": resident(id="one"), "fullUrl": 5}]},
        {"entry": [{"resource": resident(id="one"), "request": "POST"}]},
        {"entry": [{"resource": resident(id="one"), "request": {"ifNoneExist": 5}}]},
        {"entry": [{"resource": resident(), "request": {"ifNoneExist": "nonsense=1"}}]},
    ],
)
def test_bundles_that_cannot_be_imported(
    database: str, tmp_path: Path, bundle: dict[str, Any]
) -> None:
    whole = {"resourceType": "Bundle", "type": "transaction", **bundle}
    (tmp_path / "a.json").write_bytes(json.write(whole))
    done = run("import", tmp_path, "--database-url", database)
    assert "0 resources stored, 0 left as they were, 1 lines refused" in done.stdout, done.stderr


def _assert_one_line(done: subprocess.CompletedProcess[str]) -> None:
    assert done.returncode != 0
    assert "Traceback" not in done.stderr
    assert "geheim" not in done.stderr
    assert done.stderr.strip().count("\n") <= 1
