"""Makes the tables of `src/ehr_server/definitions` from the published FHIR R4 packages.

    python tools/make_definitions.py --cache cache

The packages (CC0, the publisher's own) are fetched once with `npm pack` into the cache folder.
What is written are facts alone: paths, cardinalities, types, bindings, expressions, codes; no
prose. Equal input makes equal bytes. The numbers of types and search parameters stand in index
rows, so a number that the committed table has given stays for ever; new ones go at the end.
"""

from __future__ import annotations

import argparse
import gzip
import json
import subprocess
import tarfile
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from make_search_parameters import compartment_rows, search_parameter_rows
from make_types import type_table

if TYPE_CHECKING:
    from collections.abc import Iterator

EXAMPLES = "hl7.fhir.r4.examples@4.0.1"  # holds all conformance resources of the standard too
EXPANSIONS = "hl7.fhir.r4.expansions@4.0.1"
KINDS = ("StructureDefinition", "SearchParameter", "CompartmentDefinition", "ValueSet")
TABLES = Path(__file__).parent.parent / "src" / "ehr_server" / "definitions"

Resource = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description="make the R4 tables from the published packages")
    parser.add_argument("--cache", type=Path, default=Path("cache"), help="folder for the packages")
    cache: Path = parser.parse_args().cache
    published = conformance_resources(package(EXAMPLES, cache))
    expanded = conformance_resources(package(EXPANSIONS, cache))
    made = {"made_by": "tools/make_definitions.py", "from": [EXAMPLES, EXPANSIONS]}

    types = type_table(published["StructureDefinition"])
    type_numbers = _numbers(read_table("types").get("numbers", {}), types.resource_types)
    bindings = types.bindings
    write_table("types", {**made, **types.rows, "numbers": type_numbers})
    write_table("codes", {**made, **_codes(expanded["ValueSet"], bindings)})
    parents = {name: types.parents[name] for name in types.resource_types}
    rows = search_parameter_rows(published["SearchParameter"], parents)
    write_table("search_parameters", {**made, "rows": _numbered(rows)})
    compartments = compartment_rows(published["CompartmentDefinition"])
    write_table("compartments", {**made, "compartments": compartments})


def package(name: str, cache: Path) -> Path:
    """The tarball of an npm package `name@version`, fetched into the cache if it is not there."""
    path = cache / f"{name.replace('@', '-')}.tgz"
    if not path.exists():
        cache.mkdir(parents=True, exist_ok=True)
        subprocess.run(["npm", "pack", "--silent", name], cwd=cache, check=True)
    return path


def resources(tarball: Path) -> Iterator[tuple[str, Resource]]:
    """All resources of a package with their file names, in the package's order."""
    with tarfile.open(tarball) as tar:
        for member in tar:
            name = Path(member.name).name
            if not name.endswith(".json") or name.startswith(".") or name == "package.json":
                continue
            stream = tar.extractfile(member)
            if stream is not None:
                yield name, json.load(stream)


def conformance_resources(
    tarball: Path, kinds: tuple[str, ...] = KINDS
) -> dict[str, list[Resource]]:
    """The package's conformance resources of these types, by type, sorted by url."""
    found: dict[str, list[Resource]] = defaultdict(list)
    for _, resource in resources(tarball):
        # A NamingSystem of R4 has no url.
        if resource.get("resourceType") in kinds and ("url" in resource or "uniqueId" in resource):
            found[resource["resourceType"]].append(resource)
    for several in found.values():
        several.sort(key=lambda resource: (resource.get("url", ""), resource["id"]))
    return found


def read_table(name: str) -> dict[str, Any]:
    """The committed table, or nothing the first time."""
    path = TABLES / f"{name}.json.gz"
    if not path.exists():
        return {}
    table: dict[str, Any] = json.loads(gzip.decompress(path.read_bytes()))
    return table


def write_table(name: str, table: dict[str, Any]) -> None:
    text = json.dumps(table, ensure_ascii=False, separators=(",", ":"))
    data = gzip.compress(text.encode(), compresslevel=9, mtime=0)
    (TABLES / f"{name}.json.gz").write_bytes(data)
    print(f"{name}: {len(text):,} characters, {len(data):,} bytes")


def _numbers(old: dict[str, int], names: list[str]) -> dict[str, int]:
    numbers = dict(old)
    for name in names:
        numbers.setdefault(name, len(numbers) + 1)
    return numbers


def _numbered(rows: list[list[Any]]) -> list[list[Any]]:
    """The rows with their number in front, in the order of the numbers."""
    old = {f"{row[1]}.{row[2]}": row[0] for row in read_table("search_parameters").get("rows", ())}
    numbers = _numbers(old, [f"{base}.{code}" for base, code, *_ in rows])
    return sorted([numbers[f"{row[0]}.{row[1]}"], *row] for row in rows)


def _codes(value_sets: list[Resource], wanted: set[str]) -> dict[str, Any]:
    """The codes of the closed value sets, and the system of those that draw on one alone."""
    codes: dict[str, list[str]] = {}
    systems: dict[str, str] = {}
    for value_set in value_sets:
        expansion = value_set["expansion"]
        contains = expansion.get("contains", [])
        is_open = not contains or "extension" in expansion  # the expansion is only a part
        if value_set["url"] not in wanted or is_open:
            continue
        codes[value_set["url"]] = sorted({concept["code"] for concept in contains})
        drawn_on = {concept["system"] for concept in contains}
        if len(drawn_on) == 1:
            systems[value_set["url"]] = drawn_on.pop()
    return {"codes": codes, "systems": systems}


if __name__ == "__main__":
    main()
