"""Requests that somebody made to get in: each is refused or harmless, nothing is stored by it,
nothing is told, and the server goes on.

Lies about where a request ends are in test_content_length.py, broken bodies in test_bad_input.py.
"""

import json
import time
from collections.abc import Iterator

import httpx
import psycopg
import pytest

from api.links import answers, link
from api.patients import resident
from servers import Server

_SECRET = "Nobody-May-See-This-Name"


@pytest.fixture(scope="module", autouse=True)
def stored(server: Server) -> Iterator[None]:
    """A record; at the end nothing else is there."""
    one = resident(id="one", name=[{"text": _SECRET}])
    assert httpx.put(f"{server.fhir}/Patient/one", json=one).status_code == 201
    assert server.database_url is not None
    with psycopg.connect(server.database_url) as connection:
        before = connection.execute("select count(*) from version").fetchone()
        yield
        assert connection.execute("select count(*) from version").fetchone() == before
    whole = httpx.get(f"{server.fhir}/Patient/one").json()
    assert (whole["meta"]["versionId"], whole["name"]) == ("1", [{"text": _SECRET}])
    assert "Traceback" not in server.logged()
    assert "level=error" not in server.logged()


def _asked(server: Server, whole: bytes) -> tuple[int, bytes]:
    """The one answer, within two seconds, after which the connection is closed."""
    with link(server) as opened:
        begun = time.perf_counter()
        opened.sendall(whole)
        (answer,) = answers(opened)
        assert time.perf_counter() - begun < 5
    assert httpx.get(f"{server.url}/health/live").status_code == 200
    return answer


