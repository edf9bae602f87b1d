"""The definitions as JSON Schema (draft 4): what the gate lets pass without a second look.

https://hl7.org/fhir/R4/json.html. The schema is at most stricter than the standard, never laxer.
What it leaves to the explanation is rare: an `id` on an extension, `_name` beside a list, values
that are missing but have a `_name`, a few types as an extension's value.
Draft 4, because there 2.0 is no integer, as in FHIR.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from ehr_server.definitions import PRIMITIVES, definitions
from ehr_server.validation import narrative, references
from ehr_server.validation.rules import Rule, element_rules, rules

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ehr_server.definitions import Element, TypeDefinition

Schema: TypeAlias = dict[str, Any]

INT64_MAX = 2**63 - 1
CONTAINED, RESOURCE, RULE = "fhirContained", "fhirResource", "fhirRule"
EXTENSION = "fhirExtension"
"""Keywords of our own, which the gate gives to Python."""

_RARE_IN_EXTENSIONS = frozenset(
    [
        "ContactDetail",
        "Contributor",
        "DataRequirement",
        "Distance",
        "Dosage",
        "Expression",
        "ParameterDefinition",
        "RelatedArtifact",
        "SampledData",
        "Timing",
        "TriggerDefinition",
        "UsageContext",
        "Meta",
    ]
)


@dataclass(frozen=True, slots=True)
class ResourceSchema:
    """`calls` holds what the keyword `RULE` names: a rule that no schema can say."""

    schema: Schema
    calls: Mapping[str, Rule]


def resource_schema(type_name: str, is_local: bool, known: str | None = None) -> ResourceSchema:
    """The schema of a resource type; `is_local`: of one with or among contained resources.

    Extensions whose url the pattern `known` finds are left to the keyword `EXTENSION`, with the
    type they stand in.
    """
    builder = _Builder(is_local, known)
    return ResourceSchema(builder.schema(type_name), builder.calls)


class _Builder:
    """Collects the schemas of all types that one resource type leads to."""

    def __init__(self, is_local: bool, known: str | None) -> None:
        self._is_local = is_local
        self._known = known
        self._definitions: dict[str, Schema] = {}
        self.calls: dict[str, Rule] = {}

    def schema(self, type_name: str) -> Schema:
        root = self._object(definitions().types[type_name])
        return {
            "$schema": "http://json-schema.org/draft-04/schema#",
            **root,
            "definitions": self._definitions,
        }

    def _object(self, definition: TypeDefinition) -> Schema:
        properties: Schema = {}
        required: list[str] = []
        every: list[Schema] = []
        for element in definition.elements.values():
            names = self._add(properties, element, definition.name)
            if len(names) > 1:
                every.append(_at_most_one(names, element.min == 1))
            elif element.min:
                required.extend(names)
        if definition.kind == "resource":
            properties["resourceType"] = {"enum": [definition.name]}
            required.append("resourceType")
        found: Schema = {"type": "object", "properties": properties, "additionalProperties": False}
        if required:
            found["required"] = required
        if definition.kind != "resource":
            found["minProperties"] = 1
            found["dependencies"] = {"id": {"minProperties": 2}}  # ele-1
        return self._with_rules(found, every, definition.name, rules(definition.name))

    def _add(self, properties: Schema, element: Element, holder: str) -> list[str]:
        """Adds the JSON properties of an element; returns their names without `_name`."""
        names: list[str] = []
        if element.name == "modifierExtension":  # never without a second look
            return names
        for name, type_name in element.json_names():
            if element.name == "contained" and not self._is_local:
                continue
            properties[name] = self._element(element, type_name, holder)
            names.append(name)
            if has_sibling(element, type_name) and _is_plain(element, type_name):
                properties[f"_{name}"] = self._sibling()
        return names

    def _extension(self, definition: TypeDefinition) -> Schema:
        """Two properties: the url, and one value or the extensions within (ext-1)."""
        properties: Schema = {}
        for element in definition.elements.values():
            if element.name != "id":
                self._add(properties, element, definition.name)
        for type_name in _RARE_IN_EXTENSIONS:
            del properties[f"value{type_name}"]
        return {
            "type": "object",
            "properties": properties,
            "additionalProperties": False,
            "required": ["url"],
            "minProperties": 2,
            "maxProperties": 2,
        }

    def _element(self, element: Element, type_name: str, holder: str) -> Schema:
        own = element_rules(element, type_name)
        every = [self._unless_known(holder)] if type_name == "Extension" and self._known else []
        one = self._with_rules(self._value(element, type_name), every, type_name, own)
        if not element.is_list:
            return one
        found: Schema = {"type": "array", "items": one, "minItems": 1}
        if element.max is not None:
            found["maxItems"] = element.max
        return found

    def _value(self, element: Element, type_name: str) -> Schema:
        if type_name == "Resource":
            return {"type": "object", CONTAINED if element.name == "contained" else RESOURCE: True}
        if type_name == "Reference":
            return self._reference(element.targets)
        if element.binding is not None and element.binding in definitions().codes:
            return self._bound(element.binding, type_name)
        if element.is_bare and type_name == "string":
            type_name = "uri"  # the id of an element: a string without spaces
        return self._typed(type_name)

    def _typed(self, type_name: str) -> Schema:
        if type_name in PRIMITIVES:
            return self._ref(type_name, lambda: _primitive(type_name))
        definition = definitions().types[type_name]
        if type_name == "Extension":
            return self._ref(type_name, lambda: self._extension(definition))
        return self._ref(type_name, lambda: self._object(definition))

    def _reference(self, targets: tuple[str, ...]) -> Schema:
        def schema() -> Schema:
            found = self._object(definitions().types["Reference"])
            pattern = references.pattern(targets, self._is_local)
            found["properties"]["reference"] = {"type": "string", "pattern": pattern}
            return found

        return self._ref(".".join(["Reference", *targets]), schema)

    def _bound(self, value_set: str, type_name: str) -> Schema:
        codes = {"enum": sorted(definitions().codes[value_set])}
        if type_name == "code":
            return self._ref(value_set, lambda: codes)
        concept = self._typed(type_name)
        system = {"enum": [definitions().systems[value_set]]}
        coding = {"properties": {"system": system, "code": codes}, "required": ["system", "code"]}
        if type_name == "Coding":
            return {"allOf": [concept, coding]}
        some = {"not": {"items": {"not": coding}}}
        return {"allOf": [concept, {"properties": {"coding": some}, "required": ["coding"]}]}

    def _unless_known(self, holder: str) -> Schema:
        unknown = {"properties": {"url": {"not": {"pattern": self._known}}}}
        return {"anyOf": [unknown, {EXTENSION: holder}]}

    def _sibling(self) -> Schema:
        """`_name`: the extensions of a primitive value, and its id."""

        def schema() -> Schema:
            elements = definitions().types["Element"].elements.values()
            properties = {of.name: self._element(of, of.types[0], "Element") for of in elements}
            return {
                "type": "object",
                "properties": properties,
                "additionalProperties": False,
                "required": ["extension"],
            }

        return self._ref("_", schema)

    def _with_rules(
        self, schema: Schema, every: list[Schema], key: str, own: tuple[Rule, ...]
    ) -> Schema:
        """The schema and the rules: as schemas where they can be, else by a call named `key`."""
        every = [*every, *(rule.schema for rule in own if rule.schema is not None)]
        for rule in own:
            if rule.schema is None:
                name = f"{key} {rule.key}"
                self.calls[name] = rule
                every.append(_unless_absent(rule.needs, {RULE: name}))
        if not every:
            return schema
        if "$ref" in schema:  # draft 4 ignores what stands beside it
            return {"allOf": [schema, *every]}
        return {**schema, "allOf": every}

    def _ref(self, name: str, schema: Callable[[], Schema]) -> Schema:
        if name not in self._definitions:
            self._definitions[name] = {}  # types refer to themselves
            self._definitions[name] = schema()
        return {"$ref": f"#/definitions/{name.replace('/', '~1')}"}


def has_sibling(element: Element, type_name: str) -> bool:
    """Whether `_name` may stand beside it: https://hl7.org/fhir/R4/json.html#primitive."""
    return type_name in PRIMITIVES and not element.is_bare


