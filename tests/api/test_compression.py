"""Gzip both ways: https://www.rfc-editor.org/rfc/rfc9110#name-content-codings"""

import gzip
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from api.patients import resident
from databases import PostgreSQL
from servers import Server, serving

_JSON = {"Content-Type": "application/fhir+json"}
_GZIP = {**_JSON, "Content-Encoding": "gzip"}
_MOST = 1_000_000


@pytest.fixture(scope="module")
def small(given_postgresql: PostgreSQL) -> Iterator[tuple[httpx.Client, Server]]:
    """A server that takes bodies of a million bytes."""
    with (
        given_postgresql.database() as url,  # its worker must not take the exports of the other
        serving(url, body_bytes_max=str(_MOST)) as server,
        httpx.Client(base_url=server.fhir, timeout=30) as client,
    ):
        yield client, server


def _patient(id_: str, **more: Any) -> bytes:
    return json.dumps({"resourceType": "Patient", "id": id_, "gender": "female", **more}).encode()


# Requests


@pytest.mark.parametrize("coding", ["gzip", "GZIP", "x-gzip", "identity", ""])
def test_a_resource_that_came_as_gzip_is_stored(client: httpx.Client, coding: str) -> None:
    body = _patient("zipped") if coding in ("identity", "") else gzip.compress(_patient("zipped"))
    answer = client.put(
        "/Patient/zipped", content=body, headers=_JSON | {"Content-Encoding": coding}
    )
    assert answer.status_code in (200, 201), answer.text
    assert client.get("/Patient/zipped").json()["gender"] == "female"


def test_bundles_patches_and_forms_come_as_gzip_too(client: httpx.Client) -> None:
    entry = {"resource": resident(), "request": {"method": "POST", "url": "Patient"}}
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": [entry]}
    answer = client.post("", content=gzip.compress(json.dumps(bundle).encode()), headers=_GZIP)
    assert answer.status_code == 200
    address = answer.json()["entry"][0]["response"]["location"].split("/_history")[0]
    patch = gzip.compress(b'[{"op":"replace","path":"/gender","value":"other"}]')
    kind = {**_GZIP, "Content-Type": "application/json-patch+json"}
    assert client.patch(address, content=patch, headers=kind).json()["gender"] == "other"
    form = {**_GZIP, "Content-Type": "application/x-www-form-urlencoded"}
    found = client.post("/Patient/_search", content=gzip.compress(b"gender=other"), headers=form)
    assert found.json()["total"] == 1


def test_several_members_are_one_body(client: httpx.Client) -> None:
    """RFC 1952, 2.2: "A gzip file consists of a series of members"."""
    body = _patient("members")
    cut = gzip.compress(body[:20]) + gzip.compress(b"") + gzip.compress(body[20:])
    assert client.put("/Patient/members", content=cut, headers=_GZIP).status_code == 201


@pytest.mark.parametrize(
    "broken",
    [
        b"{}",
        b"\x1f\x8b",
        gzip.compress(_patient("broken"))[:-1],
        gzip.compress(_patient("broken"))[:30],
        gzip.compress(_patient("broken")) + b"garbage",
        gzip.compress(_patient("broken")) + b"\0" * 8,
        gzip.compress(_patient("broken")) + gzip.compress(b" ")[:-3],
        gzip.compress(_patient("broken"))[:-8] + b"\0" * 8,  # another checksum and length
    ],
    ids=[
        *("no gzip", "two bytes", "a byte short", "half", "garbage", "zeros"),
        *("a second member cut", "checksum"),
    ],
)
def test_broken_gzip_is_400_and_not_stored(client: httpx.Client, broken: bytes) -> None:
    answer = client.put("/Patient/broken", content=broken, headers=_GZIP)
    assert answer.status_code == 400
    assert "gzip" in answer.json()["issue"][0]["details"]["text"]
    assert client.get("/Patient/broken").status_code == 404


