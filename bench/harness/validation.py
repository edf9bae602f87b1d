"""What validation and terminology cost, in this process: no server, no network, no disk.

Times are processor time, the least of several rounds. Items are as `fhir.json.read` makes them.
"""

from __future__ import annotations

import gc
import multiprocessing
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from ehr_server.definitions.catalog import Catalog, artifact, shipped
from ehr_server.fhir import json
from ehr_server.terminology import Terminology
from ehr_server.terminology.listing import Wish, expanded
from ehr_server.validation.gate import Gate
from ehr_server.validation.policy import Policy
from ehr_server.validation.profiles.around import Around, of_bundle
from ehr_server.validation.profiles.compile import HeldProfile
from ehr_server.validation.rulebook import Rulebook

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from multiprocessing.connection import Connection

    from harness.inputs import Source

Resource = dict[str, Any]
Item = tuple[Resource, Around]
T = TypeVar("T")

HEADINGS = ("what", "of", "target", "measured", "µs CPU", "of the standard alone")

_TARGETS = {"Patient": 60_000, "Encounter": 200_000, "Observation": 200_000}  # per second and core
_ITEMS_MAX = 60  # few enough for the cache, where what was just read is too
_BUNDLE_BYTES = 1_000_000
_LIST_CODES = 15_000
_LIST = "http://example.org/fhir/ValueSet/diseases"
_SYSTEM = "http://example.org/fhir/CodeSystem/diseases"
_MISTAKES: dict[str, Resource] = {
    "Patient": {"gender": "x", "birthDate": "1990-13-01", "multipleBirthInteger": "1"},
    "Observation": {"status": "done", "effectiveDateTime": "yesterday", "issued": "2026-01-01"},
}


@dataclass(frozen=True, slots=True)
class Cost:
    """What one item costs, in seconds of processor time; `alone_s` with the standard only."""

    what: str
    of: str
    target: str
    cpu_s: float
    unit: str = "/s"  # or "ms"
    alone_s: float | None = None

    def row(self) -> tuple[str, ...]:
        rate = f"{1 / self.cpu_s:,.0f}/s"
        measured = rate if self.unit == "/s" else f"{self.cpu_s * 1e3:,.3f} ms"
        ratio = "" if self.alone_s is None else f"x {self.cpu_s / self.alone_s:.2f}"
        return self.what, self.of, self.target, measured, f"{self.cpu_s * 1e6:,.1f}", ratio


@dataclass(slots=True)
class Costs:
    """All rows, and what else is told: counts, megabytes, milliseconds."""

    rows: list[Cost] = field(default_factory=list)
    facts: dict[str, float] = field(default_factory=dict)


def costs(sources: Sequence[Source], rounds: int = 7) -> Costs:
    """Measures on each of the sources; the last one makes the Bundle and the refusals."""
    found = Costs(facts=first_use(sources[-1]))
    for source in sources:
        found.rows += _of_types(source, rounds)
    found.rows += [*_bundle(sources[-1], rounds), *_refusals(sources[-1], rounds)]
    found.rows += _terminology(rounds)
    return found


def least(items: Sequence[T], rounds: int, *acts: Callable[[T], object]) -> list[float]:
    """Seconds of processor time that each of the acts takes for one item in its best round.

    A round lasts about 50 ms. The acts take turns, so that what else the machine does slows all.
    """
    turns = []
    for act in acts:
        _round(act, items, 1)  # compiles what it needs
        turns.append(max(1, round(0.05 / max(_round(act, items, 1) * len(items), 1e-6))))
    times = [
        [_round(act, items, count) for act, count in zip(acts, turns, strict=True)]
        for _ in range(rounds)
    ]
    return [min(of_act) for of_act in zip(*times, strict=True)]


def _round(act: Callable[[T], object], items: Sequence[T], turns: int) -> float:
    start = time.process_time()
    for _ in range(turns):
        for item in items:
            act(item)
    return (time.process_time() - start) / (turns * len(items))


def first_use(source: Source) -> dict[str, float]:
    """What a fresh process pays: compiled beforehand, the first Patient, all types in memory."""
    context = multiprocessing.get_context("spawn")  # nothing is compiled or kept there yet
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_first_use, args=(source, theirs))
    process.start()
    theirs.close()
    try:
        found: dict[str, float] = ours.recv()
    finally:
        process.join()
    return found


def _first_use(source: Source, results: Connection) -> None:
    items = _items(source)
    gc.collect()
    before, start = _resident_mb(), time.process_time()
    rulebook = Rulebook()
    made = time.process_time()
    compiled = _compiled()
    begin = time.process_time()
    resource, around = items["Patient"][0]
    rulebook.check(resource, around=around)
    first = time.process_time()
    for item in (one for several in items.values() for one in several[:_ITEMS_MAX]):
        rulebook.check(item[0], around=item[1])
    gc.collect()
    results.send(
        {
            "profiles compiled at the start": compiled,
            "rulebook made, ms": (made - start) * 1e3,
            "first Patient, ms": (first - begin) * 1e3,
            "types validated": len(items),
            "profiles compiled by then": _compiled(),
            "memory before, MB": before,
            "memory after, MB": _resident_mb(),
        }
    )


