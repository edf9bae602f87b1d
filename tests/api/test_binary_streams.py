"""Binary under bad links, slow senders and readers, limits and lies: nothing is left lying.

https://hl7.org/fhir/R4/binary.html, docs/decisions/0013-binary.md
"""

import socket
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta

import httpx
import psycopg
import pytest

from api.contents import LARGE, random_content, row_counts, stored
from api.patients import resident
from databases import PostgreSQL
from ehr_server import clock
from ehr_server.changes.uploads import Upload
from ehr_server.settings import Settings
from ehr_server.store import blobs
from ehr_server.store.connect import Collision, Store
from servers import ENCRYPTION_KEY, Server, serving


def _speak(server: Server, head: str, *pieces: bytes) -> Iterator[socket.socket]:
    host, port = server.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=20) as link:
        link.sendall(head.encode())
        for piece in pieces:
            link.sendall(piece)
        yield link


def _head(length: int, address: str = "Binary", method: str = "POST") -> str:
    return (
        f"{method} /fhir/{address} HTTP/1.1\r\nHost: here\r\nContent-Type: image/png\r\n"
        f"Content-Length: {length}\r\n\r\n"
    )


def _settled(database_url: str, wanted: dict[str, int]) -> None:
    """The counts come to what is wanted within ten seconds."""
    until = time.monotonic() + 10
    while (found := row_counts(database_url)) != wanted and time.monotonic() < until:
        time.sleep(0.1)
    assert found == wanted


def test_a_cut_upload_leaves_nothing(client: httpx.Client, server: Server) -> None:
    """Content-Length promises more than comes."""
    url = server.database_url or ""
    before = row_counts(url)
    for _ in _speak(server, _head(5_000_000), LARGE):
        until = time.monotonic() + 10
        while row_counts(url)["blob"] == before["blob"] and time.monotonic() < until:
            time.sleep(0.05)
        assert row_counts(url)["upload"] == before["upload"] + 1  # it is coming
    _settled(url, before)


def test_what_comes_after_content_length_is_no_part_of_the_content(
    client: httpx.Client, server: Server
) -> None:
    """It would be the next request, which it is not: the first is answered, and the connection
    ends."""
    for link in _speak(server, _head(100, "Binary/lied", "PUT"), random_content(5_000)):
        assert link.recv(65_536).startswith(b"HTTP/1.1 201")
    assert client.get("/Binary/lied").content == random_content(5_000)[:100]


def test_content_over_the_limit_is_refused_before_and_while_it_comes(
    given_postgresql: PostgreSQL,
) -> None:
    with (
        given_postgresql.database() as url,
        serving(url, binary_bytes_max="1000000") as server,
        httpx.Client(base_url=server.fhir, timeout=30) as client,
    ):
        before = row_counts(url)
        kind = {"Content-Type": "image/png"}
        told = client.post("/Binary", content=LARGE, headers=kind)
        assert told.status_code == 413

        def untold() -> Iterator[bytes]:
            for at in range(0, len(LARGE), 100_000):
                yield LARGE[at : at + 100_000]

        answer = client.post("/Binary", content=untold(), headers=kind)
        assert answer.status_code == 413
        _settled(url, before)
        assert client.post("/Binary", content=untold_part(), headers=kind).status_code == 201


def untold_part() -> Iterator[bytes]:
    """Chunked, without Content-Length."""
    yield LARGE[:500_000]
    yield LARGE[500_000:900_000]


def test_slow_uploads_do_not_stand_in_the_way(client: httpx.Client, server: Server) -> None:
    """There are eight connections to the database and eight threads: thirty senders who trickle
    hold none of them."""
    before = row_counts(server.database_url or "")
    links = [iterate for _ in range(30) for iterate in [_speak(server, _head(9_000_000), LARGE)]]
    for link in links:
        next(link)
    started = time.monotonic()
    for _ in range(20):
        assert client.get("/Patient?_count=1").status_code == 200
        assert client.get(f"/Binary/{stored(client, LARGE)}").content == LARGE
    assert time.monotonic() - started < 15
    for link in links:
        assert next(link, None) is None  # closed
    with psycopg.connect(server.database_url or "") as connection:
        until = time.monotonic() + 10
        while time.monotonic() < until:
            left = connection.execute("select count(*) from upload").fetchone()
            connection.rollback()
            if left == (before["upload"],):
                break
            time.sleep(0.1)
    assert left == (before["upload"],)