@pytest.mark.parametrize("coding", ["br", "deflate", "zstd", "gzip, gzip", "nonsense"])
def test_other_codings_are_415_that_says_which_is_taken(client: httpx.Client, coding: str) -> None:
    """RFC 9110, 12.5.3: the answer "ought to include an Accept-Encoding header field"."""
    headers = _JSON | {"Content-Encoding": coding}
    answer = client.put("/Patient/coded", content=_patient("coded"), headers=headers)
    assert answer.status_code == 415
    assert answer.headers["Accept-Encoding"] == "gzip"
    assert answer.json()["resourceType"] == "OperationOutcome"
    assert client.get("/Patient/coded").status_code == 404


def test_content_of_a_binary_is_not_inflated(client: httpx.Client) -> None:
    """It is kept as it is: https://hl7.org/fhir/R4/binary.html"""
    headers = {"Content-Type": "image/png", "Content-Encoding": "gzip"}
    assert client.post("/Binary", content=gzip.compress(b"x"), headers=headers).status_code == 415


def test_the_limit_of_a_body_counts_what_comes_out(small: tuple[httpx.Client, Server]) -> None:
    client, _ = small
    for more, status in ((0, 201), (1, 413)):
        text = {"div": "", "status": "generated"}
        id_ = f"limit{more}"
        bare = len(_patient(id_, text=text | {"div": _div("")}))
        body = _patient(id_, text=text | {"div": _div("x" * (_MOST - bare + more))})
        assert len(body) == _MOST + more
        answer = client.put(f"/Patient/{id_}", content=gzip.compress(body), headers=_GZIP)
        assert answer.status_code == status, answer.text[:500]


def _div(text: str) -> str:
    return f'<div xmlns="http://www.w3.org/1999/xhtml">{text}</div>'


def test_a_bomb_is_413_and_takes_no_memory(small: tuple[httpx.Client, Server]) -> None:
    """A gigabyte of spaces, sent as one of its megabyte."""
    client, server = small
    bomb = gzip.compress(b" " * 100_000_000, 9) * 9
    assert len(bomb) < _MOST
    before = _memory_peak(server)
    begun = time.perf_counter()
    answer = client.put("/Patient/bomb", content=bomb, headers=_GZIP)
    assert answer.status_code == 413
    assert "1000000" in answer.json()["issue"][0]["details"]["text"]
    assert time.perf_counter() - begun < 2
    assert _memory_peak(server) - before < 30_000_000


def test_a_bomb_of_many_empty_members_is_refused_in_a_moment(
    small: tuple[httpx.Client, Server],
) -> None:
    client, _ = small
    begun = time.perf_counter()
    answer = client.put("/Patient/bomb", content=gzip.compress(b"") * 45_000, headers=_GZIP)
    assert (answer.status_code, time.perf_counter() - begun < 3) == (400, True)


def _memory_peak(server: Server) -> int:
    """The most memory that the server has held, in bytes."""
    status = Path(f"/proc/{server.process.pid}/status").read_text(encoding="ascii")
    peak = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(peak.split()[1]) * 1024


# Answers


def _page(client: httpx.Client, accepting: str | None, path: str = "/metadata") -> httpx.Response:
    request = client.build_request("GET", path)
    request.headers.pop("Accept-Encoding")
    if accepting is not None:
        request.headers["Accept-Encoding"] = accepting
    return client.send(request)


@pytest.mark.parametrize(
    ("accepting", "is_zipped"),
    [
        ("gzip", True),
        ("gzip, deflate, br", True),
        ("x-gzip", True),
        ("*", True),
        ("gzip;q=0.5", True),
        ("gzip;q=0.5, identity;q=0.5", True),
        ("br;q=1.0, gzip;q=0.8, *;q=0.1", True),
        (None, False),
        ("", False),
        ("identity", False),
        ("br", False),
        ("gzip;q=0", False),
        ("gzip;q=0, *", False),
        ("*;q=0", False),
        ("gzip;q=0.2, identity;q=0.9", False),
    ],
)
def test_an_answer_is_gzip_where_that_is_accepted(
    client: httpx.Client, accepting: str | None, is_zipped: bool
) -> None:
    """RFC 9110, 12.5.3"""
    answer = _page(client, accepting)
    assert ("Content-Encoding" in answer.headers) == is_zipped
    assert "Accept-Encoding" in answer.headers["Vary"]
    assert answer.json()["resourceType"] == "CapabilityStatement"
    if is_zipped:
        assert int(answer.headers["Content-Length"]) < len(answer.content) / 4


