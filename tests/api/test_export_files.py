"""The files of $export. https://hl7.org/fhir/uv/bulkdata/export.html#bulk-data-output-file-request"""

import gzip
import hashlib
import socket
import time
from collections.abc import Iterator
from typing import Any

import httpx
import psutil
import pytest

from api.contents import random_content, stored
from api.exports import exported
from api.patients import resident
from ehr_server.store.manifest import SHA_256
from servers import Server, serving

IDENTITY = {"Accept-Encoding": "identity"}
GZIP = {"Accept-Encoding": "gzip"}


@pytest.fixture(scope="module")
def server(module_database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("export")
    with serving(module_database, export_dir=str(folder)) as started:
        yield started


@pytest.fixture(scope="module")
def file(server: Server) -> dict[str, Any]:
    """The entry of a manifest, of a file of 60 Patients."""
    with httpx.Client(base_url=server.fhir, timeout=30) as client:
        for _ in range(60):
            client.post("/Patient", json=resident())
        (found,) = exported(client, _type="Patient")["output"]
    return found


@pytest.fixture
def content(client: httpx.Client, file: dict[str, Any]) -> bytes:
    answer = client.get(file["url"], headers=IDENTITY)
    assert "content-encoding" not in answer.headers
    return answer.content


def test_the_manifest_tells_count_size_and_digest(file: dict[str, Any], content: bytes) -> None:
    assert file["count"] == len(content.splitlines()) == 60
    assert file["fileSize"] == len(content)
    assert file["extension"] == {SHA_256: hashlib.sha256(content).hexdigest()}


def test_as_gzip_where_that_is_accepted(
    client: httpx.Client, file: dict[str, Any], content: bytes
) -> None:
    """ "When compression is used, a server SHALL communicate this to the client by including a
    Content-Encoding header in the response." """
    with client.stream("GET", file["url"], headers=GZIP) as answer:
        raw = b"".join(answer.iter_raw())
    assert answer.headers["content-encoding"] == "gzip"
    assert answer.headers["content-type"] == "application/fhir+ndjson"
    assert "accept-encoding" in answer.headers["vary"].lower()
    assert int(answer.headers["content-length"]) == len(raw) < len(content) / 3
    assert gzip.decompress(raw) == content


@pytest.mark.parametrize(
    ("asked", "start", "end"),
    [("0-99", 0, 100), ("1000-", 1000, None), ("-500", -500, None), ("77-77", 77, 78)],
)
def test_ranges_of_the_content(
    client: httpx.Client, file: dict[str, Any], content: bytes, asked: str, start: int, end: int
) -> None:
    """RFC 9110, 14.2."""
    answer = client.get(file["url"], headers={**IDENTITY, "Range": f"bytes={asked}"})
    assert answer.status_code == 206
    assert answer.content == content[start:end]
    first = start % len(content)
    last = first + len(answer.content) - 1
    assert answer.headers["content-range"] == f"bytes {first}-{last}/{len(content)}"


def test_what_a_broken_link_left_is_gone_on_with_as_gzip(
    client: httpx.Client, file: dict[str, Any], content: bytes
) -> None:
    """A range of the gzip that is sent, since the coding is a property of the representation
    (RFC 9110, 8.4); If-Range says of which."""
    raw = b""
    with client.stream("GET", file["url"], headers=GZIP) as first:
        for piece in first.iter_raw(100):
            raw += piece
            break
    again = {**GZIP, "Range": f"bytes={len(raw)}-", "If-Range": first.headers["etag"]}
    with client.stream("GET", file["url"], headers=again) as rest:
        assert rest.status_code == 206
        raw += b"".join(rest.iter_raw())
    assert gzip.decompress(raw) == content


def test_a_range_of_another_file_is_the_whole_of_this(
    client: httpx.Client, file: dict[str, Any], content: bytes
) -> None:
    """If-Range with another tag: RFC 9110, 13.1.5."""
    headers = {**IDENTITY, "Range": "bytes=10-", "If-Range": '"another"'}
    answer = client.get(file["url"], headers=headers)
    assert (answer.status_code, answer.content) == (200, content)


def test_a_range_beyond_the_end_is_416(
    client: httpx.Client, file: dict[str, Any], content: bytes
) -> None:
    """RFC 9110, 15.5.17, with what is needed to ask again: of what, and that ranges are served."""
    answer = client.get(file["url"], headers={**IDENTITY, "Range": "bytes=99999999-"})
    assert answer.status_code == 416
    assert answer.headers["content-range"] == f"bytes */{len(content)}"
    assert answer.headers["accept-ranges"] == "bytes"
    assert answer.headers["etag"] == client.head(file["url"], headers=IDENTITY).headers["etag"]


def test_who_has_the_file_is_not_sent_it_again(client: httpx.Client, file: dict[str, Any]) -> None:
    """RFC 9110, 13.1.2 and 15.4.5: 304 with the ETag and Vary that 200 would have."""
    for headers in (IDENTITY, GZIP):
        whole = client.get(file["url"], headers=headers)
        tag = whole.headers["etag"]
        for known in (tag, f"W/{tag}", f'"another", {tag}', "*"):
            answer = client.get(file["url"], headers={**headers, "If-None-Match": known})
            assert (answer.status_code, answer.content) == (304, b"")
            assert answer.headers["etag"] == tag
            assert answer.headers["vary"] == whole.headers["vary"]
        other = {**headers, "If-None-Match": '"another"'}
        assert client.get(file["url"], headers=other).status_code == 200


def test_head_tells_without_sending(
    client: httpx.Client, file: dict[str, Any], content: bytes
) -> None:
    for headers in (IDENTITY, GZIP):
        answer = client.head(file["url"], headers=headers)
        whole = client.get(file["url"], headers=headers)
        assert answer.status_code == 200
        assert answer.headers["content-length"] == whole.headers["content-length"]
        assert answer.headers["etag"] == whole.headers["etag"]


@pytest.mark.parametrize(
    ("form", "type_"),
    [("parquet", "application/vnd.apache.parquet"), ("ndjson", "application/fhir+ndjson")],
)
def test_a_file_may_be_asked_for_in_its_own_type(
    client: httpx.Client, file: dict[str, Any], form: str, type_: str
) -> None:
    """The header Accept: "Specifies the format of the file being requested." """
    del file  # there is one of Patients then
    (found,) = exported(client, _type="Patient", _outputFormat=form)["output"]
    for accepted in (type_, "*/*", "application/octet-stream"):
        answer = client.get(found["url"], headers={"Accept": accepted})
        assert (answer.status_code, answer.headers["content-type"]) == (200, type_)


def test_for_who_has_gone_nothing_more_is_read(client: httpx.Client, server: Server) -> None:
    size = 40_000_000
    stored(client, random_content(size))
    (found,) = exported(client, _type="Binary")["output"]
    host, port = server.url.removeprefix("http://").split(":")
    path = found["url"].removeprefix(server.url)
    before = _read_bytes(server)
    with socket.create_connection((host, int(port)), timeout=20) as link:
        link.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip\r\n\r\n".encode())
        assert link.recv(1000).startswith(b"HTTP/1.1 200")
    time.sleep(1)
    assert _read_bytes(server) - before < size / 2  # what fits between the two


def _read_bytes(server: Server) -> int:
    process = psutil.Process(server.process.pid)
    several = (process, *process.children(recursive=True))
    return sum(one.io_counters().read_chars for one in several if "postgres" not in one.name())
