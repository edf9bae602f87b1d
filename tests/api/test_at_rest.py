"""Encryption at rest: what the disk tells, and that all is found and read as before.

docs/guides/encryption.md; NIST SP 800-38D for the mode and its limits.
"""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from api.exports import exported
from api.patients import CCCD, fresh_number, resident, weight
from databases import PostgreSQL
from ehr_server.fhir import json
from ehr_server.hashing import hash64
from ehr_server.identity import forms
from ehr_server.store import keyring
from ehr_server.store.connect import Store
from servers import Server, serving

pytestmark = pytest.mark.smoke

_ZSTD = bytes.fromhex("28b52ffd")  # what a frame begins with, RFC 8878 section 3.1.1
_NOTE = "thuốc xịt hen từ năm mười hai tuổi"
_SCAN = b"%PDF-1.7 ket qua xet nghiem " * 40_000  # 1.1 MB: three parts
_JSON = {"Content-Type": "application/fhir+json"}
_TABLES = """
select c.relname::text from pg_class c
where c.relkind = 'r' and c.relnamespace = 'public'::regnamespace order by 1
"""


@pytest.fixture(scope="module")
def master() -> str:
    return keyring.new_master()


@contextmanager
def opened(database: str, key: str, **settings: str) -> Iterator[tuple[Server, httpx.Client]]:
    with (
        serving(database, encryption_key=key, **settings) as server,
        httpx.Client(base_url=server.fhir, timeout=30) as client,
    ):
        yield server, client


