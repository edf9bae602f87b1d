"""Trains the starter dictionary of zstd, `src/ehr_server/store/dictionary_1.zdict`.

    PYTHONPATH=bench python tools/make_dictionary.py --cache cache [--held-out FOLDER]

It learns from the official R4 examples (npm, CC0) and from a campaign, never from real records.
What it sees has the shape of what is stored: compact JSON that begins with type, id and meta, and
references to ids of the server's making. Equal input and an equal zstd make equal bytes. Contents
stand in databases compressed with the committed file: a better one takes the next number.

`--held-out` names a folder of transaction Bundles (.json.gz) to measure on, never to learn from.
"""

from __future__ import annotations

import argparse
import gzip
import time
from collections import defaultdict
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

import zstandard

from campaign import Plan, bundles
from ehr_server.fhir import json
from make_definitions import EXAMPLES, package, resources

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

DICTIONARY = Path(__file__).parent.parent / "src" / "ehr_server" / "store" / "dictionary_1.zdict"
SIZE = 114_688
LEVEL = 3  # of the store

_SEGMENT = 1024  # long segments keep whole resources together: 4.1 against 3.9 with 64
_SAMPLE_MAX = 3_000  # characters of one sample, so that no large example outweighs the others
_WEIGHT = 3  # of the official examples against the campaign, which repeats itself
_RESIDENTS, _FROM_CAMPAIGN = 400, 1_500
_ID = "0123456789abcdefghjkmnpqrstvwxyz"
# Conformance and infrastructure: few are stored, and their long texts would fill the dictionary.
_LEFT_OUT = {
    "ActivityDefinition", "AuditEvent", "Binary", "Bundle", "CapabilityStatement", "CodeSystem",
    "CompartmentDefinition", "ConceptMap", "ExampleScenario", "GraphDefinition",
    "ImplementationGuide", "Library", "List", "Measure", "MeasureReport", "MessageDefinition",
    "NamingSystem", "OperationDefinition", "OperationOutcome", "Parameters", "PlanDefinition",
    "Questionnaire", "SearchParameter", "StructureDefinition", "StructureMap",
    "TerminologyCapabilities", "TestReport", "TestScript", "ValueSet",
}  # fmt: skip

Resource = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description="train the starter dictionary of zstd")
    parser.add_argument("--cache", type=Path, default=Path("cache"), help="folder for the packages")
    parser.add_argument("--held-out", type=Path, help="folder of Bundles to measure on")
    options = parser.parse_args()
    shaper = Shaper(Random(1))
    examples = [shaper.stored(one) for one in official_examples(package(EXAMPLES, options.cache))]
    checkups = [content for bundle in bundles(Plan(_RESIDENTS)) for content in shaper.all(bundle)]
    chosen = Random(2).sample(checkups, _FROM_CAMPAIGN)
    samples: list[bytes | bytearray | memoryview] = [
        content[:_SAMPLE_MAX] for content in chosen + examples * _WEIGHT
    ]
    made = zstandard.train_dictionary(SIZE, samples, k=_SEGMENT, d=8, level=LEVEL)
    DICTIONARY.write_bytes(made.as_bytes())
    print(f"{len(samples):,} samples, {len(made.as_bytes()):,} bytes")
    unseen = [content for one in bundles(Plan(100, seed=9)) for content in shaper.all(one)]
    measure("campaign of another seed", unseen)
    if options.held_out is not None:
        measure(
            "held out", [one for each in held_out(options.held_out) for one in shaper.all(each)]
        )


