"""Content-Length that lies, and what comes after a body: a request that is refused stores nothing.

https://www.rfc-editor.org/rfc/rfc9112#section-6.3
"""

import json
import socket
import time
from collections.abc import Iterator

import httpx
import pytest

from api.links import answers, link
from servers import Server

_NOBODY = b"GET /fhir/Patient/nobody HTTP/1.1\r\nHost: here\r\n\r\n"


def _put(id_: str, *headers: str, body: bytes | None = None) -> bytes:
    """A PUT of a Patient, with these headers and no others that say where it ends."""
    body = _body(id_) if body is None else body
    lines = [f"PUT /fhir/Patient/{id_} HTTP/1.1", "Host: here", "Content-Type: application/json"]
    return "\r\n".join([*lines, *headers, "", ""]).encode() + body


def _body(id_: str) -> bytes:
    return json.dumps({"resourceType": "Patient", "id": id_, "gender": "female"}).encode()


def _length(id_: str, more: int = 0) -> str:
    return f"Content-Length: {len(_body(id_)) + more}"


def _chunked(body: bytes) -> bytes:
    return b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)


@pytest.fixture
def opened(server: Server) -> Iterator[socket.socket]:
    with link(server) as opened:
        yield opened


def test_what_is_told_rightly_is_stored(client: httpx.Client, opened: socket.socket) -> None:
    opened.sendall(_put("right", _length("right"), "Connection: close"))
    assert [status for status, _ in answers(opened)] == [201]
    assert client.get("/Patient/right").status_code == 200


def test_a_body_that_ends_too_early_is_not_stored(
    client: httpx.Client, opened: socket.socket
) -> None:
    """RFC 9112, 8: "a message ... is incomplete if ..."; here what came is a whole resource."""
    opened.sendall(_put("short", _length("short", +5)))
    opened.shutdown(socket.SHUT_WR)
    assert [status for status, _ in answers(opened)] in ([], [400])
    assert client.get("/Patient/short").status_code == 404


def test_a_body_that_is_longer_than_told_is_cut_and_so_no_json(
    client: httpx.Client, opened: socket.socket
) -> None:
    opened.sendall(_put("long", _length("long", -5)))
    (status, outcome), *more = answers(opened)
    assert (status, more) == (400, [])
    assert b"not valid JSON" in outcome
    assert client.get("/Patient/long").status_code == 404


REFUSED = {
    "two lengths": _put("lie", _length("lie"), _length("lie", +10)),
    "two lengths in a list": _put("lie", f"{_length('lie')}, 5"),
    "not a number": _put("lie", "Content-Length: many"),
    "negative": _put("lie", "Content-Length: -5"),
    "with a sign": _put("lie", _length("lie").replace(": ", ": +")),
    "hexadecimal": _put("lie", "Content-Length: 0x40"),
    "beyond all numbers": _put("lie", f"Content-Length: {'9' * 40}"),
    "a length and chunks": _put(
        "lie", _length("lie"), "Transfer-Encoding: chunked", body=_chunked(_body("lie"))
    ),
    "chunks and a length": _put(
        "lie", "Transfer-Encoding: chunked", _length("lie"), body=_chunked(_body("lie"))
    ),
    "another transfer coding": _put("lie", "Transfer-Encoding: gzip"),
    "a length that is folded": _put("lie", "X: a", "\tContent-Length: 3", _length("lie")),
    "a name with a space": _put("lie", _length("lie").replace(":", " :")),
    "chunks and another coding": _put(
        "lie", "Transfer-Encoding: chunked, identity", body=_chunked(_body("lie"))
    ),
    "a length in a trailer": _put(
        "lie",
        "Transfer-Encoding: chunked",
        body=_chunked(_body("lie")).removesuffix(b"\r\n") + b"Content-Length: 5\r\n\r\n",
    ),
    "chunks without a size": _put("lie", "Transfer-Encoding: chunked", body=_body("lie")),
    "a broken chunk": _put(
        "lie", "Transfer-Encoding: chunked", body=_chunked(_body("lie")).replace(b"0\r\n\r\n", b"x")
    ),
    "a chunk that is longer": _put(
        "lie", "Transfer-Encoding: chunked", body=b"5\r\n%s\r\n0\r\n\r\n" % _body("lie")
    ),
}


@pytest.mark.parametrize("lie", REFUSED)
def test_a_request_whose_end_cannot_be_told_is_400_and_the_connection_ends(
    client: httpx.Client, opened: socket.socket, lie: str
) -> None:
    """RFC 9112, 6.3: "the server MUST respond with a 400 ... status code and then close the
    connection"."""
    opened.sendall(REFUSED[lie])
    (status, outcome), *more = answers(opened)
    assert (status, more) == (400, [])
    assert json.loads(outcome)["resourceType"] == "OperationOutcome"
    assert client.get("/Patient/lie").status_code == 404


