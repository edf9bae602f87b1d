"""An invariant said as a schema never lets pass a value for which the expression is false.

All invariants of R4 and of the profiles there are (the local ones, R4's own, and of the IPS if its
package is in `cache/`), asked of each value of their type in made resources, in examples, and in
such with seeded damage that keep to the standard. A failure prints rule, type, example and seed.
"""

from __future__ import annotations

import tarfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from jsonschema_rs import Draft4Validator

from ehr_server.definitions import ProfileError, definitions
from ehr_server.definitions.catalog import Catalog, shipped
from ehr_server.definitions.profile import Node
from ehr_server.definitions.snapshot import Profiles
from ehr_server.fhir import json
from ehr_server.fhirpath import FHIRPathError, compile_invariant
from ehr_server.packages.read import read
from ehr_server.patterns import OPTIONS
from ehr_server.validation.gate import is_valid
from ehr_server.validation.lower import lowered
from ehr_server.validation.profiles.elements import reader
from properties.gate_mutations import mutated
from properties.gate_resources import made

_ROOT = Path(__file__).parents[2]
_EXAMPLES = _ROOT / "profiles" / "vn" / "examples"
_IPS = _ROOT / "cache" / "hl7.fhir.uv.ips-2.0.0.tgz"

Resource = dict[str, Any]


@dataclass(frozen=True)
class Said:
    """An invariant as both: `is_valid` of its schema, and the compiled expression."""

    key: str
    is_valid: Callable[[Any], bool]
    holds: Callable[[Any, Resource], bool | None]


@cache
def _invariants() -> dict[str, list[Said]]:
    """By type of the value: those that a schema can ask."""
    found: dict[tuple[str, str], str] = {}
    for name, definition in definitions().types.items():
        found |= {(name, one.expression): one.key for one in definition.constraints}
        for element in definition.elements.values():
            for constraint in element.constraints:
                found |= {(of, constraint.expression): constraint.key for of in element.types}
    for type_name, node in _nodes():
        found |= {(type_name, one.expression): one.key for one in node.constraints}
    by_type: dict[str, list[Said]] = {}
    for (type_name, expression), key in found.items():
        try:
            holds, schema = compile_invariant(expression, type_name), lowered(expression, type_name)
        except FHIRPathError:
            continue
        if schema is not None:
            valid = Draft4Validator(schema, pattern_options=OPTIONS).is_valid
            by_type.setdefault(type_name, []).append(Said(key, valid, holds))
    return by_type


def _nodes() -> Iterator[tuple[str, Node]]:
    """Of each profile the nodes with a type of their values."""
    catalog = _catalog()
    profiles = Profiles(catalog)
    for one in catalog.all("StructureDefinition"):
        try:
            profile = profiles.find(one.url)
        except ProfileError:
            continue
        if profile is not None:
            yield from _typed(profile.root, profile.type)


def _typed(node: Node, type_name: str) -> Iterator[tuple[str, Node]]:
    yield type_name, node
    for one in node.slices.values():
        for of in {choice.code for choice in one.types} or {type_name}:
            yield from _typed(one, of)
    definition = definitions().types.get(type_name)
    for name, child in node.children.items():
        element = definition.elements.get(name) if definition is not None else None
        allowed = {choice.code for choice in child.types}
        for of in element.types if element is not None else ():
            if not allowed or of in allowed:
                yield from _typed(child, of)


@cache
def _catalog() -> Catalog:
    if not _IPS.exists():
        return shipped()
    package = read(_IPS)
    return shipped().plus(package.label, package.artifacts)


def _values(value: Any, type_name: str, resource: Resource) -> Iterator[tuple[str, Any, Resource]]:
    """Each value in a value, itself first, with its type and the resource it stands in."""
    if value is not None:
        yield type_name, value, resource
    definition = definitions().types.get(type_name)
    if definition is None or not isinstance(value, dict):
        return
    for element in definition.elements.values():
        for item in reader(element)(value):
            inner = item.value if element.types == ("Resource",) else resource
            if isinstance(item.value, dict):
                yield from _values(item.value, item.type, inner)
            elif item.value is not None:
                yield item.type, item.value, resource


def _compared(resources: Iterator[tuple[str, Resource]]) -> tuple[set[str], Counter[str]]:
    """What a schema lets pass wrongly; and how often a schema says `yes`, a needless `no`, a
    rightful `no`."""
    invariants = _invariants()
    lax = set()
    count: Counter[str] = Counter()
    for name, resource in resources:
        if not is_valid(resource):
            continue
        count["resources"] += 1
        for type_name, value, inside in _values(resource, resource["resourceType"], resource):
            for said in invariants.get(type_name, ()):
                is_false = said.holds(value, inside) is False
                if not said.is_valid(value):
                    count["no" if is_false else "needless no"] += 1
                    continue
                count["yes"] += 1
                if is_false:
                    lax.add(f"{said.key} of {type_name} in {name}")
    return lax, count


def _damaged(seeds: range) -> Iterator[tuple[str, Resource]]:
    for path in sorted(_EXAMPLES.glob("*/*.json")):
        value = json.read(path.read_bytes())
        for seed in seeds:
            yield f"{path.stem} {seed}", mutated(value.get("resource", value), seed)


def _made(seeds: range) -> Iterator[tuple[str, Resource]]:
    """Resources of all types: as they are made, and damaged."""
    for type_name in definitions().resource_types:
        for seed in seeds:
            yield f"{type_name} {seed}", made(type_name, seed)
            yield f"{type_name} {seed} damaged", mutated(made(type_name, seed), seed)


def _published() -> Iterator[tuple[str, Resource]]:
    with tarfile.open(_IPS) as tar:
        for member in tar:
            if member.name.startswith("package/example/") and member.name.endswith(".json"):
                stream = tar.extractfile(member)
                assert stream is not None
                value = json.read(stream.read())
                if "resourceType" in value:
                    yield member.name, value
                    for seed in range(4):
                        yield f"{member.name} {seed}", mutated(value, seed)


def test_many_invariants_are_said_as_schemas() -> None:
    assert sum(map(len, _invariants().values())) > 150


def test_a_schema_is_never_laxer_than_the_expression() -> None:
    lax, count = _compared(_made(range(10)))
    assert lax == set()
    assert count["yes"] > 5_000
    print(dict(count))
    assert count["needless no"] < count["yes"] / 100


def test_nor_with_the_examples_of_the_local_profiles() -> None:
    lax, count = _compared(_damaged(range(8)))
    assert lax == set()
    assert count["resources"] > 100
    print(dict(count))


@pytest.mark.skipif(not _IPS.exists(), reason="the package is not in cache/")
def test_nor_with_the_examples_of_the_ips() -> None:
    lax, count = _compared(_published())
    assert lax == set()
    print(dict(count))


@pytest.mark.slow
def test_nor_with_100_000_made_resources() -> None:
    lax, count = _compared(_made(range(100, 450)))
    assert lax == set()
    print(dict(count))
