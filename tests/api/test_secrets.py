"""No secret stands in what the server writes, shows or answers: neither its own nor a caller's."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import psutil
import psycopg
import pytest

from databases import PostgreSQL
from servers import Server, serving

_PASSWORD = "pA55word-of-the-database"
_TOKEN = "eyJhbGciOiJFUzM4NCJ9.eyJzdWIiOiJsYWIifQ.c2lnbmF0dXJlLW9mLWE"
_ASSERTION = "eyJhbGciOiJFUzM4NCJ9.eyJqdGkiOiJvbmNlIn0.YXNzZXJ0aW9uLXNpZ25lZA"
_IN_QUERY = "access-token-in-an-address"
_SECRETS = (_PASSWORD, _TOKEN, _ASSERTION, _IN_QUERY, _TOKEN.rpartition(".")[2])


@pytest.fixture(scope="module")
def url(module_database: str) -> str:
    """The database as its URL with a password; PostgreSQL takes it for one that it need not ask."""
    place = psycopg.conninfo.conninfo_to_dict(module_database)
    if "host" in place and str(place["host"]).startswith("/"):
        return psycopg.conninfo.make_conninfo(module_database, password=_PASSWORD)
    return module_database


@pytest.fixture(scope="module")
def secret_server(url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server whose database is named in a file, and which logs all it can."""
    path = tmp_path_factory.mktemp("secret") / "url"
    path.write_text(f"{url}\n")
    settings = {"database_url_file": str(path), "log_level": "debug", "workers": "2"}
    with serving(None, **settings, statement_timeout_ms="500") as server:
        yield server


def _asked(server: Server) -> Iterator[httpx.Response]:
    """Requests with secrets in them, that succeed, are refused, and fail."""
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    token = {"Authorization": f"Bearer {_TOKEN}"}
    with httpx.Client(base_url=server.fhir, headers=token, timeout=60) as client:
        for path in ("/Patient", "/Patient/none", "/nowhere", "/metadata", "/Patient?nonsense=1"):
            yield client.get(path)
            yield client.get(path, headers={"X-Request-Id": _TOKEN * 2})
            yield httpx.get(f"{server.fhir}{path}", headers={"X-Api-Key": _TOKEN})
        yield client.get("/Patient", params={"access_token": _IN_QUERY})
        yield client.get("/metadata", params={"access_token": _IN_QUERY})
        yield client.get("/Patient/_history", params={"access_token": _IN_QUERY})
        yield client.post("/Patient", content=b"{", params={"access_token": _IN_QUERY})
        assertion = f"client_assertion={_ASSERTION}&client_assertion_type=urn:x&grant_type=y"
        for path in ("/token", "/auth/token", "/$token", "/Patient/_search", "/Patient"):
            yield client.post(path, content=assertion, headers=form)
        for header in ("Cookie", "Proxy-Authorization", "X-Api-Key", "Referer", "Prefer"):
            yield client.get("/Patient", headers={header: _TOKEN})
        yield client.get("/Patient", headers={"Host": f'"{_TOKEN}'})
        yield httpx.get(f"{server.url}/docs", params={"access_token": _IN_QUERY})
        yield httpx.get(f"{server.url}/", params={"access_token": _IN_QUERY})
        assert server.database_url is None
        yield from _failing(client)


def _failing(client: httpx.Client) -> Iterator[httpx.Response]:
    yield client.get("/Patient?name=a")
    body = {"resourceType": "Patient", "active": True}
    yield client.post("/Patient", json=body, headers={"Idempotency-Key": "one"})