@pytest.mark.parametrize("garbage", [b"\x00\x01\x02", b"garbage and more\r\n\r\n", b"{}" * 5000])
def test_what_follows_a_whole_request_is_not_its_answer(
    client: httpx.Client, opened: socket.socket, garbage: bytes
) -> None:
    """RFC 9112, 6.3 and 9.3.2: the request ended where its Content-Length says, and is answered
    first; a 400 would tell its sender that nothing is stored."""
    opened.sendall(_put("whole", _length("whole")) + garbage)
    (status, body), *more = answers(opened)
    assert status in (200, 201)
    assert json.loads(body) == client.get("/Patient/whole").json()
    assert more == []


def test_garbage_while_a_request_is_answered_waits_for_the_answer(
    client: httpx.Client, opened: socket.socket
) -> None:
    opened.sendall(_put("slow", _length("slow")))
    opened.sendall(b"\x00\x01\x02")
    found = [status for status, _ in answers(opened)]
    assert found[0] in (200, 201)
    assert found[1:] in ([], [400])  # of what came after, if it came after the answer


def test_garbage_after_an_answer_is_400(client: httpx.Client, opened: socket.socket) -> None:
    opened.sendall(_NOBODY)
    assert opened.recv(12) == b"HTTP/1.1 404"
    opened.sendall(b"\x00\x01\x02")
    rest = b""
    while piece := opened.recv(65_536):
        rest += piece
    assert b"HTTP/1.1 400" in rest
    assert b"not valid HTTP" in rest


def test_requests_that_come_together_are_answered_in_order_up_to_the_garbage(
    client: httpx.Client, opened: socket.socket
) -> None:
    """RFC 9112, 9.3.2"""
    first, second = _put("one", _length("one")), _put("two", _length("two"))
    opened.sendall(first + _NOBODY + second + b"\x00\x01")
    assert [status for status, _ in answers(opened)] == [201, 404, 201]
    assert client.get("/Patient/one").status_code == 200
    assert client.get("/Patient/two").status_code == 200


def test_a_broken_request_among_others_is_refused_in_its_turn(
    client: httpx.Client, opened: socket.socket
) -> None:
    first = _put("before", _length("before"))
    broken = _put("broken", "Transfer-Encoding: chunked", body=_body("broken"))
    opened.sendall(first + broken)
    assert [status for status, _ in answers(opened)] == [201, 400]
    assert client.get("/Patient/before").status_code == 200
    assert client.get("/Patient/broken").status_code == 404


def test_a_transfer_coding_that_is_not_known_is_501(
    client: httpx.Client, opened: socket.socket
) -> None:
    """RFC 9112, 6.1: what is coded otherwise would be stored as something else."""
    opened.sendall(_put("coded", "Transfer-Encoding: gzip, chunked", body=_chunked(_body("coded"))))
    assert [status for status, _ in answers(opened)] == [501]
    assert client.get("/Patient/coded").status_code == 404


_OFFER = ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAEAAEAAAAIAAAAB")


@pytest.mark.parametrize(
    "framed", [(_length("offer"), False), ("Transfer-Encoding: chunked", True)], ids=str
)
def test_a_body_with_an_offer_of_http_2_is_read(
    client: httpx.Client, opened: socket.socket, framed: tuple[str, bool]
) -> None:
    """As Java's client sends it. RFC 9110, 7.8: a server "MAY ignore a received Upgrade"."""
    header, is_chunked = framed
    body = _chunked(_body("offer")) if is_chunked else None
    whole = _put("offer", header, *_OFFER, body=body)
    for piece in (whole[:90], whole[90:-20], whole[-20:] + whole + _NOBODY + b"\0"):
        opened.sendall(piece)
        time.sleep(0.05)
    assert [status for status, _ in answers(opened)][1:] == [200, 404]
    assert client.get("/Patient/offer").json()["gender"] == "female"


def test_an_offer_of_a_websocket_is_not_taken_up(opened: socket.socket) -> None:
    offer = _NOBODY.replace(b"\r\n\r\n", b"\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
    opened.sendall(offer + b"\0")
    assert [status for status, _ in answers(opened)] == [404]


@pytest.mark.parametrize("hosts", ["", "Host: here\r\nHost: there\r\n"])
def test_a_request_names_one_host(opened: socket.socket, hosts: str) -> None:
    """RFC 9112, 3.2: "A server MUST respond with a 400 ... to any HTTP/1.1 request message that
    lacks a Host header field and to any request message that contains more than one"."""
    opened.sendall(f"GET /fhir/Patient/nobody HTTP/1.1\r\n{hosts}\r\n".encode() + b"\0")
    assert [status for status, _ in answers(opened)] == [400]
