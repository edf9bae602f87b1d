"""Makes `src/ehr_server/definitions/r4.zip`: what R4 itself publishes beyond its types.

    python tools/make_artifacts.py --cache cache

Profiles and extensions (differentials), code systems, value sets, concept maps and naming systems
of the package of `make_definitions.py`, reduced to facts: what a program must know, and the
displays of codes; no prose. Types and search parameters stand in the tables of that generator.
Equal input makes equal bytes.

The file is a zip of NDJSON members, each of one type and about 64 kB, so that reading one resource
unpacks its neighbours alone; `index.json` says which canonical stands in which line.
"""

from __future__ import annotations

import argparse
import io
import json
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from make_definitions import EXAMPLES, TABLES, Resource, conformance_resources, package

LABEL = "hl7.fhir.r4.core#4.0.1"
TABLE = TABLES / "r4.zip"
_MEMBER_BYTES = 64_000
_LONG_AGO = (1980, 1, 1, 0, 0, 0)  # the members' time, which would differ from run to run

Facts = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description="make the R4 artifacts from the package")
    parser.add_argument("--cache", type=Path, default=Path("cache"), help="folder for the packages")
    published = conformance_resources(package(EXAMPLES, parser.parse_args().cache), tuple(FACTS))
    data = table(published)
    TABLE.write_bytes(data)
    print(f"r4: {sum(map(len, published.values())):,} resources, {len(data):,} bytes")


def table(published: dict[str, list[Resource]]) -> bytes:
    """The zip of the resources by type."""
    index: dict[str, list[list[str]]] = {}
    members: list[tuple[str, str]] = []
    for type_, facts in FACTS.items():
        kept = [facts(resource) for resource in published[type_] if _is_kept(resource)]
        for number, lines in enumerate(_members(kept)):
            name = f"{type_}-{number:02}.ndjson"
            members.append((name, "".join(line for _, line in lines)))
            index[name] = [[_url(one), one.get("version", "")] for one, _ in lines]
    made = {"made_by": "tools/make_artifacts.py", "from": [EXAMPLES], "package": LABEL}
    members.insert(0, ("index.json", _text({**made, "members": index})))
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as file:
        for name, text in members:
            file.writestr(zipfile.ZipInfo(name, _LONG_AGO), text, zipfile.ZIP_DEFLATED, 9)
    return written.getvalue()


def _members(kept: list[Facts]) -> Iterator[list[tuple[Facts, str]]]:
    """The resources with their lines, parted where a member is full."""
    several: list[tuple[Facts, str]] = []
    size = 0
    for one in kept:
        line = _text(one) + "\n"
        if several and size + len(line) > _MEMBER_BYTES:
            yield several
            several, size = [], 0
        several.append((one, line))
        size += len(line)
    if several:
        yield several


def _url(facts: Facts) -> str:
    """As `ehr_server.definitions.catalog` names them: a NamingSystem of R4 has no url."""
    return str(facts.get("url") or f"{facts['resourceType']}/{facts['id']}")


def _is_kept(resource: Resource) -> bool:
    """All but the types, which the other tables hold."""
    return (
        resource["resourceType"] != "StructureDefinition"
        or resource.get("derivation") == "constraint"
    )


def _some(resource: Resource, *names: str) -> Facts:
    return {name: resource[name] for name in names if name in resource}


def _each(resource: Resource, name: str, facts: Callable[[Resource], Facts]) -> Facts:
    return {name: [facts(one) for one in resource[name]]} if name in resource else {}


_ROOT = ("resourceType", "id", "url", "version", "name", "title", "status")
_ELEMENT = ("id", "path", "sliceName", "sliceIsConstraining", "min", "max")
_ELEMENT_2 = ("contentReference", "maxLength", "isModifier")
_VALUES = ("fixed", "pattern", "minValue", "maxValue")


