"""The figures of bulk data as tables, and as the page of the reference."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from bulk.figures import HEADINGS, Goal
from harness.figures import table

if TYPE_CHECKING:
    from bulk.measure import Measured

_GOAL_HEADINGS = ("goal", "wanted", "found", "")


def goals(measured: Measured) -> list[Goal]:
    """What is asked of bulk data, beside what was found. Rates of the export command are without
    its start."""
    (plain, copied), (gzip, asked) = measured.plain, measured.gzip
    imported, rows = measured.imports
    start = measured.start_s
    # Of little data nearly all is the start, which is not the same twice.
    plain_rate, gzip_rate = (
        one.resources / max(one.wall_s - start, one.wall_s / 10) for one in (plain, gzip)
    )
    most = max(one.memory for one in measured.rows) / 1e6
    return [
        Goal("export, plain", 200_000, plain_rate, "resources/s"),
        Goal("export, gzip", 100_000, gzip_rate, "resources/s"),
        Goal("$export, gzip", 100_000, asked.rate, "resources/s"),
        Goal("export, plain, of COPY", 60, 100 * plain_rate / copied.rate, "%"),
        Goal("import", 10_000, imported.rate, "resources/s"),
        Goal("import, of COPY", 100 / 3, 100 * imported.rate / rows.rate, "%"),
        Goal("memory", 400, most, "MB", is_most=True),
    ]


def section(measured: Measured) -> str:
    """Both tables."""
    plain, imported = measured.plain[0], measured.imports[0]
    told = (
        f"{plain.resources:,} resources of {plain.size / plain.resources:,.0f} bytes go out,"
        f" {imported.resources:,} come in. `ehr-server export` takes {measured.start_s:.1f} s to"
        " start and to find nothing: its goals are told without that, the rows above with it."
    )
    return "\n\n".join(
        (
            "## Bulk data",
            table(HEADINGS, [one.row() for one in measured.rows]),
            told,
            table(_GOAL_HEADINGS, [one.row() for one in goals(measured)]),
        )
    )


def page(text: str, facts: str) -> str:
    """The whole page; `facts` tells of the machine."""
    return "\n\n".join((_HEAD, facts, text)) + "\n"


def figures(measured: Measured) -> dict[str, Any]:
    """All of it, to be kept as JSON."""
    return asdict(measured)


_HEAD = """\
# Bulk data: how quickly records go out and come in

Made by `python -m bench --bulk --resources 1000000 --page`: a real server with the embedded
PostgreSQL and all defaults, which holds residents of a campaign with their yearly checkups.

- **export** is the command, plain or with `--gzip`; **$export** is measured from the kick-off to
  the manifest. All bring their files to the disk (fsync) and write digests.
- **COPY of the same as text** is `COPY (select content from resource) TO STDOUT` of a table in the
  same PostgreSQL that holds the very lines of the plain export, not compressed, written by psql to
  a file and brought to the disk.
- **download** is every file over HTTP, from one client that throws it away.
- **import** is the command on NDJSON of an empty database; **COPY of its rows** puts every row it
  made, of all tables, into the same tables, empty and with all their indexes, by binary COPY, over
  as many connections as there are processors.
- **µs** are processor time of a resource; of COPY the first column is the client's. **Memory** is
  the sum of the proportional sets (PSS) of the command's processes, or of all of the server's,
  PostgreSQL's apart, the most of ten looks a second. **MB** are of NDJSON before compression.
- Client, server and PostgreSQL share the machine. Compare within a run."""