def keys(database: str, key: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "ehr_server", "keys", *arguments, "--database-url", database]
    return subprocess.run(
        command,
        env=os.environ | {"EHR_ENCRYPTION_KEY": key},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def done(result: subprocess.CompletedProcess[str]) -> str:
    assert result.returncode == 0, result.stderr
    return result.stdout


def dumped(database: str) -> bytes:
    """Every row of every table, in the binary form."""
    pieces = []
    with psycopg.connect(database) as connection, connection.cursor() as cursor:
        for (name,) in cursor.execute(_TABLES).fetchall():
            with cursor.copy(f'copy "{name}" to stdout (format binary)'.encode()) as copy:
                pieces += [bytes(one) for one in copy]
    return b"".join(pieces)


def disclosed(database: str, number: str) -> set[str]:
    """What a copy of the disk tells of a person's number and of contents."""
    rows = dumped(database)
    found = {
        "number": number.encode() in rows,
        "note": _NOTE.encode() in rows,
        "frames": _ZSTD in rows,
        "scan": _SCAN[:100] in rows,
    }
    for parameter in ("Patient.identifier", "Coverage.identifier"):
        for key in forms.keys(CCCD, number):
            hash_ = hash64(parameter, *key).to_bytes(8, "big", signed=True)
            found[f"hash of {parameter}"] = (
                found.get(f"hash of {parameter}", False) or hash_ in rows
            )
    return {name for name, is_told in found.items() if is_told}


def filled(client: httpx.Client, number: str) -> dict[str, str]:
    """A record with the number in a Patient, a Coverage and a Binary; the ids."""
    person = client.post(
        "/Patient", json=resident(number), headers={"If-None-Exist": _asked(number)}
    )
    assert person.status_code == 201, person.text
    id_ = person.json()["id"]
    seen = weight(f"Patient/{id_}") | {"note": [{"text": _NOTE}]}
    sent = client.post("/Observation", content=json.write(seen), headers=_JSON)
    cover = {
        "resourceType": "Coverage",
        "status": "active",
        "identifier": [{"system": CCCD, "value": number}],
        "beneficiary": {"reference": f"Patient/{id_}"},
        "payor": [{"reference": f"Patient/{id_}"}],
    }
    covered = client.post("/Coverage", json=cover)
    assert (sent.status_code, covered.status_code) == (201, 201), (sent.text, covered.text)
    scan = client.post("/Binary", content=_SCAN, headers={"Content-Type": "application/pdf"})
    assert scan.status_code == 201
    later = client.get(f"/Patient?{_asked(number)}", headers={"Prefer": "respond-async"})
    assert later.status_code == 202
    scan_id = scan.headers["location"].split("/")[-3]  # .../Binary/id/_history/1
    return {"Patient": id_, "Coverage": covered.json()["id"], "Binary": scan_id}


def _asked(number: str) -> str:
    return f"identifier={CCCD}|{number}"


def total(client: httpx.Client, address: str) -> int:
    return int(client.get(address, params={"_total": "accurate"}).json()["total"])


def check_found(client: httpx.Client, number: str, ids: dict[str, str]) -> None:
    """All that looks a person up by number finds the one there is."""
    assert ids_of(client, f"/Patient?{_asked(number)}") == [ids["Patient"]]
    assert ids_of(client, f"/Patient?identifier={number}") == [ids["Patient"]]
    assert ids_of(client, f"/Coverage?{_asked(number)}") == [ids["Coverage"]]
    assert ids_of(client, f"/Coverage?beneficiary:Patient.{_asked(number)}") == [ids["Coverage"]]
    again = client.post(
        "/Patient", json=resident(number), headers={"If-None-Exist": _asked(number)}
    )
    assert (again.status_code, again.json()["id"]) == (200, ids["Patient"])
    assert client.post("/Patient", json=resident(number)).status_code == 409  # one live holder
    person = resident(number)
    sought = {
        "resourceType": "Parameters",
        "parameter": [{"name": "resource", "resource": person | {"identifier": []}}],
    }
    del sought["parameter"][0]["resource"]["identifier"]  # type: ignore[index]
    matched = client.post("/Patient/$match", json=sought).json()
    assert ids["Patient"] in [one["resource"]["id"] for one in matched.get("entry", ())]
    old = client.get(f"/Patient/{ids['Patient']}/_history").json()
    assert old["entry"][0]["resource"]["identifier"][0]["value"] == number
    scan = client.get(f"/Binary/{ids['Binary']}", headers={"Accept": "application/pdf"})
    assert scan.content == _SCAN
    assert client.get("/Observation?code=29463-7").json()["entry"][0]["resource"]["note"]


def ids_of(client: httpx.Client, address: str) -> list[str]:
    answer = client.get(address)
    assert answer.status_code == 200, answer.text
    return [one["resource"]["id"] for one in answer.json().get("entry", ())]


def sealed_by(database: str) -> set[int]:
    """The numbers `enc` of all contents."""
    found: set[int] = set()
    with psycopg.connect(database) as connection:
        for table in ("version", "blob", "receipt"):
            found |= {row[0] for row in connection.execute(f"select distinct enc from {table}")}  # type: ignore[arg-type]
    return found


def test_a_record_in_clear_is_told_by_its_disk(database: str) -> None:
    """So that the next test can fail."""
    number = fresh_number()
    with opened(database, "") as (_, client):
        filled(client, number)
    found = disclosed(database, number)
    assert {"frames", "scan", "hash of Patient.identifier", "hash of Coverage.identifier"} <= found


def test_the_disk_tells_no_number_and_no_content(database: str, master: str) -> None:
    number = fresh_number()
    with opened(database, master) as (_, client):
        ids = filled(client, number)
        check_found(client, number, ids)
        manifest = exported(client)
        assert {one["type"] for one in manifest["output"]} >= {"Patient", "Coverage", "Binary"}
    assert disclosed(database, number) == set()
    assert sealed_by(database) == {-1}
    with opened(database, master) as (_, client):  # after a restart too
        check_found(client, number, ids)


def test_a_record_in_clear_is_encrypted_while_it_is_served(database: str, master: str) -> None:
    old, new = fresh_number(), fresh_number()
    with opened(database, "") as (_, client):
        ids = filled(client, old)
    with keyring.alone(database) as connection:  # as `keys encrypt` begins, and is stopped
        keyring.make(connection, keyring.masters(master))
    with opened(database, master) as (_, client):
        check_found(client, old, ids)
        others = filled(client, new)
        assert sealed_by(database) == {0, 1, -1}
        check_found(client, new, others)
        assert "resources indexed" in done(keys(database, master, "encrypt"))
        check_found(client, old, ids)
        check_found(client, new, others)
    assert sealed_by(database) == {-1}
    assert disclosed(database, old) == disclosed(database, new) == set()
    with opened(database, master) as (_, client):
        check_found(client, old, ids)
        check_found(client, new, others)


def test_keys_are_rotated_while_others_write(database: str, master: str) -> None:
    number = fresh_number()
    with opened(database, master) as (_, client):
        ids = filled(client, number)
        assert "data key 3" in done(keys(database, master, "rotate"))
        until = time.monotonic() + 30
        while -3 not in sealed_by(database) and time.monotonic() < until:
            assert client.post("/Patient", json=resident()).status_code == 201
            time.sleep(0.5)
        assert sealed_by(database) == {-1, -3}
        done(keys(database, master, "encrypt"))
        assert sealed_by(database) == {-3}
        check_found(client, number, ids)
    listed = done(keys(database, master, "list", "--count"))
    assert [line.split("\t")[2] for line in listed.splitlines()[1:]] == [
        "former",
        "current",
        "current",
    ]


def test_the_key_of_the_index_is_rotated(database: str, master: str) -> None:
    number = fresh_number()
    with opened(database, master) as (_, client):
        ids = filled(client, number)
        refused = keys(database, master, "rotate", "--index")
        assert refused.returncode == 1
        assert "stop it first" in refused.stderr
        check_found(client, number, ids)
    done(keys(database, master, "rotate", "--index"))
    before = _tokens(database)
    with opened(database, master) as (_, client):
        check_found(client, number, ids)
        done(keys(database, master, "encrypt"))
        check_found(client, number, ids)
    assert _tokens(database).isdisjoint(before)
    with opened(database, master) as (_, client):
        check_found(client, number, ids)


def _tokens(database: str) -> set[int]:
    with psycopg.connect(database) as connection:
        rows = connection.execute(
            "select h from ident union select unnest(toks) from resource"
        ).fetchall()
    return {row[0] for row in rows}


def test_another_master_key_takes_the_place_of_the_first(database: str, master: str) -> None:
    number, second = fresh_number(), keyring.new_master()
    with opened(database, master) as (_, client):
        ids = filled(client, number)
    assert done(keys(database, f"{second},{master}", "rewrap")).startswith("2 data keys")
    with opened(database, second) as (_, client):
        check_found(client, number, ids)
    refused = keys(database, master, "encrypt")
    assert refused.returncode == 1
    assert "is not among those" in refused.stderr


@pytest.mark.parametrize(
    ("key", "told"),
    [
        ("", "set --encryption-key (EHR_ENCRYPTION_KEY)"),
        (keyring.new_master(), "is not among those of --encryption-key"),
        ("abc", "takes keys of 32 bytes"),
    ],
    ids=["none", "another", "malformed"],
)
def test_without_its_key_nothing_is_served(database: str, master: str, key: str, told: str) -> None:
    keyring.prepare(database, master)
    with pytest.raises(AssertionError, match="did not start") as refused, opened(database, key):
        pass
    assert told in str(refused.value)
    assert "Traceback" not in str(refused.value)


def test_a_key_is_not_set_on_a_record_in_clear(database: str, master: str) -> None:
    """It would be half encrypted, and its owner think it whole."""
    with opened(database, "") as (_, client):
        assert client.post("/Patient", json=resident()).status_code == 201
        refused = keys(database, master, "encrypt")  # it is being served
        assert refused.returncode == 1
        assert "stop it first" in refused.stderr
    with pytest.raises(AssertionError, match="keys encrypt"), opened(database, master):
        pass
    assert sealed_by(database) == {1}


def test_a_content_that_was_altered_is_not_told(database: str, master: str) -> None:
    """SP 800-38D section 7.2: nothing is given of what does not verify."""
    with opened(database, master) as (_, client):
        id_ = client.post("/Patient", json=resident()).json()["id"]
        with psycopg.connect(database) as connection:
            connection.execute("update version set content = set_byte(content, 40, 0)")
            connection.execute("update version set content = set_byte(content, 41, 0)")
        answer = client.get(f"/Patient/{id_}")
        assert answer.status_code == 500
        assert "identifier" not in answer.text


def test_a_backup_holds_the_keys_wrapped(
    database: str, given_postgresql: PostgreSQL, master: str, folder: Path
) -> None:
    number = fresh_number()
    with opened(database, master) as (_, client):
        ids = filled(client, number)
    file = folder / "record.backup"
    run = (sys.executable, "-m", "ehr_server")
    subprocess.run([*run, "backup", file, "--database-url", database], check=True, timeout=60)
    with given_postgresql.database(is_migrated=False) as other:
        subprocess.run([*run, "restore", file, "--database-url", other], check=True, timeout=60)
        with (
            pytest.raises(AssertionError, match="the record is encrypted"),
            opened(other, ""),
        ):
            pass
        with opened(other, master) as (_, client):
            check_found(client, number, ids)


def test_a_key_that_has_sealed_much_is_given_up(database: str, master: str) -> None:
    """SP 800-38D section 8.3: at most 2**32 invocations with random nonces under one key."""
    keyring.prepare(database, master)
    with closing(Store(database, pool_size=1, encryption_key=master)) as store:
        known = store.keyring or pytest.fail("it is encrypted")
        assert store.contents.pack(b"{}")[0] == -1
        with psycopg.connect(database) as connection:
            connection.execute("update data_key set sealed = %s", (keyring.SEALED_MAX,))
        with store.connection() as connection:
            known.renew(connection)
        enc, sealed = store.contents.pack(b"{}")
        assert enc == -3
        assert store.contents.unpack(enc, sealed) == b"{}"
    with closing(Store(database, encryption_key=master)) as other, other.connection() as connection:
        rows: list[Any] = connection.execute("select number, sealed from data_key").fetchall()
    assert dict(rows)[3] == 1  # counted as the store was closed
