"""StructureDefinitions to rows: types, their elements and constraints. See make_definitions.py.

https://hl7.org/fhir/R4/structuredefinition.html
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

Resource = dict[str, Any]

_CANONICAL = "http://hl7.org/fhir/StructureDefinition/"
_SYSTEM = "http://hl7.org/fhirpath/System."
# Rules of Element and of Extension, which snapshots repeat on every element.
_HOME = {"ele-1": "Element", "ext-1": "Extension"}


@dataclass
class TypeTable:
    """`rows` is what is written: unique elements, and types that name them by position."""

    elements: dict[str, list[Any]] = field(default_factory=dict)
    positions: dict[str, int] = field(default_factory=dict)
    types: list[list[Any]] = field(default_factory=list)
    parents: dict[str, str | None] = field(default_factory=dict)
    bindings: set[str] = field(default_factory=set)
    resource_types: list[str] = field(default_factory=list)

    @property
    def rows(self) -> dict[str, Any]:
        return {
            "elements": list(self.elements.values()),
            "types": self.types,
            "resource_types": self.resource_types,
        }

    def position(self, row: list[Any]) -> int:
        key = repr(row)
        self.elements.setdefault(key, row)
        return self.positions.setdefault(key, len(self.positions))


def type_table(definitions: list[Resource]) -> TypeTable:
    """The table of all resource types, complex types, backbones and primitives."""
    table = TypeTable()
    simple = [definition for definition in definitions if _is_type(definition)]
    with_snapshot = [definition for definition in definitions if "snapshot" in definition]
    profiles = {d["url"]: _constraints(d["snapshot"]["element"][0]) for d in with_snapshot}
    constraints = {
        definition["type"]: _constraints(definition["snapshot"]["element"][0])
        for definition in simple
    }
    for definition in sorted(simple, key=lambda definition: definition["type"]):
        _add(table, definition, constraints, profiles)
    return table


def _is_type(definition: Resource) -> bool:
    """Not a profile, an extension, a logical model or a pattern such as Event or FiveWs."""
    return (
        definition["kind"] in ("resource", "complex-type", "primitive-type")
        and definition.get("derivation") != "constraint"
        and definition["name"] != "MetadataResource"
    )


def _add(
    table: TypeTable,
    definition: Resource,
    constraints: dict[str, list[list[str]]],
    profiles: dict[str, list[list[str]]],
) -> None:
    """Adds a type and its backbones: the elements that have elements themselves."""
    name = definition["type"]
    kind = definition["kind"].removesuffix("-type")
    parent = definition.get("baseDefinition", "").removeprefix(_CANONICAL) or None
    table.parents[name] = parent
    if kind == "resource" and not definition["abstract"]:
        table.resource_types.append(name)

    root, *elements = definition["snapshot"]["element"]
    backbones = {element["path"].rpartition(".")[0] for element in elements} - {name}
    rows: dict[str, list[Any]] = {name: [name, kind, parent, [], _constraints(root)]}
    for element in elements:
        path = element["path"]
        holder, _, step = path.rpartition(".")
        if (kind == "primitive" and step == "value") or element["max"] == "0":
            continue  # the value of a primitive is the JSON value itself
        own = _own(element, constraints, profiles)
        row = _element(element, path in backbones)
        if path in backbones:
            rows[path] = [path, "backbone", element["type"][0]["code"], [], own]
        elif own:
            row.append(own)
        if row[6]:
            table.bindings.add(row[6])
        rows[holder][3].append(table.position(row))
    table.types.extend(rows.values())


def _element(element: Resource, is_backbone: bool) -> list[Any]:
    """name, min, max (null: any number), flags, types, targets, binding."""
    path = element["path"]
    name = path.rpartition(".")[2].removesuffix("[x]")
    is_choice = path.endswith("[x]")
    is_list = element["base"]["max"] != "1"
    is_bare = any(of["code"].startswith(_SYSTEM) for of in element.get("type", ()))
    is_summary, is_modifier = element.get("isSummary", False), element.get("isModifier", False)
    flags = is_list * 1 + is_choice * 2 + is_bare * 4 + is_summary * 8 + is_modifier * 16
    maximum = None if element["max"] == "*" else int(element["max"])
    types = [path] if is_backbone else _types(element)
    binding = element.get("binding", {})
    value_set = binding.get("valueSet", "").partition("|")[0]
    required = value_set if binding.get("strength") == "required" else None
    return [name, element["min"], maximum, flags, types, _targets(element), required]


def _types(element: Resource) -> list[str]:
    if "contentReference" in element:
        return [element["contentReference"].partition("#")[2]]
    if element["base"]["path"] == "Resource.id":
        return ["id"]  # the definition says string, the text of the standard says id
    return [
        next(e for e in of["extension"] if e["url"].endswith("fhir-type"))["valueUrl"]
        if of["code"].startswith(_SYSTEM) and "extension" in of
        else of["code"].replace(_SYSTEM + "String", "string")
        for of in element["type"]
    ]


def _targets(element: Resource) -> list[str]:
    targets = [
        profile.removeprefix(_CANONICAL)
        for of in element.get("type", ())
        if of["code"] == "Reference"
        for profile in of.get("targetProfile", ())
    ]
    return [] if "Resource" in targets else targets


def _constraints(element: Resource) -> list[list[str]]:
    return [
        [constraint["key"], constraint["severity"], constraint["expression"]]
        for constraint in element.get("constraint", ())
        if _HOME.get(constraint["key"], element["path"]) == element["path"]
    ]


def _own(
    element: Resource,
    constraints: dict[str, list[list[str]]],
    profiles: dict[str, list[list[str]]],
) -> list[list[str]]:
    """The constraints that the element adds to those of its types.

    A profile on a type (all are SimpleQuantity) counts as the constraints it adds.
    """
    of_types = [row for of in element.get("type", ()) for row in constraints.get(of["code"], ())]
    of_profiles = [
        row
        for of in element.get("type", ())
        for profile in of.get("profile", ())
        for row in profiles[profile]
    ]
    own = []
    for row in (*_constraints(element), *of_profiles):
        if row not in of_types and row not in own:
            own.append(row)
    return own
