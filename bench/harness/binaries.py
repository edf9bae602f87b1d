"""Large content: how fast it comes and goes, and how much memory that takes."""

from __future__ import annotations

import http.client
import time
from contextlib import closing
from typing import TYPE_CHECKING

from ehr_server.fhir import json
from harness.client import Outcome
from harness.figures import HEADINGS, Figures, figures, table
from harness.processes import peak_memory, usage
from harness.server import Server, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

_BLOCK_BYTES = 1 << 20
_MB = 1_000_000


def section(is_quick: bool) -> str:
    """Upload and download of one content on a fresh server, as a section of the report."""
    size = 32 * _BLOCK_BYTES if is_quick else 256 * _BLOCK_BYTES
    with serving("--workers=1") as server:
        _up(server, _BLOCK_BYTES)
        before = peak_memory(server.pid)[0]
        rows = [_timed(server, "upload of a Binary", size)]
        for accept in ("application/dicom", "application/fhir+json"):
            rows.append(_timed(server, f"download as {accept}", size, accept))
        grown = (peak_memory(server.pid)[0] - before) / _MB
    text = table(HEADINGS, [row.row() for row in rows])
    return f"### Binary of {size / _MB:.0f} MB\n\n{text}\n\nPeak memory grew by {grown:.1f} MB."


def _timed(server: Server, what: str, size: int, accept: str | None = None) -> Figures:
    before, start = usage(server.pid), time.perf_counter()
    if accept is None:
        _up(server, size)
    else:
        _down(server, accept)
    wall_s = time.perf_counter() - start
    outcome = Outcome(wall_s=wall_s, latencies=[wall_s])
    return figures(what, 1, (size // _MB, "MB"), outcome, usage(server.pid) - before)


def _up(server: Server, size: int) -> None:
    """PUT of a content of so many bytes; the parts are not compressed, whatever they are."""
    block = json.write(list(range(400_000)))[:_BLOCK_BYTES]

    def blocks() -> Iterator[bytes]:
        for _ in range(size // _BLOCK_BYTES):
            yield block

    headers = {"Content-Type": "application/dicom", "Content-Length": str(size)}
    with closing(http.client.HTTPConnection(*server.address)) as link:
        link.request("PUT", "/fhir/Binary/bench", body=blocks(), headers=headers)
        answer = link.getresponse()
        answer.read()
    if answer.status not in (200, 201):
        raise RuntimeError(f"the upload was answered {answer.status}")


def _down(server: Server, accept: str) -> None:
    with closing(http.client.HTTPConnection(*server.address)) as link:
        link.request("GET", "/fhir/Binary/bench", headers={"Accept": accept})
        answer = link.getresponse()
        while answer.read(_BLOCK_BYTES):
            pass
    if answer.status != 200:
        raise RuntimeError(f"the download was answered {answer.status}")
