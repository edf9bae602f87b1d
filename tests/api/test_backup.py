"""`ehr-server backup` and `restore`: the whole record, to the last byte, and the server goes on."""

import hashlib
import os
import subprocess
import sys
import tarfile
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
import zstandard

from api.patients import CCCD, resident, weight
from databases import PostgreSQL
from ehr_server.fhir import json
from ehr_server.store.backup.archive import BackupError, Reader
from ehr_server.store.connect import Store
from ehr_server.store.migrate import migrate, newest, revision
from servers import ENCRYPTION_KEY, serving

_SCAN = bytes(range(256)) * 12_000  # 3 MB
_TABLES = """
select c.relname::text from pg_class c
where c.relkind = 'r' and c.relnamespace = 'public'::regnamespace order by 1
"""


def run(*arguments: str | Path, given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "ehr_server", *map(str, arguments)]
    return subprocess.run(command, input=given, capture_output=True, timeout=120, check=False)


def save(url: str, path: Path) -> None:
    done = run("backup", path, "--database-url", url)
    assert done.returncode == 0, done.stderr.decode()


def restore(url: str, path: Path, *options: str) -> subprocess.CompletedProcess[bytes]:
    return run("restore", path, "--database-url", url, *options)


@pytest.fixture(scope="module")
def record(module_database: str) -> str:
    """A record with every deed in it: created, changed, deleted, large, being exported."""
    with (
        serving(module_database) as server,
        httpx.Client(base_url=server.fhir, timeout=30) as client,
    ):
        for number in range(20):
            person = f"p{number}"
            body = resident(f"0011740005{number:02}", id=person)
            assert client.put(f"/Patient/{person}", json=body).status_code == 201
            bundle = {"resourceType": "Bundle", "type": "batch", "entry": _weights(person)}
            assert client.post("/", content=_bytes(bundle), headers=_JSON).status_code == 200
        changed = resident("001174000500", id="p0", gender="male")
        assert client.put("/Patient/p0", json=changed).status_code == 200
        first = client.get("/Observation?patient=p1").json()["entry"][0]["resource"]["id"]
        assert client.delete(f"/Observation/{first}").status_code in (200, 204)
        assert client.get("/$export", headers={"Prefer": "respond-async"}).status_code == 202
        scan = client.put("/Binary/scan", content=_SCAN, headers={"Content-Type": "image/png"})
        assert scan.status_code == 201
    return module_database


@pytest.fixture
def other(given_postgresql: PostgreSQL) -> Iterator[str]:
    with given_postgresql.database(is_migrated=False) as url:
        yield url


def test_what_is_restored_is_what_was_there(record: str, other: str, tmp_path: Path) -> None:
    """Every table by its rows, every version by its bytes."""
    before = _hashes(record)
    file = tmp_path / "record.backup"
    save(record, file)
    assert file.stat().st_mode & 0o777 == 0o600
    done = restore(other, file)
    assert done.returncode == 0, done.stderr.decode()
    assert b"versions" in done.stdout
    after = _hashes(other)
    assert before.keys() == after.keys()
    own = {"setting", "job", "job_part"}  # what is not taken over as it was
    assert {n: h for n, h in before.items() if n not in own} == {
        n: h for n, h in after.items() if n not in own
    }
    assert _indexes(other) == _indexes(record)


