"""The record that is exported, and the files that are imported: residents of a campaign."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ehr_server.fhir import json
from ehr_server.store.embedded import running
from growth.database import administering, quick, shape
from growth.load import load
from growth.record import Part, places, records
from harness.server import folder_of, serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import BinaryIO

    from harness.server import Server

_OF_RESIDENT = 57  # resources, or a few more
_PROCESSES = 2


@contextmanager
def served(resources: int, keep: Path | None) -> Iterator[Server]:
    """A server that holds so many resources or some more, loaded where the folder to keep has
    none of this shape: by the server's own code for rows, without HTTP and validation."""
    folder = None if keep is None else keep / f"bulk-{shape()}-{resources}"
    with folder_of(folder) as place, serving("--duplicates=off", keep=place) as server:
        mark = place / "loaded"
        if not mark.exists():
            url = url_of(server)
            with quick(administering(url)):
                found = load(url, Part(0, _residents(resources)), _PROCESSES)
            server.rows("checkpoint")
            mark.touch()
            told = f"{found.resources:,} resources loaded in {found.wall_s:,.0f} s"
            print(told, file=sys.stderr)
        yield server


def url_of(server: Server) -> str:
    """The URL of the server's database."""
    url = running(server.data_dir)
    if url is None:
        raise RuntimeError("the server's PostgreSQL does not run")
    return url


def write_files(resources: int, folder: Path) -> tuple[int, int]:
    """So many resources or some more as NDJSON, a file for each type, into a folder that is there;
    how many, and their bytes. All that they refer to is among them."""
    files: dict[str, BinaryIO] = {}
    count = size = 0
    try:
        for found in (
            places(),
            *(one.resources for one in records(Part(0, _residents(resources)))),
        ):
            for resource in found:
                name = resource["resourceType"]
                if name not in files:
                    files[name] = (folder / f"{name}.ndjson").open("wb")
                line = json.write(resource) + b"\n"
                files[name].write(line)
                count += 1
                size += len(line)
    finally:
        for file in files.values():
            file.close()
    return count, size


def _residents(resources: int) -> int:
    return max(1, -(-resources // _OF_RESIDENT))