def _is_plain(element: Element, type_name: str) -> bool:
    """Whether the schema knows its `_name`: the others are rare, and need more than a schema."""
    return not element.is_list and not element.is_choice and type_name != "xhtml"


def _primitive(name: str) -> Schema:
    primitive = PRIMITIVES[name]
    match primitive.json:
        case "string":
            found: Schema = {"type": "string", "pattern": primitive.pattern}
            if name == "xhtml":
                found["pattern"] = narrative.SAFE
            if primitive.most is not None:
                found["maxLength"] = primitive.most
            return found
        case "integer":
            return {"type": "integer", "minimum": primitive.least, "maximum": primitive.most}
        case "decimal":  # beyond that the explanation looks at the digits
            return {"type": "number", "minimum": -INT64_MAX, "maximum": INT64_MAX}
        case _:
            return {"type": "boolean"}


def _unless_absent(needs: tuple[str, ...], schema: Schema) -> Schema:
    absent = [{"not": {"required": [name]}} for name in needs]
    return {"anyOf": [*absent, schema]} if absent else schema


def _at_most_one(names: list[str], is_required: bool) -> Schema:
    """Each name forbids those after it: cheaper than `oneOf`, which tries them all."""
    nothing: Schema = {"not": {}}
    found: Schema = {
        "dependencies": {
            name: {"properties": dict.fromkeys(names[at + 1 :], nothing)}
            for at, name in enumerate(names[:-1])
        }
    }
    if is_required:
        found["anyOf"] = [{"required": [name]} for name in names]
    return found
