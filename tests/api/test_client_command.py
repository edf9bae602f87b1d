"""`ehr-server client`: who gets tokens here."""

import json
import os
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from api.tokens import Machine, bearer, settings
from databases import open_folder
from ehr_server.admission.own import new_key, public
from servers import serving

MAY = ("--policy", "everything")


def run(database: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "ehr_server", "client", *arguments]
    return subprocess.run(
        [*command, f"--database-url={database}"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=os.environ | {"EHR_LOG_LEVEL": "debug"},
    )


def done(database: str, *arguments: str) -> str:
    """What is printed; the command must end well."""
    ended = run(database, *arguments)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def listed(database: str) -> list[dict[str, str]]:
    head, *rows = done(database, "list").splitlines()
    names = head.split("\t")
    return [dict(zip(names, row.split("\t"), strict=True)) for row in rows]


def private(path: Path) -> dict[str, Any]:
    key: dict[str, Any] = json.loads(path.read_text())
    return key


def test_from_the_first_key_to_the_last(database: str, tmp_path: Path) -> None:
    """add, a token, rotate with an overlap, revoke: beside a server that runs."""
    first, second = tmp_path / "first.json", tmp_path / "second.json"
    scope = ("--scope", "system/Patient.rs", "--policy", "facility", "--facility")
    more = ("Organization/bv1", "--purpose", "TREAT")
    told = done(database, "add", "lab", *scope, *more, "--generate", "--out", str(first))
    assert told.splitlines()[0] == "lab is registered"
    assert stat.S_IMODE(first.stat().st_mode) == 0o600
    secret = private(first)["d"]
    assert secret not in told
    with open_folder() as folder, serving(database, **settings(folder)) as server:
        old = Machine("lab", private(first), "ES384")
        headers = bearer(old.token(server))
        assert httpx.get(f"{server.fhir}/Patient", headers=headers).status_code == 200

        done(database, "rotate", "lab", "--generate", "RS384", "--out", str(second))
        new = Machine("lab", private(second), "RS384")
        assert new.token(server)
        assert old.token(server)  # for a day
        done(database, "rotate", "lab", "--jwks", _file(tmp_path, [private(second)]))
        with psycopg.connect(database) as connection:
            row = connection.execute("select keys::text from client").fetchone()
        assert row is not None
        assert secret not in row[0]
        assert private(second)["d"] not in row[0]

        (one,) = listed(database)
        assert (one["id"], one["policy"], one["facility"]) == ("lab", "facility", "bv1")
        assert (one["purposes"], one["scopes"], one["revoked"]) == ("TREAT", *scope[1:2], "-")
        assert one["keys"].count("until") == 1

        done(database, "revoke", "lab")
        assert new.ask(server).json()["error"] == "invalid_client"
        time.sleep(1.05)
        assert httpx.get(f"{server.fhir}/Patient", headers=headers).status_code == 401
        assert secret not in server.logged()
    assert listed(database)[0]["revoked"] != "-"


def test_keys_of_before_end_with_the_overlap(database: str, tmp_path: Path) -> None:
    first = tmp_path / "key.json"
    done(database, "add", "a", "--scope", "system/*.rs", *MAY, "--generate", "--out", str(first))
    done(database, "rotate", "a", "--overlap-h", "0", "--jwks", _file(tmp_path, [new_key()]))
    assert "until" not in listed(database)[0]["keys"]
    with serving(database) as server:
        assert Machine("a", private(first), "ES384").ask(server).status_code == 401


def test_a_private_key_is_shown_once(database: str) -> None:
    told = done(database, "add", "a", "--scope", "system/*.rs", *MAY, "--generate")
    assert '"d": "' in told
    assert '"d"' not in done(database, "list")


def test_nobody_is_given_a_key_that_cannot_be_kept(database: str, tmp_path: Path) -> None:
    """An id is never given twice: one whose key nobody has would be lost."""
    path = tmp_path / "key.json"
    add = ("add", "a", "--scope", "system/*.rs", *MAY, "--generate", "--out", str(path))
    path.write_text("another")
    assert run(database, *add).returncode == 1
    assert (path.read_text(), listed(database)) == ("another", [])
    path.unlink()
    done(database, *add)
    before = listed(database)
    rotate = run(database, "rotate", "a", "--generate", "--out", str(path))
    assert (rotate.returncode, listed(database)) == (1, before)


def test_an_id_is_never_given_twice(database: str, tmp_path: Path) -> None:
    keys = ("--jwks", _file(tmp_path, [new_key()]))
    done(database, "add", "a", "--scope", "system/*.rs", *MAY, *keys)
    done(database, "revoke", "a")
    again = run(database, "add", "a", "--scope", "system/*.rs", *MAY, *keys)
    assert again.returncode == 1
    assert "never given twice" in again.stderr
    for arguments in (("revoke", "a"), ("rotate", "a", *keys), ("revoke", "b")):
        assert "there is no client" in run(database, *arguments).stderr


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("add", "a b", "--scope", "system/*.rs", *MAY, "--generate"), "an id takes"),
        (("add", "a", "--scope", "user/*.rs", "--generate"), "--scope takes"),
        (("add", "a", "--scope", "system/*.sr", "--generate"), "--scope takes"),
        (("add", "a", "--scope", "system/Observatoin.rs", "--generate"), "--scope takes"),
        (("add", "a", "--scope", "system/*.rs", *MAY, "--jwks", "http://x.vn/k"), "https"),
        (("add", "a", "--scope", "system/*.rs", *MAY, "--jwks", "absent.json"), "absent.json"),
        (
            ("add", "a", "--scope", "system/*.rs", *MAY, "--facility", "a/b", "--generate"),
            "--facility takes",
        ),
        (("add", "a", "--scope", "system/*.rs", "--generate"), "--policy takes"),
        (("add", "a", "--scope", "system/*.rs", "--policy", "lab", "--generate"), "--policy takes"),
        (("add", "a", "--scope", "system/*.rs", "--policy", "facility", "--generate"), "asks for"),
    ],
)
def test_what_cannot_be_registered(arguments: tuple[str, ...], why: str, database: str) -> None:
    ended = run(database, *arguments)
    assert ended.returncode == 1
    assert why in ended.stderr
    assert listed(database) == []


def test_what_is_no_public_key_is_refused(database: str, tmp_path: Path) -> None:
    small = {"kty": "RSA", "n": "xw" * 80, "e": "AQAB"}
    twice = [{**public(new_key()), "kid": "a"}, {**public(new_key()), "kid": "a"}]
    for keys, why in (
        ([new_key()], "private key"),
        ([{"kty": "oct", "k": "c2VjcmV0"}], "RSA, EC and OKP"),
        ([small], "fewer than 2048 bits"),
        ([{"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"}], "cannot be read"),
        (twice, "same kid"),
        ([], "no public key"),
    ):
        path = tmp_path / "keys.json"
        path.write_text(json.dumps({"keys": keys}))
        ended = run(database, "add", "a", "--scope", "system/*.rs", *MAY, "--jwks", str(path))
        assert ended.returncode == 1
        assert why in ended.stderr
        assert "secret" not in ended.stderr


def _file(folder: Path, keys: list[dict[str, Any]]) -> str:
    """A file of public keys."""
    path = folder / f"public-{len(list(folder.iterdir()))}.json"
    path.write_text(json.dumps({"keys": [public(key) for key in keys]}))
    return str(path)
