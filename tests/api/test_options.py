"""OPTIONS and HEAD: https://www.rfc-editor.org/rfc/rfc9110#name-options, and #name-head"""

import socket

import httpx
import pytest

from api.links import answers, link
from api.patients import resident
from servers import Server

_ALL = "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT"


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/metadata", "GET, HEAD, OPTIONS"),
        ("", "GET, HEAD, OPTIONS, POST"),
        ("/Patient", _ALL),
        ("/Patient/1", "DELETE, GET, HEAD, OPTIONS, PATCH, PUT"),  # also where nothing is there
        ("/Patient/1/_history", "GET, HEAD, OPTIONS"),
        ("/Patient/1/_history/1", "GET, HEAD, OPTIONS"),
        ("/Patient/_search", "OPTIONS, POST"),
        ("/Binary/1", "DELETE, GET, HEAD, OPTIONS, PATCH, PUT"),
        ("/Patient/$validate", "OPTIONS, POST"),
    ],
)
def test_options_tells_what_is_possible_at_an_address(
    client: httpx.Client, path: str, allowed: str
) -> None:
    answer = client.options(path)
    assert (answer.status_code, answer.content) == (204, b"")
    assert answer.headers["Allow"] == allowed
    assert ("Accept-Patch" in answer.headers) == ("PATCH" in allowed)


def test_options_tells_the_formats_of_patches(client: httpx.Client) -> None:
    """https://www.rfc-editor.org/rfc/rfc5789#section-3.1"""
    told = client.options("/Patient/1").headers["Accept-Patch"].split(", ")
    assert {"application/json-patch+json", "application/fhir+json"} <= set(told)


@pytest.mark.parametrize("path", ["/Nonsense", "/Patient/1/2/3/4", "/$nonsense"])
def test_options_of_an_address_that_leads_nowhere_is_404(client: httpx.Client, path: str) -> None:
    answer = client.options(path)
    assert answer.status_code == 404
    assert answer.json()["resourceType"] == "OperationOutcome"


def test_options_is_answered_whatever_is_accepted(client: httpx.Client) -> None:
    assert client.options("/Patient", headers={"Accept": "text/html"}).status_code == 204


def test_options_of_the_server_as_such(server: Server) -> None:
    """`OPTIONS *`: RFC 9110, 9.3.7"""
    with link(server) as opened:
        opened.sendall(b"OPTIONS * HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n")
        told = b""
        while piece := opened.recv(65_536):
            told += piece
    assert told.startswith(b"HTTP/1.1 204")
    assert f"allow: {_ALL}\r\n".encode() in told


def test_an_asterisk_is_for_options_alone(server: Server) -> None:
    with link(server) as opened:
        opened.sendall(b"GET * HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n")
        opened.shutdown(socket.SHUT_WR)
        assert [status for status, _ in answers(opened)] in ([], [400], [404])


def test_405_names_the_methods_too(client: httpx.Client) -> None:
    answer = client.delete("/metadata")
    assert (answer.status_code, answer.headers["Allow"]) == (405, "GET, HEAD, OPTIONS")


@pytest.mark.parametrize(
    "path",
    [
        "/metadata",
        "/Patient?_summary=count",
        "/Patient?_format=json&_pretty=true",
        "/Patient/$id",
        "/Patient/$id/_history",
        "/Patient/$id/_history/1",
        "/Patient/nobody",
        "/Nonsense",
        "/Binary/$binary",
    ],
)
@pytest.mark.parametrize("coding", ["identity", "gzip"])
def test_head_is_get_without_the_body(client: httpx.Client, path: str, coding: str) -> None:
    """The same headers, Content-Length among them."""
    path = path.replace("$id", client.post("/Patient", json=resident()).json()["id"])
    if "$binary" in path:
        stored = client.post("/Binary", content=b"x" * 100_000, headers={"Content-Type": "a/b"})
        path = path.replace("$binary", stored.json()["id"])
    accepting = {"Accept-Encoding": coding, "X-Request-Id": "same"}
    got, head = client.get(path, headers=accepting), client.head(path, headers=accepting)
    assert head.content == b""
    assert head.status_code == got.status_code
    ours = [dict(one.headers) for one in (head, got)]
    for headers in ours:
        headers.pop("date")
    assert ours[0] == ours[1]
    assert int(head.headers["Content-Length"]) > 0


@pytest.mark.parametrize("path", ["/health/live", "/health/ready", "/", "/openapi.json"])
def test_head_is_answered_beside_the_base_too(server: Server, path: str) -> None:
    got, head = httpx.get(server.url + path), httpx.head(server.url + path)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["Content-Length"] == got.headers["Content-Length"]