def _compiled() -> int:
    """How many profiles of this process are made into closures and schemas."""
    held = (one for one in gc.get_objects() if isinstance(one, HeldProfile))
    return sum(bool(one._quick or one._checks) for one in held)


def _resident_mb() -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    kilobytes = next(line for line in lines if line.startswith("VmRSS:")).split()[1]
    return int(kilobytes) / 1e3


def _items(source: Source) -> dict[str, list[Item]]:
    """By type the resources of the source, each with the Bundle around it."""
    found: dict[str, list[Item]] = {}
    for sent in source.bundles:
        bundle = json.read(sent)
        around = of_bundle(bundle)
        for entry in bundle["entry"]:
            resource = entry["resource"]
            several = found.setdefault(resource["resourceType"], [])
            if len(several) < _ITEMS_MAX:
                several.append((resource, around))
    return found


def _of_types(source: Source, rounds: int) -> list[Cost]:
    found = []
    items, rulebook, standard = _items(source), Rulebook(), Gate()
    for name, target in _TARGETS.items():
        alone, whole = least(
            items[name],
            rounds,
            lambda item: standard.is_valid(item[0]),
            lambda item: rulebook.check(item[0], around=item[1]),
        )
        of, wanted = f"{source.name} {name}", f"{target:,}/s"
        found.append(Cost("gate of the standard", of, wanted, alone))
        found.append(Cost("with its local profiles", of, "", whole, alone_s=alone))
    return found


def _bundle(source: Source, rounds: int) -> list[Cost]:
    """Read and checked entry by entry, as a transaction of about 1 MB is."""
    rulebook, standard = Rulebook(), Gate()
    entries: list[Resource] = []
    size = 0
    for sent in source.bundles:
        if size < _BUNDLE_BYTES:
            entries += json.read(sent)["entry"]
            size += len(sent)
    sent = json.write({"resourceType": "Bundle", "type": "transaction", "entry": entries})

    def read_and_pass(body: bytes) -> None:
        for entry in json.read(body)["entry"]:
            standard.is_valid(entry["resource"])

    def read_and_check(body: bytes) -> None:
        bundle = json.read(body)
        around = of_bundle(bundle)
        for entry in bundle["entry"]:
            rulebook.check(entry["resource"], around=around)

    of = f"{len(entries):,} resources, {len(sent) / 1e6:.2f} MB"
    alone, whole = least([sent], rounds, read_and_pass, read_and_check)
    return [
        Cost("transaction read, gate of the standard", of, "6 ms", alone, "ms"),
        Cost("with its local profiles", of, "", whole, "ms", alone),
    ]


def _refusals(source: Source, rounds: int) -> list[Cost]:
    """Three mistakes each, found and told."""
    rulebook, items = Rulebook(policy=Policy(profiles={"*": "reject"})), _items(source)
    found = []
    for name, mistakes in _MISTAKES.items():
        bad = [({**one, **mistakes}, around) for one, around in items[name][:30]]
        (cpu_s,) = least(bad, rounds, lambda item: rulebook.check(item[0], around=item[1]))
        count = min(len(rulebook.check(resource, around=around)) for resource, around in bad)
        found.append(Cost(f"refusal with {count} issues", name, "0.5 ms", cpu_s, "ms"))
    return found


def _terminology(rounds: int) -> list[Cost]:
    terminology = Terminology(_with_a_long_list(shipped()))
    codes = [f"C{number:05d}" for number in range(0, _LIST_CODES, 50)]
    (has,) = least(codes, rounds, lambda code: terminology.has(_LIST, _SYSTEM, code))
    wish = Wish(filter="khong bien chung 7", count=20)
    (page,) = least([wish], rounds, lambda one: expanded(terminology.groups(_LIST), one))
    of = f"{_LIST_CODES:,} codes"
    return [
        Cost("is a code in a value set", of, "", has),
        Cost("$expand: words, first page of 20", of, "", page, "ms"),
    ]


def _with_a_long_list(catalog: Catalog) -> Catalog:
    concept = [
        {"code": f"C{number:05d}", "display": f"Bệnh số {number} không biến chứng {number % 97}"}
        for number in range(_LIST_CODES)
    ]
    system = {
        "resourceType": "CodeSystem", "url": _SYSTEM, "status": "active", "content": "complete",
        "caseSensitive": True, "concept": concept,
    }  # fmt: skip
    value_set = {
        "resourceType": "ValueSet", "url": _LIST, "status": "active",
        "compose": {"include": [{"system": _SYSTEM}]},
    }  # fmt: skip
    package = "example.diseases#1"
    return catalog.plus(package, [artifact(one, package) for one in (system, value_set)])