def test_the_server_goes_on_with_it(record: str, other: str, tmp_path: Path) -> None:
    """Search finds by every way, new numbers lie above old ones, an export tells all that is new.

    https://hl7.org/fhir/uv/bulkdata/export.html: `_since`.
    """
    save(record, tmp_path / "file")
    highest = _highest(record)
    assert restore(other, tmp_path / "file").returncode == 0
    with serving(other) as server, httpx.Client(base_url=server.fhir, timeout=30) as client:
        found = client.get("/Patient", params={"identifier": f"{CCCD}|001174000507"}).json()
        assert [entry["resource"]["id"] for entry in found["entry"]] == ["p7"]
        assert client.get("/Observation?patient=p3&code=29463-7").json()["total"] == 10
        assert client.get("/Observation?patient=p1").json()["total"] == 9
        assert client.get("/Patient?name=ngop&_summary=count").json()["total"] == 20
        history = client.get("/Patient/p0/_history").json()
        assert [entry["resource"]["meta"]["versionId"] for entry in history["entry"]] == ["2", "1"]
        assert client.get("/Binary/scan", headers={"Accept": "image/png"}).content == _SCAN
        new = client.post("/Patient", json=resident("001174000999"))
        assert new.status_code == 201
        newest_first = client.get("/Patient/_history?_count=1").json()["entry"][0]
        assert newest_first["resource"]["id"] == new.json()["id"]
    assert _highest(other) > highest
    with (
        closing(Store(other, encryption_key=ENCRYPTION_KEY)) as store,
        store.connection() as connection,
    ):
        assert store.horizon(connection) > highest
        keys = connection.execute("select count(*), count(distinct key) from rid").fetchone()
        assert keys is not None
        assert keys[0] == keys[1]
        jobs = connection.execute("select state from job where kind = 'export'").fetchall()
        assert jobs == [("failed",)]


def test_a_backup_is_of_one_moment_while_others_write(database: str, tmp_path: Path) -> None:
    """Every transaction in it is whole: a patient with all of the results sent together."""
    stop = threading.Event()
    with serving(database) as server:

        def write() -> None:
            with httpx.Client(base_url=server.fhir, timeout=30) as client:
                while not stop.is_set():
                    bundle = _transaction()
                    answer = client.post("/", content=_bytes(bundle), headers=_JSON)
                    assert answer.status_code == 200, answer.text

        writer = threading.Thread(target=write)
        writer.start()
        for number in range(3):
            save(database, tmp_path / f"{number}")
        stop.set()
        writer.join()
    for number in range(3):
        with (tmp_path / f"{number}").open("rb") as file:
            reader = Reader(file)
            for _, blocks in reader.tables():
                for _ in blocks:
                    pass
            tables = reader.manifest.tables
            assert tables["version_observation"].rows == 5 * tables["version_patient"].rows


@pytest.mark.slow
def test_a_database_that_holds_a_record_is_not_overwritten(
    record: str, given_postgresql: PostgreSQL, tmp_path: Path
) -> None:
    save(record, tmp_path / "file")
    with given_postgresql.database() as another:
        with serving(another) as server:
            kept = httpx.post(f"{server.fhir}/Patient", json=resident("001174000888")).json()["id"]
            used = restore(another, tmp_path / "file", "--replace")
            assert b"stop it first" in used.stderr
        before = _hashes(another)
        refused = restore(another, tmp_path / "file")
        assert refused.returncode == 1
        assert b"--replace" in refused.stderr
        assert _hashes(another) == before
        assert restore(another, tmp_path / "file", "--replace").returncode == 0
        with serving(another) as server:
            assert httpx.get(f"{server.fhir}/Patient/{kept}").status_code == 404
            assert httpx.get(f"{server.fhir}/Patient/p3").status_code == 200


