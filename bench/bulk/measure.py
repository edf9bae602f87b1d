"""All measurements of bulk data, in one run."""

from __future__ import annotations

import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from bulk import exports, imports
from bulk.record import served
from harness.server import serving

if TYPE_CHECKING:
    from bulk.figures import Moved

_IMPORTED_MAX = 200_000


@dataclass(slots=True)
class Measured:
    """The rows in their order; `start_s` is what `ehr-server export` takes that finds nothing."""

    postgresql: str = ""
    start_s: float = 0.0
    plain: list[Moved] = field(default_factory=list)  # the command, then COPY
    gzip: list[Moved] = field(default_factory=list)  # the command, then $export
    downloads: list[Moved] = field(default_factory=list)
    imports: list[Moved] = field(default_factory=list)  # the command, then COPY

    @property
    def rows(self) -> list[Moved]:
        return [*self.plain, *self.gzip, *self.downloads, *self.imports]


def measure(resources: int, keep: Path | None) -> Measured:
    """Of a record of so many resources or some more; imported are at most 200,000 of them."""
    measured = Measured()
    with served(resources, keep) as server:
        measured.postgresql = str(server.rows("show server_version")[0][0])
        with tempfile.TemporaryDirectory(prefix="ehr-bench-") as name:
            folder = Path(name)
            measured.start_s = exports.starting(server, folder / "nothing")
            plain = exports.to_folder(server, folder / "plain", "ehr-server export, plain")
            with exports.text_copy(server, folder / "plain") as url:
                exports.remove(folder / "plain")
                counted = (plain.resources, plain.size)
                copied = exports.copied(server, url, folder / "copied", counted)
                again = exports.to_folder(server, folder / "plain", plain.what)
            measured.plain = [again, copied]
            exports.remove(folder / "plain")
            what = "ehr-server export --gzip"
            gzip = exports.to_folder(server, folder / "gzip", what, "--gzip")
            exports.remove(folder / "gzip")
            asked, manifest = exports.in_the_background(server)
            measured.gzip = [gzip, asked]
            measured.downloads = [
                exports.downloaded(server, manifest, coding) for coding in ("gzip", "identity")
            ]
    print("exports measured", file=sys.stderr)
    with serving("--duplicates=off") as server:
        imported = imports.imported(server, min(resources, _IMPORTED_MAX))
        counted = (imported.resources, imported.size)
        measured.imports = [imported, imports.rows_copied(server, counted)]
    return measured
