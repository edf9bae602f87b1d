"""JSON of another server: its keys, and what it tells of itself."""

from __future__ import annotations

import http.client
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from ehr_server import clock
from ehr_server.dialled import dialled
from ehr_server.errors import Invalid
from ehr_server.fhir import json

BYTES_MAX = 262_144
_TIMEOUT_S = 5  # without a byte
_WHOLE_S = 10


def is_safe(url: str) -> bool:
    """Whether what comes from there can be trusted to: https, or this very machine."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return False
    if parts.username is not None or not parts.hostname or parts.fragment:
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname))


def is_loopback(host: str) -> bool:
    """Whether a name or an address is this machine's own."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def json_at(url: str) -> Any:
    """What an address answers to GET. A redirect is not followed: it may lead anywhere.

    Raises OSError where nothing comes, ValueError for an address that is not safe and for what is
    no JSON of at most `BYTES_MAX`.
    """
    if not is_safe(url):
        raise ValueError("the address is not https")
    connection, target = dialled(url, _TIMEOUT_S)
    try:
        connection.request("GET", target, headers={"Accept": "application/json"})
        answer = connection.getresponse()
        body = _read(answer)
    except http.client.HTTPException as error:
        raise OSError(f"no HTTP comes from there: {type(error).__name__}") from None
    finally:
        connection.close()
    if answer.status != http.client.OK or len(body) > BYTES_MAX:
        raise ValueError(f"the answer is {answer.status} with {len(body)} bytes")
    try:
        return json.read(body)
    except Invalid:
        raise ValueError("the answer is no JSON") from None


def _read(answer: http.client.HTTPResponse) -> bytes:
    """The body, or a byte more of it than is taken. Raises OSError if it comes too slowly."""
    body, until_s = bytearray(), clock.ticks_s() + _WHOLE_S
    while len(body) <= BYTES_MAX and (piece := answer.read1(BYTES_MAX + 1 - len(body))):
        body += piece
        if clock.ticks_s() > until_s:
            raise OSError(f"it did not come in {_WHOLE_S} seconds")
    return bytes(body)
