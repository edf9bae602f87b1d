"""An export from the kick-off to its manifest."""

import time
from typing import Any

import httpx

ASYNC = {"Prefer": "respond-async"}


def kicked_off(client: httpx.Client, address: str = "/$export", **asked: str) -> str:
    """The address of the status."""
    kicked = client.get(address, params=asked, headers=ASYNC)
    assert kicked.status_code == 202, kicked.text
    return kicked.headers["content-location"]


def manifest_of(client: httpx.Client, status: str) -> dict[str, Any]:
    """The manifest, once the export is done."""
    end = time.monotonic() + 30
    while (answer := client.get(status)).status_code != 200:
        assert answer.status_code == 202, answer.text
        assert time.monotonic() < end, "the export does not end"
        time.sleep(0.05)
    found: dict[str, Any] = answer.json()
    return found


def exported(client: httpx.Client, address: str = "/$export", **asked: str) -> dict[str, Any]:
    """The manifest of an export of what is asked for."""
    return manifest_of(client, kicked_off(client, address, **asked))