def test_readers_who_take_nothing_do_not_stand_in_the_way(
    client: httpx.Client, server: Server
) -> None:
    id_ = stored(client, random_content(9_000_000))
    head = f"GET /fhir/Binary/{id_} HTTP/1.1\r\nHost: here\r\n\r\n"
    links = [_speak(server, head) for _ in range(30)]
    for link in links:
        next(link)
    started = time.monotonic()
    for _ in range(20):
        assert client.get("/Patient?_count=1").status_code == 200
    assert time.monotonic() - started < 10
    for link in links:
        next(link, None)
    assert client.get(f"/Binary/{id_}").content == random_content(9_000_000)


def test_content_that_was_left_lying_is_removed(database: str) -> None:
    """A server that is killed leaves what was coming; the worker removes it a day later."""
    with closing(Store(database, encryption_key=ENCRYPTION_KEY)) as store:
        upload = Upload(store, Settings(), {}, "left")
        upload.take(LARGE)
        blob = upload.blob() or pytest.fail("it is large")
        before = row_counts(database)
        assert (before["upload"], before["blob"]) == (1, 3)
        with store.connection() as connection:
            assert blobs.forget_abandoned(connection, clock.now() - timedelta(hours=1)) == 0
            assert blobs.forget_abandoned(connection, clock.now() + timedelta(seconds=1)) == 1
        after = row_counts(database)
        assert (after["upload"], after["blob"]) == (0, 0)
        for _ in range(2):  # the second time there is a part, but not the first ones
            with pytest.raises(Collision), store.transaction() as opened:
                blobs.attach(opened.connection, 0, blob)
            upload.take(LARGE[:400_000])


def test_a_download_goes_on_while_the_content_moves(client: httpx.Client) -> None:
    """What is read is one version; that it lies in another compartment meanwhile is nobody's
    concern."""
    content = random_content(24_000_000)
    client.put("/Patient/of-a-film", json=resident(id="of-a-film"))
    kind = {"Content-Type": "video/mp4"}
    assert client.put("/Binary/film", content=content, headers=kind).status_code == 201
    seen = bytearray()
    with client.stream("GET", "/Binary/film/_history/1") as answer:
        pieces = answer.iter_raw(100_000)
        seen += next(pieces)
        context = {"X-Security-Context": "Patient/of-a-film"}
        with httpx.Client(base_url=client.base_url, timeout=30) as other:
            moved = other.put("/Binary/film", content=content, headers={**kind, **context})
            assert moved.headers["ETag"] == 'W/"2"'
        for piece in pieces:
            seen += piece
    assert seen == content


def test_a_server_that_is_killed_while_content_comes_has_stored_nothing(database: str) -> None:
    """What lies there is named by no version, and does not stand in the way of the next try."""
    kind = {"Content-Type": "image/png"}
    with serving(database) as server:
        for _ in _speak(server, _head(9_000_000, "Binary/tried", "PUT"), LARGE):
            until = time.monotonic() + 10
            while row_counts(database)["blob"] == 0 and time.monotonic() < until:
                time.sleep(0.05)
            server.process.kill()
    counts = row_counts(database)
    assert (counts["upload"], counts["rid"], counts["version_other"]) == (1, 0, 0)
    with serving(database) as server, httpx.Client(base_url=server.fhir, timeout=30) as client:
        assert client.get("/Binary/tried").status_code == 404
        assert client.put("/Binary/tried", content=LARGE, headers=kind).status_code == 201
        assert client.get("/Binary/tried").content == LARGE