def _profile(resource: Resource) -> Facts:
    """https://hl7.org/fhir/R4/structuredefinition.html"""
    names = ("kind", "abstract", "context", "contextInvariant", "type", "baseDefinition")
    elements = resource["differential"]["element"]
    return {
        **_some(resource, *_ROOT, *names, "derivation"),
        "differential": {"element": [_element(one) for one in elements]},
    }


def _element(element: Resource) -> Facts:
    """https://hl7.org/fhir/R4/elementdefinition.html"""
    return {
        **_some(element, *_ELEMENT),
        **{name: value for name, value in element.items() if name.startswith(_VALUES)},
        **_some(element, *_ELEMENT_2),
        **_slicing(element),
        **_each(element, "type", _without_extensions),
        **_binding(element),
        **_each(element, "constraint", lambda one: _some(one, "key", "severity", "expression")),
    }


def _slicing(element: Resource) -> Facts:
    if "slicing" not in element:
        return {}
    return {"slicing": _some(element["slicing"], "discriminator", "ordered", "rules")}


def _binding(element: Resource) -> Facts:
    if "valueSet" not in element.get("binding", {}):
        return {}
    return {"binding": _some(element["binding"], "strength", "valueSet")}


def _code_system(resource: Resource) -> Facts:
    """https://hl7.org/fhir/R4/codesystem.html"""
    names = ("caseSensitive", "valueSet", "hierarchyMeaning", "compositional", "versionNeeded")
    return {
        **_some(resource, *_ROOT, *names, "content", "supplements", "count"),
        **_each(resource, "filter", lambda one: _some(one, "code", "operator")),
        **_each(resource, "property", lambda one: _some(one, "code", "uri", "type")),
        **_each(resource, "concept", _concept),
    }


def _concept(concept: Resource) -> Facts:
    return {
        **_some(concept, "code", "display"),
        **_each(concept, "designation", _without_extensions),
        **_each(concept, "property", _without_extensions),
        **_each(concept, "concept", _concept),
    }


def _value_set(resource: Resource) -> Facts:
    """https://hl7.org/fhir/R4/valueset.html; an expansion only where nothing else says what is in
    the set."""
    names = ("compose",) if "compose" in resource else ("expansion",)
    facts: Facts = _without_extensions(_some(resource, *_ROOT, "immutable", *names))
    return facts


def _concept_map(resource: Resource) -> Facts:
    """https://hl7.org/fhir/R4/conceptmap.html"""
    names = ("sourceUri", "sourceCanonical", "targetUri", "targetCanonical")
    return {**_some(resource, *_ROOT, *names), **_each(resource, "group", _group)}


def _group(group: Resource) -> Facts:
    names = ("source", "sourceVersion", "target", "targetVersion", "unmapped")
    return {
        **_some(group, *names),
        **_each(
            group,
            "element",
            lambda one: {**_some(one, "code", "display"), **_each(one, "target", _target)},
        ),
    }


def _target(target: Resource) -> Facts:
    return _some(target, "code", "display", "equivalence", "dependsOn", "product")


def _naming_system(resource: Resource) -> Facts:
    """https://hl7.org/fhir/R4/namingsystem.html"""
    names = ("type", "value", "preferred", "period")
    return {
        **_some(resource, *_ROOT, "kind"),
        **_each(resource, "uniqueId", lambda one: _some(one, *names)),
    }


def _without_extensions(value: Any) -> Any:
    """Extensions here hold comments and what editors use."""
    if isinstance(value, dict):
        return {
            name: _without_extensions(one)
            for name, one in value.items()
            if name != "extension" and not name.startswith("_")
        }
    if isinstance(value, list):
        return [_without_extensions(one) for one in value]
    return value


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


FACTS: dict[str, Callable[[Resource], Facts]] = {
    "StructureDefinition": _profile,
    "CodeSystem": _code_system,
    "ValueSet": _value_set,
    "ConceptMap": _concept_map,
    "NamingSystem": _naming_system,
}


if __name__ == "__main__":
    main()
