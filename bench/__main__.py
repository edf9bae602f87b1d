"""Measures the server: `make bench`, or `python -m bench [--quick]`.

`python -m bench --search --scales 1000,8000,64000 --keep DIR` measures search alone, while the
record grows; `python -m bench --identity --residents 100000 --keep DIR` how people are found by
their numbers, and `--matching` how by all else; `--bulk` exports and imports; `--noisy` what one
client's flood does to another; `--at-rest` what encryption costs.

Starts real servers with the embedded PostgreSQL in temporary folders, loads the Bundles of
../shared/data (where they lie beside the checkout) and a made-up campaign, asks, and exports.
Then measures validation and terminology in this process. Prints tables; saves them as markdown and
the figures as JSON in bench/results.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).parent))  # for `python -m bench` from the root

from bulk import report as bulk_report
from bulk.measure import measure as bulk_measure
from ehr_server.fhir import json
from growth import report as search_report
from growth.curve import curve, data_folder
from growth.measure import Time
from harness import (
    admission,
    at_rest,
    binaries,
    guarding,
    inputs,
    noisy,
    validation,
    writes,
)
from harness.figures import HEADINGS, table
from harness.machine import machine
from harness.measure import measure
from identity import matching
from identity import report as identity_report
from identity.measure import measure as identity_measure

if TYPE_CHECKING:
    from growth.report import Curve
    from harness.inputs import Source
    from harness.measure import Report
    from harness.validation import Costs

_REFERENCE = Path(__file__).parents[1] / "docs" / "reference"
PAGE, IDENTITY_PAGE = _REFERENCE / "search-curve.md", _REFERENCE / "identity-figures.md"
MATCHING_PAGE = _REFERENCE / "matching.md"
BULK_PAGE = _REFERENCE / "bulk-figures.md"
RESULTS = Path(__file__).parent / "results"


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="under a minute, on less data")
    parser.add_argument("--only", choices=("synthea", "campaign"), help="one source alone")
    parser.add_argument(
        "--validation", action="store_true", help="validation and terminology alone, no server"
    )
    _alone_options(parser)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = machine(Path(folder))
    if float(found["load before"]) > 1:
        print(
            "The machine is busy: rates and latencies will be worse than its own.", file=sys.stderr
        )
    if options.search:
        _search(options, found)
    elif options.identity:
        _identity(options, found)
    elif options.matching:
        _matching(options, found)
    elif options.at_rest:
        text = "\n\n".join((_facts("Machine", found), at_rest.section(options.quick)))
        print(text)
        _save(text, {"machine": found})
    elif options.bulk:
        _bulk(options, found)
    elif options.noisy:
        _noisy(options, found)
    elif options.access:
        print(guarding.section(options.quick))
    else:
        _everything(options, found)


def _alone_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--search", action="store_true", help="search alone, at several sizes")
    parser.add_argument(
        "--scales", type=_scales, default=(1000, 8000), help="residents, such as 1000,8000,64000"
    )
    parser.add_argument("--identity", action="store_true", help="people and their numbers alone")
    parser.add_argument(
        "--matching", action="store_true", help="people told apart by $match, no server"
    )
    parser.add_argument(
        "--residents", type=_scales, default=(100_000,), help="of either: 100000,1000000"
    )
    parser.add_argument("--access", action="store_true", help="what access costs alone")
    parser.add_argument("--bulk", action="store_true", help="exports and imports alone")
    parser.add_argument("--noisy", action="store_true", help="one client beside a noisy one alone")
    parser.add_argument("--resources", type=int, default=1_000_000, help="of --bulk: how many")
    parser.add_argument("--at-rest", action="store_true", help="encryption at rest alone")
    parser.add_argument("--keep", type=Path, help="folder for the databases of what is alone")
    parser.add_argument("--page", action="store_true", help="write the page of the reference")


def _scales(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(","))


def _search(options: argparse.Namespace, found: dict[str, str]) -> None:
    limit = Time(50, 1.0) if options.quick else Time()
    measured = curve(options.scales, options.keep, limit)
    found["PostgreSQL"] = measured.postgresql
    text = "\n\n".join((_facts("Machine", found), search_report.section(measured)))
    print(text)
    if options.page:
        page = search_report.page(measured, _facts("Machine", found))
        PAGE.write_text(page, encoding="utf-8")
        print(f"written: {PAGE}", file=sys.stderr)
    _save(text, {"machine": found, "search": search_report.figures(measured)})


def _identity(options: argparse.Namespace, found: dict[str, str]) -> None:
    towns = [
        identity_measure(size, options.keep, is_quick=options.quick) for size in options.residents
    ]
    found["PostgreSQL"] = towns[0].postgresql
    sections = [identity_report.section(one) for one in towns]
    text = "\n\n".join((_facts("Machine", found), *sections))
    print(text)
    if options.page:
        written = identity_report.page(sections, _facts("Machine", found))
        IDENTITY_PAGE.write_text(written, encoding="utf-8")
        print(f"written: {IDENTITY_PAGE}", file=sys.stderr)
    _save(text, {"machine": found, "identity": [identity_report.figures(one) for one in towns]})


def _bulk(options: argparse.Namespace, found: dict[str, str]) -> None:
    resources = min(options.resources, _BULK_QUICK) if options.quick else options.resources
    measured = bulk_measure(resources, options.keep)
    found["PostgreSQL"] = measured.postgresql
    text = bulk_report.section(measured)
    print(f"{_facts('Machine', found)}\n\n{text}")
    if options.page:
        BULK_PAGE.write_text(bulk_report.page(text, _facts("Machine", found)), encoding="utf-8")
        print(f"written: {BULK_PAGE}", file=sys.stderr)
    _save(text, {"machine": found, "bulk": bulk_report.figures(measured)})


_BULK_QUICK = 20_000  # resources


def _noisy(options: argparse.Namespace, found: dict[str, str]) -> None:
    rows = noisy.measure(5.0 if options.quick else 15.0)
    text = f"{_facts('Machine', found)}\n\n{noisy.section(rows)}"
    print(text)
    _save(text, {"machine": found, "noisy": noisy.figures(rows)})


def _matching(options: argparse.Namespace, found: dict[str, str]) -> None:
    towns = []
    for size in options.residents:
        keep = None if options.keep is None else options.keep / f"matching-{size}"
        with data_folder(keep) as folder:
            towns.append(matching.measure(size, folder))
    text = "\n\n".join((_facts("Machine", found), *map(matching.section, towns)))
    print(text)
    if options.page:
        MATCHING_PAGE.write_text(matching.page(text), encoding="utf-8")
        print(f"written: {MATCHING_PAGE}", file=sys.stderr)
    _save(text, {"machine": found, "matching": list(map(matching.figures, towns))})


def _everything(options: argparse.Namespace, found: dict[str, str]) -> None:
    sources = _sources(options.quick, options.only)
    reports = [
        measure(source, 1.0 if options.quick else 3.0, 0 if options.quick else source.again)
        for source in (() if options.validation else sources)
    ]
    rounds = 3 if options.quick else 7
    costs = validation.costs(sources, rounds)
    costs.rows += admission.costs(rounds)
    sections = [*(_section(report) for report in reports), _costs_section(costs)]
    made: dict[str, Any] = {"machine": found, "reports": [asdict(one) for one in reports]}
    if reports:
        found["PostgreSQL"] = reports[0].postgresql
        measured = _small_curve(options.quick)
        sections.append(search_report.section(measured))
        sections.append(binaries.section(options.quick))
        sections.append(writes.section(options.quick))
        sections.append(at_rest.section(options.quick))
        sections.append(guarding.section(options.quick))
        made["search"] = search_report.figures(measured)
    text = "\n\n".join((_facts("Machine", found), *sections))
    print(text)
    _save(text, {**made, "validation": asdict(costs)})


def _small_curve(is_quick: bool) -> Curve:
    """Enough to see that answers are exact; that search stays flat is seen on more."""
    scales, limit = ((60, 240), Time(10, 0.1)) if is_quick else ((250, 1000), Time(50, 0.5))
    return curve(scales, None, limit)


def _sources(is_quick: bool, only: str | None) -> list[Source]:
    found = []
    if only != "campaign":
        shared = inputs.synthea(20 if is_quick else 100)
        if shared is None:
            print(f"{inputs.SYNTHEA} is absent: measured on the campaign alone", file=sys.stderr)
        else:
            found.append(shared)
    if only != "synthea":
        found.append(inputs.campaign(60 if is_quick else 600))
    return found


def _section(report: Report) -> str:
    facts = _told(report.facts)
    largest = sorted(report.table_bytes.items(), key=lambda item: -item[1])[:6]
    loaded = report.facts["resources"]
    facts["of these bytes"] = ", ".join(f"{name} {size / loaded:,.0f}" for name, size in largest)
    rows = table(HEADINGS, [row.row() for row in report.rows])
    return f"### {report.source}\n\n{rows}\n\n" + _facts("Also", facts)


def _costs_section(costs: Costs) -> str:
    rows = table(validation.HEADINGS, [row.row() for row in costs.rows])
    return f"### Validation and terminology\n\n{rows}\n\n" + _facts("Also", _told(costs.facts))


def _told(facts: dict[str, float]) -> dict[str, str]:
    return {name: f"{value:,.1f}".removesuffix(".0") for name, value in facts.items()}


def _facts(title: str, facts: dict[str, str]) -> str:
    return f"{title}: " + "; ".join(f"{name} {value}" for name, value in facts.items()) + "."


def _save(text: str, found: dict[str, Any]) -> None:
    now = datetime.now(UTC)
    RESULTS.mkdir(exist_ok=True)
    name = f"{now:%Y%m%dT%H%M%SZ}"
    (RESULTS / f"{name}.md").write_text(text + "\n", encoding="utf-8")
    made = {**found, "at": now.isoformat()}
    (RESULTS / f"{name}.json").write_bytes(json.write_pretty(made))
    print(f"saved in {RESULTS / name}.json and .md", file=sys.stderr)


if __name__ == "__main__":
    main()