def _request(path: str, *headers: str, method: str = "GET", body: bytes = b"") -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: here", "Connection: close", *headers]
    if body:
        lines += ["Content-Type: application/fhir+json", f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


PATHS = [
    "/fhir/../metrics",
    "/fhir/%2e%2e/metrics",
    "/fhir/..%2fmetrics",
    "/fhir/%2e%2e%2fmetrics",
    "/fhir/..",
    "/fhir/.",
    "/fhir/Patient/..",
    "/fhir/Patient/../Patient/one",
    "/fhir/Patient/%2e%2e/Patient/one",
    "/fhir/Observation/../../fhir/Patient/one",
    "/fhir/Patient%2fone",
    "/fhir/Patient%252fone",
    "/fhir/Patient/one%2f_history",
    "/fhir/Patient/one;x=y",
    "/fhir/Patient;x=y/one",
    "/fhir;x=y/Patient/one",
    "/fhir/Patient/one%00",
    "/fhir/Patient%00/one",
    "/fhir/Patient/%00one",
    "/fhir/Patient/one%20",
    "/fhir/Patient/one%0d%0aX:%20y",
    "/fhir/%c0%ae%c0%ae/metadata",  # overlong UTF-8 of ..
    "/fhir/Patient%c0%afone",
    "/fhir/Patient/%ff",
    "/fhir/Patient/%",
    "/fhir/patient/one",
    "/FHIR/Patient/one",
    "/fhirs/Patient/one",
    "//here/fhir/Patient/one",
    "/./fhir/Patient/one",
    "/metrics/../fhir/Patient/one",
    "/docs/%2e%2e/fhir/Patient/one",
    "/fhir\\..\\fhir\\Patient\\one",
    "/fhir/$export-status/..%2f..%2fetc%2fpasswd",
    "/fhir/$export-status/x/..%2f..%2f..%2fetc%2fpasswd",
    "/fhir/$import-status/x/%2fetc%2fpasswd",
    "/fhir/Binary/..%2f..%2fpostgres",
]


@pytest.mark.parametrize("path", PATHS)
def test_tricks_with_paths_lead_nowhere(server: Server, path: str) -> None:
    """https://www.rfc-editor.org/rfc/rfc3986#section-6.2: a path is not made into another before
    it is looked up, so that what a proxy let pass is what is answered."""
    status, body = _asked(server, _request(path))
    assert status in (400, 404), body
    for told in (_SECRET, "ehr_request_seconds", "CapabilityStatement", "root:"):
        assert told.encode() not in body


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
@pytest.mark.parametrize("path", PATHS)
def test_nor_is_anything_written_by_them(server: Server, path: str, method: str) -> None:
    body = json.dumps(resident(id="one")).encode() if method == "PUT" else b""
    status, said = _asked(server, _request(path, method=method, body=body))
    # What is not there is deleted already: https://hl7.org/fhir/R4/http.html#delete
    assert status in (400, 404, 405, *([204] if method == "DELETE" else [])), said


@pytest.mark.parametrize(
    "path", ["/fhir//Patient//one", "/fhir/Patient/one/", "/fhir/%50atient/one"]
)
def test_what_is_spelt_otherwise_is_the_same_resource_and_no_other_way_to_it(
    server: Server, path: str
) -> None:
    """Empty segments are left out, and each is decoded once: rights are asked of what that is."""
    status, body = _asked(server, _request(path))
    assert status == 200
    assert json.loads(body)["id"] == "one"


TWICE = [
    "Patient?_count=1&_count=1000",
    "Patient?_sort=name&_sort=-name",
    "Patient?_total=none&_total=accurate",
    "Patient?_format=json&_format=xml",
    "Patient?_pretty=true&_pretty=false",
    "Patient?_summary=true&_summary=data",
    "Patient?_elements=name&_elements=id",
    "Patient/one?_format=json&_format=xml",
    "Patient/one?_summary=text&_summary=false",
    "Patient/one?_elements=id&_elements=name",
    "Patient/one/_history?_count=1&_count=1000",
]


@pytest.mark.parametrize("address", TWICE)
def test_what_may_be_asked_once_is_not_asked_twice(server: Server, address: str) -> None:
    """Which of the two counts, programs on the way may see otherwise."""
    status, body = _asked(server, _request(f"/fhir/{address}"))
    assert status == 400, body
    assert b"OperationOutcome" in body


def test_a_criterion_that_comes_twice_must_hold_twice(client: httpx.Client) -> None:
    """https://hl7.org/fhir/R4/search.html#combining: repeated parameters are AND"""
    assert client.get("/Patient?_id=one&_id=two").json()["total"] == 0
    found = client.post("/Patient/_search?_id=two", data={"_id": "one"}).json()
    assert found["total"] == 0


def test_the_id_of_a_body_is_that_of_its_address(client: httpx.Client) -> None:
    """https://hl7.org/fhir/R4/http.html#update"""
    assert client.put("/Patient/one", json=resident(id="two")).status_code == 400
    entry = {"resource": resident(id="two"), "request": {"method": "PUT", "url": "Patient/one"}}
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": [entry]}
    assert client.post("/", json=bundle).status_code == 400


@pytest.mark.parametrize(
    "url",
    ["../metrics", "/metrics", "http://127.0.0.1/metrics", "Patient/../metrics", "//evil/Patient/1",
     "http://evil.example/fhir/Patient/1", "file:///etc/passwd", "$export", "Patient/one%00"],
)  # fmt: skip
def test_entries_lead_nowhere_else_either(client: httpx.Client, url: str) -> None:
    entry = {"request": {"method": "GET", "url": url}}
    answer = client.post("/", json={"resourceType": "Bundle", "type": "batch", "entry": [entry]})
    assert _SECRET not in answer.text
    if answer.status_code == 200:
        assert answer.json()["entry"][0]["response"]["status"][:1] == "4"
    else:
        assert answer.status_code == 400


SINGLE = {
    "Authorization": ("Bearer one", "Bearer two"),
    "Content-Type": ("application/fhir+json", "application/fhir+xml"),
    "If-None-Exist": ("identifier=1", "identifier=2"),
    "Idempotency-Key": ("one", "two"),
    "X-Provenance": ("{}", "{}"),
    "X-Purpose-Of-Use": ("TREAT", "BTG"),
    "X-Purpose-Reason": ("one", "two"),
    "X-Request-Id": ("one", "two"),
}


@pytest.mark.parametrize("name", SINGLE)
def test_a_header_of_one_value_comes_once(server: Server, name: str) -> None:
    """https://www.rfc-editor.org/rfc/rfc9110#section-5.3"""
    headers = [f"{name}: {value}" for value in SINGLE[name]]
    body = json.dumps(resident()).encode()
    length = f"Content-Length: {len(body)}"
    status, said = _asked(server, _request("/fhir/Patient", *headers, length, method="POST") + body)
    assert status == 400
    assert name.lower() in json.loads(said)["issue"][0]["details"]["text"]


NO_HTTP = {
    "a host besides": _request("/fhir/Patient/one", "Host: there"),
    "a bare CR in a value": _request("/fhir/Patient/one", "X: a\rY: b"),
    "a bare LF between headers": _request("/fhir/Patient/one", "X: a\nTransfer-Encoding: chunked"),
    "a NUL in a value": _request("/fhir/Patient/one", "X: a\x00b"),
    "a folded header": _request("/fhir/Patient/one", "X: a", " b: c"),
    "a space in a name": _request("/fhir/Patient/one", "X y: 1"),
    "a space before the colon": _request("/fhir/Patient/one", "Transfer-Encoding : chunked"),
    "no name": _request("/fhir/Patient/one", ": 1"),
    "two lengths": _request("/fhir/Patient/one", "Content-Length: 0", "Content-Length: 0"),
    "a length and chunks": _request(
        "/fhir/Patient/one", "Content-Length: 5", "Transfer-Encoding: chunked"
    ),
    "chunked, identity": _request("/fhir/Patient/one", "Transfer-Encoding: chunked, identity"),
    "chunked twice": _request(
        "/fhir/Patient/one", "Transfer-Encoding: chunked", "Transfer-Encoding: identity"
    ),
    "a method of nobody": _request("/fhir/Patient/one", method="STEAL"),
    "a method in small letters": _request("/fhir/Patient/one", method="delete"),
    "another version": b"GET /fhir/Patient/one HTTP/3.0\r\nHost: here\r\n\r\n",
    "HTTP/2 as one knows that it is there": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "no protocol": b"GET /fhir/Patient/one\r\n\r\n",
    "TLS": b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03" + b"\x00" * 160,
    "a tunnel": b"CONNECT evil.example:443 HTTP/1.1\r\nHost: evil.example:443\r\n\r\n",
    "a tunnel with something in it": b"CONNECT here:1 HTTP/1.1\r\nHost: here\r\n\r\n"
    + _request("/fhir/Patient/one"),
    "a tunnel that is put into": b"CONNECT here:1 HTTP/1.1\r\nHost: here\r\nUpgrade: h2c\r\n"
    b"Connection: Upgrade\r\nContent-Length: 5\r\n\r\nhello",
}


@pytest.mark.parametrize("what", NO_HTTP)
def test_what_readers_of_http_may_understand_differently_is_refused(
    server: Server, what: str
) -> None:
    """https://www.rfc-editor.org/rfc/rfc9112#section-11.2, on request smuggling"""
    with link(server) as opened:
        opened.sendall(NO_HTTP[what])
        found = answers(opened)
    assert [status for status, _ in found] in ([400], []), found
    assert _SECRET.encode() not in b"".join(body for _, body in found)
    assert httpx.get(f"{server.url}/health/live", timeout=5).status_code == 200


def test_a_tunnel_after_a_request_waits_for_its_answer(server: Server) -> None:
    """RFC 9112, 9.3.2: answers come in order."""
    tunnel = b"CONNECT here:1 HTTP/1.1\r\nHost: here\r\n\r\n"
    first = b"GET /fhir/Patient/one HTTP/1.1\r\nHost: here\r\n\r\n"
    with link(server) as opened:
        opened.sendall(first + tunnel)
        assert [status for status, _ in answers(opened)] in ([200], [200, 400])


@pytest.mark.parametrize(
    "header",
    ["X-HTTP-Method-Override: DELETE", "X-HTTP-Method: DELETE", "X-Method-Override: DELETE"],
)
def test_a_method_is_what_the_first_line_says(server: Server, header: str) -> None:
    status, body = _asked(server, _request("/fhir/Patient/one", header))
    assert (status, json.loads(body)["id"]) == (200, "one")
    status, _ = _asked(server, _request("/fhir/Patient/one?_method=DELETE", header, method="POST"))
    assert status == 405


@pytest.mark.parametrize("method", ["TRACE", "PROPFIND", "LOCK", "PURGE", "MOVE"])
def test_other_methods_do_nothing(server: Server, method: str) -> None:
    """TRACE would show a page the headers that its browser adds: RFC 9110, 9.3.8."""
    status, body = _asked(server, _request("/fhir/Patient/one", "X: echoed", method=method))
    assert status == 405
    assert b"echoed" not in body


_CHAIN = "Observation?" + "subject:Patient.link:Patient." * 30 + "name=a"
_HAS = "Patient?" + "_has:Observation:patient:" * 30 + "code=x"
COSTLY = {
    "a long chain": _CHAIN,
    "a long chain back": _HAS,
    "brackets": "Patient?_filter=" + "(" * 5000 + "name%20eq%20a" + ")" * 5000,
    "many comparisons": "Patient?_filter=" + "%20or%20".join(["name%20eq%20a"] * 2000),
    "many parameters": "Patient?" + "&".join(f"name=a{number}" for number in range(900)),
    "thousands of parameters": "Patient?" + "&".join(f"a{number}" for number in range(9000)),
    "many values": "Patient?name=" + "a," * 20_000,
    "many keys": "Patient?_sort=" + "name," * 5_000,
    "a long name": "Patient?" + "a" * 60_000 + "=1",
    "a long value": "Patient?birthdate=" + "9" * 60_000,
    "a long quantity": "Observation?value-quantity=" + "9" * 60_000,
    "a long page": "Patient?_page=" + "A" * 60_000,
    "modifiers": "Patient?name" + ":exact" * 5_000 + "=a",
    "everything along": "Observation?"
    + "&".join(["_include:iterate=*", "_revinclude:iterate=*:*"] * 20),
    "many includes": "Patient?" + "&".join(["_revinclude=Observation:patient"] * 900),
    "a page of all": "Patient?_count=99999999999999999999999",
    "words": "Patient?_text=" + "a%20" * 15_000,
}


@pytest.mark.parametrize("what", COSTLY)
def test_what_would_cost_much_is_refused_before_it_does(server: Server, what: str) -> None:
    begun = time.perf_counter()
    status, body = _asked(server, _request(f"/fhir/{COSTLY[what]}"))
    assert status == 400, body[:500]
    assert json.loads(body)["resourceType"] == "OperationOutcome"
    assert len(body) < 10_000  # what is repeated of a request is cut short
    assert time.perf_counter() - begun < 2


def test_an_address_beyond_all_measure_is_431(server: Server) -> None:
    """https://www.rfc-editor.org/rfc/rfc6585#section-5"""
    with link(server) as opened:
        opened.sendall(_request("/fhir/Patient?name=" + "a" * 200_000))
        try:
            found = opened.recv(20)
        except ConnectionResetError:  # it was closed before all was sent
            found = b""
    assert found[:12] in (b"HTTP/1.1 431", b"")


@pytest.mark.parametrize(
    "header",
    ["Range: bytes=" + "0-0," * 10_000, "Accept: " + "application/json;q=0.1," * 2_500,
     "Accept-Language: " + "vi;q=0.1," * 6_000, "Prefer: " + ";" * 60_000,
     "If-None-Match: " + 'W/"1",' * 9_000, "Accept-Encoding: " + "gzip;q=0," * 6_000,
     "Cookie: " + "a=b;" * 15_000, "X-Security-Context: " + "a" * 60_000],
)  # fmt: skip
def test_headers_with_very_much_in_them_cost_little(server: Server, header: str) -> None:
    status, body = _asked(server, _request("/fhir/Patient/one", header))
    assert status in (200, 206, 304, 400), body[:300]


def test_forged_headers_of_proxies_are_not_believed(server: Server) -> None:
    """RFC 7239, 8.1: nobody is trusted unless the setting trusted_proxies names it."""
    forged = (
        "X-Forwarded-For: 10.0.0.1", "X-Forwarded-Host: evil.example", "X-Real-IP: 10.0.0.1",
        "X-Forwarded-Proto: https", "Forwarded: for=10.0.0.1;host=evil.example;proto=https",
        "X-Original-URL: /metrics", "X-Rewrite-URL: /metrics", "X-Forwarded-Prefix: /evil",
    )  # fmt: skip
    status, body = _asked(server, _request("/fhir/Patient?_id=one", *forged))
    assert status == 200
    assert json.loads(body)["link"][0]["url"] == "http://here/fhir/Patient?_id=one"