@pytest.mark.slow
@pytest.mark.parametrize("harm", ["cut", "bit", "no backup"])
def test_a_damaged_file_changes_nothing(record: str, other: str, tmp_path: Path, harm: str) -> None:
    file = tmp_path / "file"
    save(record, file)
    content = bytearray(file.read_bytes())
    if harm == "cut":
        del content[-200:]
    elif harm == "bit":
        content[len(content) // 2] ^= 1
    else:
        content = bytearray(b"{}")
    file.write_bytes(content)
    done = restore(other, file)
    assert done.returncode == 1
    assert b"damaged" in done.stderr
    with psycopg.connect(other) as connection:
        tables = [row[0] for row in connection.execute(_TABLES)]
        assert "rid" not in tables or connection.execute("select from rid").fetchone() is None


def test_a_backup_of_a_newer_schema_is_refused(other: str, record: str, tmp_path: Path) -> None:
    save(record, tmp_path / "file")
    content = (
        zstandard.ZstdDecompressor().decompressobj().decompress((tmp_path / "file").read_bytes())
    )
    newer = content.replace(f'"revision": "{newest()}"'.encode(), b'"revision": "9999"', 1)
    assert newer != content
    (tmp_path / "newer").write_bytes(zstandard.compress(newer))
    done = restore(other, tmp_path / "newer")
    assert done.returncode == 1
    assert b"9999" in done.stderr


@pytest.mark.slow
def test_a_backup_of_an_older_schema_is_brought_up_to_date(
    given_postgresql: PostgreSQL, other: str, tmp_path: Path
) -> None:
    with given_postgresql.database(is_migrated=False) as old:
        migrate(old, "0005")
        with psycopg.connect(old) as connection:
            connection.execute("insert into sender (name) values ('a clinic')")
        save(old, tmp_path / "file")
    migrate(other)  # newer than the backup, and empty
    done = restore(other, tmp_path / "file")
    assert done.returncode == 0, done.stderr.decode()
    with psycopg.connect(other) as connection:
        assert revision(connection) == newest()
        assert connection.execute("select name from sender").fetchall() == [("a clinic",)]


def test_through_a_pipe(record: str, other: str) -> None:
    """So that it can be encrypted on the way: `ehr-server backup - | age -r ... > file`."""
    saved = run("backup", "-", "--database-url", record)
    assert saved.returncode == 0
    assert b"versions" in saved.stderr
    done = run("restore", "-", "--database-url", other, given=saved.stdout)
    assert done.returncode == 0, done.stderr.decode()
    assert _hashes(record)["rid"] == _hashes(other)["rid"]


def test_a_backup_is_never_written_over_another(record: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("yesterday's")
    done = run("backup", tmp_path / "file", "--database-url", record)
    assert done.returncode == 1
    assert (tmp_path / "file").read_text() == "yesterday's"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_any_tar_reads_it(record: str, tmp_path: Path) -> None:
    save(record, tmp_path / "file")
    with (tmp_path / "file").open("rb") as file:
        stream = zstandard.ZstdDecompressor().stream_reader(file)
        with tarfile.open(mode="r|", fileobj=stream) as archive:
            names = archive.getnames()
    assert names[0] == "head.json"
    assert names[-1] == "manifest.json"
    assert "tables/rid/000000" in names


def test_what_is_no_backup_is_told_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(os.urandom(1000))
    with (tmp_path / "file").open("rb") as file, pytest.raises(BackupError):
        Reader(file)


def _hashes(url: str) -> dict[str, tuple[int, str]]:
    """Of each table the number of rows and a hash of all of them, in whatever order they lie."""
    found = {}
    with psycopg.connect(url) as connection:
        for (name,) in connection.execute(_TABLES).fetchall():
            digest = hashlib.sha256()
            count = 0
            rows = connection.execute(f'select t::text from {name} t order by t::text collate "C"')
            for (row,) in rows:
                digest.update(row.encode() + b"\0")
                count += 1
            found[name] = (count, digest.hexdigest())
    return found


def _indexes(url: str) -> list[Any]:
    with psycopg.connect(url) as connection:
        return connection.execute(
            "select tablename, regexp_replace(indexdef, 'INDEX [^ ]+ ', 'INDEX ') from pg_indexes"
            " where schemaname = 'public' order by 1, 2"
        ).fetchall()


def _highest(url: str) -> int:
    with psycopg.connect(url) as connection:
        row = connection.execute("select max(tx) from version").fetchone()
        assert row is not None
        return int(row[0])


def _weights(person: str) -> list[dict[str, Any]]:
    post = {"method": "POST", "url": "Observation"}
    return [
        {"resource": weight(f"Patient/{person}", f"5{number}.10"), "request": post}
        for number in range(10)
    ]


def _transaction() -> dict[str, Any]:
    urn = "urn:uuid:61ebe359-bfdc-4613-8bf2-c5e300945f0a"
    person = {"resourceType": "Patient", "name": [{"text": "Someone"}]}
    post = {"method": "POST", "url": "Observation"}
    return {
        "resourceType": "Bundle",
        "type": "transaction",
        "entry": [
            {"fullUrl": urn, "resource": person, "request": {"method": "POST", "url": "Patient"}},
            *({"resource": weight(urn), "request": post} for _ in range(5)),
        ],
    }


def _bytes(value: Any) -> bytes:
    return json.write(value)


_JSON = {"Content-Type": "application/fhir+json"}
