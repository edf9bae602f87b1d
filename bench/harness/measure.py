"""The measurements of one source of Bundles on a fresh server."""

from __future__ import annotations

import http.client
import time
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ehr_server.definitions import definitions
from harness import backup, client, exporting, inputs, record
from harness.client import Load, Outcome, Refused
from harness.figures import Figures, figures
from harness.measured import measured
from harness.processes import Usage, peak_memory, usage
from harness.server import Server, serving

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.inputs import Source, Stored

_SIDE_ROWS = """
select count(*)::bigint from {table} join resource using (comp, key) where resource.type = {type}
"""


@dataclass(slots=True)
class Report:
    """All figures of one source."""

    source: str
    postgresql: str
    rows: list[Figures] = field(default_factory=list)
    facts: dict[str, float] = field(default_factory=dict)
    table_bytes: dict[str, int] = field(default_factory=dict)


def measure(source: Source, seconds: float, again: int = 0) -> Report:
    """Loads a source into a fresh server, then asks; each question for so many seconds.

    Before the export it is loaded `again` so many times, under new ids: an export of seconds
    tells more than one of a moment.
    """
    with serving() as server:
        report = Report(source.name, str(server.rows("show server_version")[0][0]))
        stored = inputs.Stored()
        loaded = _ingest(server, source, stored, report)
        server.rows("analyze")
        report.table_bytes = server.table_bytes()
        total = sum(report.table_bytes.values())
        report.facts |= {
            "resources": loaded,
            "disk bytes per resource": total / loaded,
            "side rows per Observation": _side_rows(server) / len(stored.codes),
        }
        questions: list[tuple[str, Callable[[Stored, str], list[bytes]]]] = [
            ("read by id", inputs.reads),
            ("Patient?identifier=", inputs.identifier_searches),
            ("Observation?patient=&code=&_sort=-date&_count=10", inputs.newest_searches),
            ("create one Observation", inputs.creates),
        ]
        for what, requests in questions:
            asked = requests(stored, server.name)
            client.run(Load(server.address, asked[:200], connections=4))  # warm every process
            for connections in (1, 8):
                load = Load(server.address, asked, connections, seconds)
                unit = "creates" if what.startswith("create") else "requests"
                report.rows.append(measured(server, what, load, (1, unit)))
        report.rows += record.rows(server, seconds)
        for _ in range(again):
            _load(server, source, inputs.Stored(), range(len(source.sizes())), 4)
        _export(server, report)
        report.facts |= backup.rates(server).facts()
        peaks = peak_memory(server.pid)
        report.facts["peak memory of the largest server process, MB"] = peaks[0] / 1e6
        report.facts["peak memory of all server processes, MB"] = sum(peaks) / 1e6
    return report


def _side_rows(server: Server) -> int:
    """How many rows of strings, quantities and dates the Observations have."""
    number = definitions().type_number["Observation"]
    counts = (
        server.rows(_SIDE_ROWS.format(table=table, type=number))[0][0]
        for table in ("string", "quantity", "date")
    )
    return sum(int(str(count)) for count in counts)


def _ingest(server: Server, source: Source, stored: Stored, report: Report) -> int:
    """Loads a tenth to warm up, then a third of the rest over 1, 2 and 4 connections each."""
    sizes = source.sizes()
    warm = max(source.first, len(sizes) // 10)
    _load(server, source, stored, range(source.first), 1)
    _load(server, source, stored, range(source.first, warm), 4)
    for part, connections in enumerate((1, 2, 4)):
        chosen = range(warm + part, len(sizes), 3)
        before = usage(server.pid)
        outcome = _load(server, source, stored, chosen, connections)
        used = usage(server.pid) - before
        counted = (sum(sizes[number] for number in chosen), "resources")
        report.rows.append(figures("transaction", connections, counted, outcome, used))
    return sum(sizes)


def _load(
    server: Server, source: Source, stored: Stored, chosen: range, connections: int
) -> Outcome:
    bundles = [source.bundles[number] for number in chosen]
    sent = inputs.transactions(bundles, server.name)
    outcome = client.good(Load(server.address, sent, connections, keep=True))
    for number, body in outcome.bodies.items():
        stored.learn(bundles[number], body)
    return outcome


def _export(server: Server, report: Report) -> None:
    """One export of everything: until the manifest is there; then the downloads."""
    before, start = usage(server.pid), time.perf_counter()
    manifest = exporting.manifest(server)
    exported = sum(part["count"] for part in manifest["output"])
    report.rows.append(_once(server, "$export", before, start, exported))
    before, start = usage(server.pid), time.perf_counter()
    lines = sum(_download(server, part["url"]) for part in manifest["output"])
    report.rows.append(_once(server, "download of its files", before, start, lines))
    if lines != exported:
        raise Refused(f"the manifest counts {exported} resources, the files hold {lines}")
    report.facts["resources exported"] = lines


def _once(server: Server, what: str, before: Usage, start: float, count: int) -> Figures:
    wall_s = time.perf_counter() - start
    outcome = Outcome(wall_s=wall_s, latencies=[wall_s])
    return figures(what, 1, (count, "resources"), outcome, usage(server.pid) - before)


def _download(server: Server, url: str) -> int:
    with closing(http.client.HTTPConnection(*server.address)) as link:
        link.request("GET", exporting.path(url))
        answer = link.getresponse()
        lines = 0
        while block := answer.read(1 << 20):
            lines += block.count(b"\n")
    if answer.status != 200:
        raise Refused(f"{url}: {answer.status}")
    return lines