class Shaper:
    """Gives resources the shape in which they are stored."""

    def __init__(self, random: Random) -> None:
        self._random = random

    def stored(self, resource: Resource, ids: dict[str, str] | None = None) -> bytes:
        """The bytes as stored; `ids` are the new references by fullUrl."""
        linked: Resource = self._linked(resource, {} if ids is None else ids)
        day, second = divmod(self._random.randrange(365 * 86_400), 86_400)
        moment = f"T{second // 3600:02d}:{second // 60 % 60:02d}:{second % 60:02d}"
        updated = f"2026-{day // 31 + 1:02d}-{day % 28 + 1:02d}{moment}.{second % 1000:03d}Z"
        sent = linked.pop("meta", {})
        meta = {"versionId": "1", "lastUpdated": updated}
        meta.update((name, value) for name, value in sent.items() if name not in meta)
        first = {"resourceType": linked.pop("resourceType"), "id": self._id(), "meta": meta}
        linked.pop("id", None)
        return json.write(first | linked)

    def all(self, bundle: Resource) -> Iterator[bytes]:
        """The resources of a transaction as they are stored."""
        ids = {
            entry["fullUrl"]: f"{entry['resource']['resourceType']}/{self._id()}"
            for entry in bundle["entry"]
            if "fullUrl" in entry
        }
        for entry in bundle["entry"]:
            yield self.stored(entry["resource"], ids)

    def _linked(self, node: Any, ids: dict[str, str]) -> Any:
        if isinstance(node, dict):
            return {
                name: self._link(value, ids)
                if name == "reference" and isinstance(value, str)
                else self._linked(value, ids)
                for name, value in node.items()
            }
        return [self._linked(item, ids) for item in node] if isinstance(node, list) else node

    def _link(self, to: str, ids: dict[str, str]) -> str:
        """The new reference for one to an entry, to `Type/id` or to `Type?criteria`."""
        if to not in ids:
            type_name = to.partition("?")[0].partition("/")[0]
            if not type_name.isalpha() or (to.count("/") > 1 and "?" not in to):
                return to
            ids[to] = f"{type_name}/{self._id()}"
        return ids[to]

    def _id(self) -> str:
        return "01m" + "".join(self._random.choices(_ID, k=23))


def official_examples(tarball: Path) -> Iterator[Resource]:
    """The clinical and administrative examples, those inside Bundles too."""
    for _, resource in resources(tarball):
        inside = resource.get("entry", []) if resource.get("resourceType") == "Bundle" else []
        for found in (resource, *(entry.get("resource", {}) for entry in inside)):
            if found.get("resourceType", "Bundle") not in _LEFT_OUT:
                yield found


def held_out(folder: Path) -> Iterator[Resource]:
    for path in sorted(folder.glob("*.json.gz")):
        yield json.read(gzip.decompress(path.read_bytes()))


def measure(name: str, contents: Iterable[bytes]) -> None:
    """Prints ratio and µs per content of each level, and the ratio by type at the store's."""
    samples = list(contents)
    print(f"{name}: {len(samples):,} contents, {sum(map(len, samples)) / len(samples):,.0f} bytes")
    for level in (1, LEVEL, 6, 9):
        dictionary = zstandard.ZstdCompressionDict(DICTIONARY.read_bytes())
        dictionary.precompute_compress(level=level)
        packer = zstandard.ZstdCompressor(
            level=level, dict_data=dictionary, write_checksum=False, write_dict_id=False
        )
        unpacker = zstandard.ZstdDecompressor(dict_data=dictionary)
        packed, pack_us = _timed(packer.compress, samples)
        _, unpack_us = _timed(unpacker.decompress, packed)
        _print_row(f"level {level}", samples, packed, f"{pack_us:.1f} + {unpack_us:.1f} µs")
        if level == LEVEL:
            _print_types(samples, packed)


def _timed(deed: Any, inputs: list[bytes]) -> tuple[list[bytes], float]:
    start = time.perf_counter()
    made = [deed(one) for one in inputs]
    return made, (time.perf_counter() - start) / len(inputs) * 1e6


def _print_types(samples: list[bytes], packed: list[bytes]) -> None:
    by_type: dict[str, tuple[list[bytes], list[bytes]]] = defaultdict(lambda: ([], []))
    for before, after in zip(samples, packed, strict=True):
        group = by_type[before[17 : before.index(b'"', 17)].decode()]
        group[0].append(before)
        group[1].append(after)
    for type_name, (before_all, after_all) in sorted(by_type.items()):
        _print_row(f"  {type_name}", before_all, after_all, f"{len(before_all):,}")


def _print_row(name: str, samples: list[bytes], packed: list[bytes], more: str) -> None:
    before, after = sum(map(len, samples)), sum(map(len, packed))
    sizes = f"{before / len(samples):8,.0f} -> {after / len(samples):6,.0f} B"
    print(f"{name:24} {sizes}  x{before / after:.2f}  {more}")


if __name__ == "__main__":
    main()