def test_a_tiny_answer_is_sent_as_it_is(client: httpx.Client) -> None:
    answer = _page(client, "gzip", "/Patient/nobody")
    assert answer.status_code == 404
    assert "Content-Encoding" not in answer.headers
    assert answer.headers["Vary"] == "Accept, Accept-Encoding"  # there is another in XML


def test_content_of_a_binary_is_sent_as_it_is(client: httpx.Client) -> None:
    """Ranges of it are asked for, and most of it is compressed already."""
    for kind in ("image/png", "text/plain"):
        stored = client.post("/Binary", content=b"x" * 50_000, headers={"Content-Type": kind})
        answer = _page(client, "gzip", f"/Binary/{stored.json()['id']}")
        assert "Content-Encoding" not in answer.headers
        assert len(answer.content) == 50_000


def test_a_range_of_content_in_a_type_of_fhir_is_sent_as_it_is(client: httpx.Client) -> None:
    """RFC 9110, 14.4: Content-Range counts the bytes that are sent."""
    content = b'{"resourceType":"Basic","code":{"text":"%s"}}' % (b"x" * 5_000)
    kind = {"Content-Type": "application/fhir+json"}
    stored = client.post("/Binary", content=content, headers=kind)
    asked = {"Range": "bytes=10-4009", "Accept-Encoding": "gzip", "Accept": "*/*"}
    answer = client.get(f"/Binary/{stored.json()['id']}", headers=asked)
    assert answer.status_code == 206
    assert "Content-Encoding" not in answer.headers
    assert answer.content == content[10:4010]


def test_xml_is_compressed_too(client: httpx.Client) -> None:
    answer = client.get("/metadata", headers={"Accept": "application/fhir+xml"})
    assert answer.headers["Content-Type"].startswith("application/fhir+xml")
    assert answer.headers["Content-Encoding"] == "gzip"
    assert b"<CapabilityStatement " in answer.content


def test_the_version_that_the_sender_has_is_304_with_the_same_vary(client: httpx.Client) -> None:
    """RFC 9110, 15.4.5"""
    client.put("/Patient/varied", content=_patient("varied"), headers=_JSON)
    answer = client.get("/Patient/varied", headers={"If-None-Match": 'W/"1"'})
    assert answer.status_code == 304
    assert "Accept-Encoding" in answer.headers["Vary"]


def test_the_file_of_an_export_is_compressed_while_it_is_sent(client: httpx.Client) -> None:
    """https://hl7.org/fhir/uv/bulkdata/export.html: files may be sent with Content-Encoding gzip"""
    entries = [
        {"resource": json.loads(_patient("e")), "request": {"method": "POST", "url": "Patient"}}
        for _ in range(2_000)
    ]
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
    assert client.post("", json=bundle).status_code == 200
    started = client.get("/$export?_type=Patient", headers={"Prefer": "respond-async"})
    until = time.monotonic() + 30
    while (told := client.get(started.headers["Content-Location"])).status_code == 202:
        assert time.monotonic() < until
        time.sleep(0.1)
    url = told.json()["output"][0]["url"]
    plain, zipped = _page(client, "identity", url), _page(client, "gzip", url)
    assert (plain.status_code, zipped.status_code) == (200, 200)
    assert zipped.headers["Content-Encoding"] == "gzip"
    assert zipped.num_bytes_downloaded < plain.num_bytes_downloaded / 5
    assert zipped.content == plain.content
    assert zipped.content.count(b"\n") >= 2_000
    head = client.head(url, headers={"Accept-Encoding": "identity"})
    assert int(head.headers["Content-Length"]) == len(plain.content)
    assert client.head(url, headers={"Accept-Encoding": "gzip"}).content == b""