@pytest.fixture(scope="module")
def said(secret_server: Server, module_database: str) -> dict[str, str]:
    """All that the server says, by where it says it."""
    answers = list(_asked(secret_server))
    with psycopg.connect(
        module_database
    ) as other:  # a statement takes too long, one cannot be done
        other.execute("lock table resource_patient in access exclusive mode")
        with httpx.Client(base_url=secret_server.fhir, timeout=60) as client:
            answers += _failing(client)
            other.rollback()
            other.execute("alter table resource_patient rename to elsewhere")
            other.commit()
            answers += _failing(client)
            other.execute("alter table elsewhere rename to resource_patient")
            other.commit()
    statuses = {answer.status_code for answer in answers}
    assert {200, 400, 401, 404, 500, 503} <= statuses, statuses
    root = psutil.Process(secret_server.process.pid)
    family = [root, *root.children(recursive=True)]
    return {
        "answers": "\n".join(f"{one.headers}\n{one.text}" for one in answers),
        "log": secret_server.logged(),
        "metrics": httpx.get(f"{secret_server.url}/metrics").text,
        "home": httpx.get(secret_server.url).text,
        "titles": "\n".join(" ".join(one.cmdline()) for one in family),
        "variables": "\n".join(str(one.environ()) for one in family),
        "jobs": "\n".join(map(str, _rows(module_database))),
    }


def _rows(database: str) -> list[tuple[object, ...]]:
    with psycopg.connect(database) as connection:
        return connection.execute("select request::text, progress::text from job").fetchall()


_PLACES = ("answers", "log", "metrics", "home", "titles", "variables", "jobs")


@pytest.mark.parametrize("place", _PLACES)
def test_no_secret_is_told(said: dict[str, str], place: str) -> None:
    found = said[place]
    if place == "answers":  # links repeat the address that was asked, to who asked it
        found = "\n".join(line for line in found.splitlines() if '"relation"' not in line)
    assert [secret for secret in _SECRETS if secret in found] == []


def test_it_was_looked_where_something_is(said: dict[str, str]) -> None:
    assert "failed" in said["log"]
    assert "level=error" in said["log"]
    assert "EHR_DATABASE_URL_FILE" in said["variables"]
    assert "ehr_request_seconds" in said["metrics"]


def _command(*arguments: str, **variables: str) -> str:
    """What a command writes, wherever."""
    done = subprocess.run(
        [sys.executable, "-m", "ehr_server", *arguments],
        env={k: v for k, v in os.environ.items() if not k.startswith("EHR_")} | variables,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return done.stdout + done.stderr


_WRONG = {
    "nobody there": f"postgresql://ehr:{_PASSWORD}@127.0.0.1:1/ehr",
    "a scheme that is misspelt": f"postgres//ehr:{_PASSWORD}@127.0.0.1:1/ehr",
    "a port that is none": f"postgresql://ehr:{_PASSWORD}@127.0.0.1:port/ehr",
    "a sign that is not escaped": f"postgresql://ehr:%{_PASSWORD}@127.0.0.1/ehr",
    "an option of nobody": f"host=127.0.0.1 passwort={_PASSWORD}",
    "a quote that is open": f"host=127.0.0.1 password='{_PASSWORD}",
    "an @ that is not escaped": f"postgresql://ehr:p@{_PASSWORD}@127.0.0.1:1/ehr",
    "a slash that is not escaped": f"postgresql://ehr:p@{_PASSWORD}/x@127.0.0.1:1/ehr",
}


@pytest.mark.parametrize("what", _WRONG)
@pytest.mark.parametrize("command", ["doctor", "migrate", "serve"])
def test_a_database_that_cannot_be_reached_is_told_of_without_its_password(
    command: str, what: str, tmp_path: Path
) -> None:
    path = tmp_path / "url"
    path.write_text(_WRONG[what])
    options = ("--port=0",) if command == "serve" else ()
    told = _command(command, *options, EHR_DATABASE_URL_FILE=str(path), EHR_LOG_LEVEL="debug")
    assert told
    assert _PASSWORD not in told
    assert "Traceback" not in told


@pytest.mark.parametrize(
    "arguments", [("serve", "--help"), ("doctor", "--help"), ("doctor", "--json")]
)
def test_no_secret_is_shown_by_help_and_doctor(
    arguments: tuple[str, ...], given_postgresql: PostgreSQL, url: str
) -> None:
    told = _command(*arguments, EHR_DATABASE_URL=url)
    assert "database" in told
    assert _PASSWORD not in told
    assert urlsplit(url).password is None or urlsplit(url).password not in told
