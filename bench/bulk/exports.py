"""The record goes out: to a folder, in the background, over HTTP; and by PostgreSQL alone."""

from __future__ import annotations

import http.client
import os
import pwd
import shutil
import subprocess
import time
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg.conninfo import make_conninfo

from bulk.command import ran
from bulk.figures import Moved
from bulk.memory import Peak
from bulk.record import url_of
from ehr_server.fhir import json
from ehr_server.store.embedded.owner import Owner
from ehr_server.store.embedded.programs import find_programs
from growth.database import administering
from harness import exporting
from harness.client import Refused
from harness.processes import usage

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from harness.server import Server

_TEXTS = "bulk_text"  # a database beside the server's
_BLOCK = 1 << 20


def to_folder(server: Server, folder: Path, what: str, *options: str) -> Moved:
    """`ehr-server export`, from its start to its end."""
    made = ran(server, "export", f"--out={folder}", *options)
    found = json.read_own((folder / "manifest.json").read_bytes())
    return Moved(what, *_counted(found), made.wall_s, made.own_s, made.postgresql_s, made.memory)


def starting(server: Server, folder: Path) -> float:
    """How long `ehr-server export` takes that finds nothing: of the quickest of three."""
    return min(
        ran(server, "export", f"--out={folder}", "--type=ChargeItemDefinition").wall_s
        for _ in range(3)
    )


def in_the_background(server: Server) -> tuple[Moved, dict[str, Any]]:
    """`$export` of everything, from the kick-off to the manifest, which comes along."""
    before, start = usage(server.pid), time.perf_counter()
    with Peak(server.pid) as peak:
        manifest = exporting.manifest(server)
    wall_s, used = time.perf_counter() - start, usage(server.pid) - before
    moved = Moved(
        "$export, files in gzip", *_counted(manifest), wall_s, used.server_s, used.postgresql_s,
        peak.bytes,
    )  # fmt: skip
    return moved, manifest


def downloaded(server: Server, manifest: dict[str, Any], coding: str) -> Moved:
    """Every file, one after the other over one connection each; the coding is that asked for."""
    before, start = usage(server.pid), time.perf_counter()
    with Peak(server.pid) as peak:
        for file in manifest["output"]:
            _download(server, file["url"], coding)
    wall_s, used = time.perf_counter() - start, usage(server.pid) - before
    return Moved(
        f"download, {coding}", *_counted(manifest), wall_s, used.server_s, used.postgresql_s,
        peak.bytes,
    )  # fmt: skip


@contextmanager
def text_copy(server: Server, folder: Path) -> Iterator[str]:
    """The URL of a database that holds what was exported to the folder as a table of texts, a row
    each, not compressed."""
    admin = administering(url_of(server))
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute(f"drop database if exists {_TEXTS}".encode())
        connection.execute(f"create database {_TEXTS}".encode())
    url = make_conninfo(admin, dbname=_TEXTS)
    try:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("create table resource (content text storage external)")
            with (
                connection.cursor() as cursor,
                cursor.copy("copy resource from stdin (format binary)") as copy,
            ):
                copy.set_types(["text"])
                for line in _lines(folder):
                    copy.write_row((line.decode(),))
            connection.execute("vacuum (freeze, analyze) resource")
            connection.execute("checkpoint")
        yield url
    finally:
        with psycopg.connect(admin, autocommit=True) as connection:
            connection.execute(f"drop database {_TEXTS} with (force)".encode())


def copied(server: Server, url: str, path: Path, counted: tuple[int, int]) -> Moved:
    """`COPY (select content ...) TO STDOUT` of the text copy, by psql to a file that is on the disk
    at the end; `counted` are the resources and their bytes."""
    user = pwd.getpwuid(os.geteuid())
    psql = find_programs(Owner(user.pw_uid, user.pw_gid, user.pw_name)) / "psql"
    asked = f"\\copy (select content from resource) to '{path}'"
    before, cpu, start = usage(server.pid), os.times(), time.perf_counter()
    subprocess.run([psql, "--quiet", "--no-psqlrc", url, "--command", asked], check=True)
    with path.open("rb") as file:
        os.fsync(file.fileno())
    wall_s, ended = time.perf_counter() - start, os.times()
    own_s = ended.children_user + ended.children_system
    own_s -= cpu.children_user + cpu.children_system
    used = usage(server.pid) - before
    path.unlink()
    return Moved("COPY of the same as text", *counted, wall_s, own_s, used.postgresql_s)


def remove(folder: Path) -> None:
    """The files of an export."""
    shutil.rmtree(folder)


def _counted(manifest: dict[str, Any]) -> tuple[int, int]:
    files = manifest["output"]
    return sum(file["count"] for file in files), sum(file["fileSize"] for file in files)


def _lines(folder: Path) -> Iterator[bytes]:
    for path in sorted(folder.glob("*.ndjson")):
        with path.open("rb") as file:
            yield from (line[:-1] for line in file)


def _download(server: Server, url: str, coding: str) -> None:
    with closing(http.client.HTTPConnection(*server.address)) as link:
        link.request("GET", exporting.path(url), headers={"Accept-Encoding": coding})
        answer = link.getresponse()
        while answer.read(_BLOCK):
            pass
    if answer.status != 200:
        raise Refused(f"{url}: {answer.status}")
