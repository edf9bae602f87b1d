"""Exports carried out in this process, and the lines of their files."""

from __future__ import annotations

import gzip
import threading
from dataclasses import replace
from typing import TYPE_CHECKING

from ehr_server.jobs import worker
from inside import HERE, Inside, Told

if TYPE_CHECKING:
    from pathlib import Path

    from ehr_server.access.caller import Caller

_STEP_S = 0.05
_STEPS_MAX = 1_200


def exported(here: Inside, folder: Path, by: Caller, asked: str) -> dict[str, list[bytes]] | int:
    """By the name of a file its lines, sorted; the status where the export is refused."""
    settings = replace(here.dispatch.settings, export_dir=folder, processes=1)
    here = Inside(replace(here.dispatch, settings=settings))
    kicked = here.ask(by, asked, prefer="respond-async")
    if kicked.status != 202:
        return kicked.status
    told = _done(here, by, kicked.headers["Content-Location"])
    assert told.status == 200, told.body
    files = {}
    for one in (*told.resource["output"], *told.resource.get("deleted", ())):
        file = here.ask(by, f"GET {_path(one['url'])}")
        lines = gzip.decompress(file.body) if file.body[:2] == b"\x1f\x8b" else file.body
        files[one["url"].rpartition("/")[2]] = sorted(lines.splitlines())
    return files


def _done(here: Inside, by: Caller, address: str) -> Told:
    """The status once it is done, by a worker."""
    stop = threading.Event()
    thread = threading.Thread(target=worker.run, args=(here.store, here.dispatch.settings, stop))
    thread.start()
    try:
        for _ in range(_STEPS_MAX):
            told = here.ask(by, f"GET {_path(address)}")
            if told.status != 202:
                break
            stop.wait(_STEP_S)
        return told
    finally:
        stop.set()
        thread.join()


def _path(address: str) -> str:
    return address.removeprefix(f"{HERE}/")
