"""A server that holds so many residents, and those who have not come yet."""

from __future__ import annotations

import shutil
import sys
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any

import psycopg

from campaign import residents
from ehr_server.fhir import json
from ehr_server.store import duplicates
from ehr_server.store.embedded import running
from growth.database import administering, built_last, quick, shape
from growth.load import Loaded, load
from growth.record import Part
from harness.server import folder_of, serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from campaign import Resident
    from harness.server import Server

SEED = 1
VISITS = 20  # of every so-many-th resident a short checkup is there
PROCESSES = 2
_GRAMS = "string_grams"  # the index that takes longest to keep, that of the parts of names
_KNOWN = 2_000  # residents who are asked for


@dataclass(slots=True)
class Town:
    """`size` residents are there; `known` are some of them, with both cards.

    `fresh` yields people of whom nothing was sent yet; in a kept town not in earlier runs either.
    """

    server: Server
    size: int
    loaded: Loaded
    known: list[Resident] = field(default_factory=list)
    _strangers: Iterator[Resident] = field(default_factory=lambda: iter(()))
    taken: int = 0

    def fresh(self, count: int) -> list[Resident]:
        """So many people whom the server does not know."""
        self.taken += count
        return list(islice(self._strangers, count))

    def meet(self, met: int) -> None:
        """Walks through everyone once; `met` of those who come after are known from earlier."""
        step = max(1, self.size // _KNOWN)
        everyone = residents(10 * self.size + 1_000_000, SEED)
        for resident in islice(everyone, self.size):
            if resident.number % step == 0 and resident.cccd is not None:
                self.known.append(resident)
        self._strangers = islice((one for one in everyone if one.cccd is not None), met, None)


@contextmanager
def town(size: int, keep: Path | None = None) -> Iterator[Town]:
    """The town of so many residents, loaded where the folder to keep has none of this shape."""
    kept = None if keep is None else keep / f"{size}"
    written = {} if kept is None else _kept(kept)
    with folder_of(kept) as folder:
        loaded = Loaded(**written["loaded"]) if written else _load(folder, size)
        with serving(keep=folder) as server:
            found = Town(server, size, loaded)
            found.meet(written.get("met", 0))
            try:
                yield found
            finally:
                met = written.get("met", 0) + found.taken
                told = {"shape": shape(), "loaded": asdict(loaded), "met": met}
                (folder / "town.json").write_bytes(json.write_pretty(told))


def _load(folder: Path, size: int) -> Loaded:
    """Everyone was looked for among all others already, as in a town where people live: the search
    for duplicates would be busy for long."""
    with serving("--duplicates=off", keep=folder) as server:
        url = running(server.data_dir)
        if url is None:
            raise RuntimeError("the server's PostgreSQL does not run")
        with quick(administering(url)), built_last(url, _GRAMS):
            loaded = load(url, Part(0, size, SEED, visits=VISITS), PROCESSES)
        look_over(url)
        server.rows("checkpoint")
    print(f"{size:,} residents loaded in {loaded.wall_s:,.0f} s", file=sys.stderr)
    return loaded


def look_over(url: str) -> None:
    """Note that no Patient waits to be looked for among all others."""
    with psycopg.connect(url) as connection:
        newest = "select tx, key from version_patient order by tx desc, key desc limit 1"
        row = connection.execute(newest).fetchone()
        if row is not None:
            duplicates.set_until(connection, (row[0], row[1]))


def _kept(folder: Path) -> dict[str, Any]:
    """What an earlier run left; empty, and the folder gone, where it is of another shape."""
    try:
        written: dict[str, Any] = json.read_own((folder / "town.json").read_bytes())
    except FileNotFoundError:
        written = {}
    if written.get("shape") == shape():
        return written
    shutil.rmtree(folder, ignore_errors=True)
    return {}
