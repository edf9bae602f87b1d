"""What of a profile a JSON Schema can say, and what remains for closures.

Said as a schema, a rule costs a tenth of what it costs as a closure. `split` parts a profile's
tree: the schema is an overlay on the standard's own, so it is asked only of values that keep to
that; the rest is a tree again. Together they are at most stricter than the profile's own checks: a
no means that those are to be asked.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any, TypeAlias

from ehr_server.definitions import PRIMITIVES, definitions
from ehr_server.definitions.profile import Binding, Discriminator, Node, TypeChoice
from ehr_server.validation.lower import at_most_one, lowered
from ehr_server.validation.profiles.slices import BY_URL

if TYPE_CHECKING:
    from ehr_server.definitions import Element
    from ehr_server.terminology import Terminology

Schema: TypeAlias = dict[str, Any]

_CODES_MAX = 100  # a schema compares them one by one


TargetTypes = Callable[[Sequence[str]], Mapping[str, object]]


def split(
    node: Node, type_name: str, terminology: Terminology, target_types: TargetTypes
) -> tuple[Schema, Node, Node]:
    """The overlay for values of the type, and the tree of what it does not say: of values that
    can refer to nothing at hand, and of those that can.

    `target_types` gives the resource types of the targets of references, none if those are not
    known. What extensions owe to their own definitions is left out: the gate asks them for it.
    """
    overlay = _Overlay(terminology, target_types)
    schemas, linked = overlay.value(node, type_name)
    return _all(schemas), overlay.without_targets(linked), linked


def said_of(
    child: tuple[str, Node], type_name: str, terminology: Terminology, target_types: TargetTypes
) -> tuple[Schema | None, Schema | None]:
    """The schemas that say all that is asked of one element, on the value of the type that holds
    it: of one that can refer to nothing at hand, and of one that can. None where something must
    be left for closures."""
    name, node = child
    overlay = _Overlay(terminology, target_types)
    schemas, rest = overlay.element(name, node, type_name)
    schema = _all(schemas)
    is_said = is_empty(overlay.without_targets(rest))
    return schema if is_said else None, schema if is_empty(rest) else None


def is_empty(node: Node) -> bool:
    """Whether the node asks nothing."""
    return node == Node(node.id, node.path)


@dataclass(frozen=True, slots=True)
class _Overlay:
    terminology: Terminology
    target_types: TargetTypes
    # The types of the rest of which the overlay says all, unless the target is at hand: the very
    # tuples, since a tree that is left as it was has others.
    _said: list[tuple[TypeChoice, ...]] = field(default_factory=list)

    def without_targets(self, node: Node) -> Node:
        """The rest without the targets of references that the overlay has looked at."""
        children = {name: self.without_targets(child) for name, child in node.children.items()}
        children = {name: child for name, child in children.items() if not is_empty(child)}
        is_said = any(node.types is one for one in self._said)
        return replace(node, types=() if is_said else node.types, children=children)

    def value(self, node: Node, type_name: str) -> tuple[list[Schema], Node]:
        """The schemas on a value of the type."""
        schemas: list[Schema] = []
        left: dict[str, Any] = {}
        if node.fixed is not None and not _has_numbers(node.fixed):
            schemas.append({"enum": [node.fixed]})
            left["fixed"] = None
        if node.pattern is not None and not _has_numbers(node.pattern):
            schemas.append(_fitting(node.pattern))
            left["pattern"] = None
        if node.length_max is not None:
            schemas.append({"maxLength": node.length_max})
            left["length_max"] = None
        bound = self._bound(node.binding, type_name)
        if bound is not None:
            schemas.append(bound)
            left["binding"] = None
        if type_name == "Reference" and node.types:
            referring = self._referring(node)
            if referring and not any(one.profiles for one in node.types):
                left["types"] = (*node.types,)
                self._said.append(left["types"])
            schemas += referring
        said = [(one, lowered(one.expression, type_name)) for one in node.constraints]
        schemas += [schema for _, schema in said if schema is not None]
        left["constraints"] = tuple(one for one, schema in said if schema is None)
        children = {}
        for name, child in node.children.items():
            inner, rest = self.element(name, child, type_name)
            schemas += inner
            if not is_empty(rest):
                children[name] = rest
        return schemas, replace(node, children=children, **left)

    def element(self, name: str, node: Node, type_name: str) -> tuple[list[Schema], Node]:
        """The schemas on the object that holds the element."""
        definition = definitions().types.get(type_name)
        element = definition.elements.get(name) if definition is not None else None
        if element is None or element.types == ("Resource",):
            return [], node
        schemas = _counted(node, element)
        rest = replace(node, min=None, max=None)
        allowed = {choice.code for choice in node.types} or set(element.types)
        names = dict(element.json_names())
        excluded = [one for one, of in names.items() if of not in allowed]
        if excluded:
            schemas.append({"not": _there(excluded)})
        if not any(choice.profiles or choice.targets for choice in node.types):
            rest = replace(rest, types=())
        inner, rest = self._values(rest, element, [one for one in names if one not in excluded])
        schemas += inner
        sliced = self._sliced(rest, element) if rest.slices else None
        if sliced is not None:
            schemas += sliced
            rest = replace(rest, slicing=None, slices={})
        return schemas, rest

    def _values(
        self, node: Node, element: Element, json_names: list[str]
    ) -> tuple[list[Schema], Node]:
        """The schemas on the holder about the values of the element, under each of the names."""
        plain = replace(node, slicing=None, slices={})
        schemas: list[Schema] = []
        rests: list[Node] = []
        types = dict(element.json_names())
        for json_name in json_names:
            if types[json_name] in PRIMITIVES and node.children:
                return [], node  # the children are those of `_name`
            inner, rest = self.value(plain, types[json_name])
            rests.append(rest)
            if inner:
                one = _all(inner)
                one = {"items": one} if element.is_list else one
                schemas.append({"properties": {json_name: one}})
        if len(rests) == 1:
            return schemas, replace(rests[0], slicing=node.slicing, slices=node.slices)
        if all(is_empty(rest) for rest in rests):
            empty = Node(node.id, node.path)
            return schemas, replace(empty, slicing=node.slicing, slices=node.slices)
        return [], node

    def _sliced(self, node: Node, element: Element) -> list[Schema] | None:
        """The schemas on the holder that say all of the slices; None if some must be left.

        A schema counts to one, in lists of a few values (`at_most_one`).
        """
        if element.is_choice:
            return self._by_type(node, element)
        slicing = node.slicing or BY_URL
        if not element.is_list or slicing.rules != "open" or slicing.is_ordered:
            return None
        name, of = next(iter(element.json_names()))
        found: list[Schema] = []
        for one in node.slices.values():
            if of == "Extension":
                one = _known_by_url(one)
            kind = self._kind(one, of, slicing.discriminators)
            inner, rest = self.value(replace(one, min=None, max=None), of)
            if kind is None or not is_empty(rest) or one.max not in (None, 1):
                return None
            if inner:
                found.append({"items": _any([{"not": kind}, _all(inner)])})
            if one.min == 1:
                found.append({"not": {"items": {"not": kind}}})
            elif one.min:
                return None
            if one.max == 1:
                found.append(at_most_one(kind))
        there: list[Schema] = (
            [{"required": [name]}] if any(one.min for one in node.slices.values()) else []
        )
        return [{"properties": {name: _all(found)}}, *there] if found else there

    def _by_type(self, node: Node, element: Element) -> list[Schema] | None:
        """A choice sliced by its types: each slice is one name in JSON."""
        names = {of: name for name, of in element.json_names()}
        found: list[Schema] = []
        if node.slicing is not None and node.slicing.rules != "open":
            return None
        for one in node.slices.values():
            types = {choice.code for choice in one.types}
            if len(types) != 1 or one.slices:
                return None
            (of,) = types
            inner, rest = self.value(replace(one, types=(), min=None, max=None), of)
            if of not in names or not is_empty(rest) or any(c.profiles for c in one.types):
                return None
            there = _there([names[of], *([f"_{names[of]}"] if of in PRIMITIVES else [])])
            if one.min:
                found.append(there)
            if one.max == 0:
                found.append({"not": there})
            if inner:
                found.append({"properties": {names[of]: _all(inner)}})
        return found

    def _kind(self, one: Node, of: str, discriminators: tuple[Discriminator, ...]) -> Schema | None:
        """What tells that a value is of the slice; None if that is not told by its values."""
        found = []
        for discriminator in discriminators:
            if discriminator.kind not in ("value", "pattern"):
                return None
            steps = [step for step in discriminator.path.split(".") if step != "$this"]
            kind = self._reached(one, of, steps)
            if kind is None:
                return None
            found.append(kind)
        return _all(found) if found else None

    def _reached(self, node: Node, of: str, steps: list[str]) -> Schema | None:
        if not steps:
            return self._told(node, of)
        definition = definitions().types.get(of)
        element = definition.elements.get(steps[0]) if definition is not None else None
        child = node.children.get(steps[0])
        if element is None or child is None or element.is_choice or child.slices:
            return None
        inner = self._reached(child, element.types[0], steps[1:])
        if inner is None:
            return None
        one = {"not": {"items": {"not": inner}}} if element.is_list else inner
        return {"required": [steps[0]], "properties": {steps[0]: one}}

    def _told(self, node: Node, of: str) -> Schema | None:
        """What the node fixes of its value, as `slices` tells slices apart."""
        if node.types or node.slices:
            return None
        found: list[Schema] = []
        if node.fixed is not None:
            found.append({"enum": [node.fixed]})
        if node.pattern is not None:
            found.append(_fitting(node.pattern))
        if node.binding is not None and node.binding.strength == "required":
            bound = self._bound(node.binding, of)
            if bound is None:
                return None
            found.append(bound)
        for name in node.children:
            below = self._reached(node, of, [name])
            if below is not None:
                found.append(below)
        if not found or _has_numbers(node.fixed) or _has_numbers(node.pattern):
            return None
        return _all(found)

    def _referring(self, node: Node) -> list[Schema]:
        """That a reference is plainly to one of the types, or to something at hand."""
        targets = [target for choice in node.types for target in choice.targets]
        types = self.target_types(targets)
        if not types or "Resource" in types or not all(one.targets for one in node.types):
            return []
        pattern = f"^(?:(?:{'|'.join(types)})/|urn:|#.)"
        own = {"reference": {"pattern": pattern}, "type": {"enum": sorted(types)}}
        return [{"properties": own}]

    def _bound(self, binding: Binding | None, type_name: str) -> Schema | None:
        codes = (
            self.terminology.codes(binding.value_set, _CODES_MAX) if binding is not None else None
        )
        if not codes:
            return None
        if type_name == "code":
            return {"enum": sorted(set().union(*codes.values()))}
        coding = _any(
            [
                {
                    "properties": {"system": {"enum": [system]}, "code": {"enum": sorted(of)}},
                    "required": ["system", "code"],
                }
                for system, of in codes.items()
            ]
        )
        if type_name in ("Coding", "Quantity"):
            return coding
        if type_name != "CodeableConcept":
            return None
        some = {
            "properties": {"coding": {"not": {"items": {"not": coding}}}},
            "required": ["coding"],
        }
        if binding is not None and binding.strength == "required":
            return some
        return _any([some, {"not": {"required": ["coding"]}, "required": ["text"]}])


def _known_by_url(one: Node) -> Node:
    """A slice of extensions with no more than their url: the gate checks each of them."""
    if len(one.types) != 1 or len(one.types[0].profiles) != 1:
        return one
    url = Node(f"{one.id}.url", f"{one.path}.url", fixed=one.types[0].profiles[0].partition("|")[0])
    return replace(one, types=(), children={**one.children, "url": url})


def _counted(node: Node, element: Element) -> list[Schema]:
    names = [name for name, _ in element.json_names()]
    names += [
        f"_{name}" for name, of in element.json_names() if of in PRIMITIVES and not element.is_bare
    ]
    found: list[Schema] = []
    if node.min:
        found.append(_there(names))
        if node.min > 1:
            found.append({"properties": {names[0]: {"minItems": node.min}}})
    if node.max == 0:
        found.append({"not": _there(names)})
    elif node.max is not None and element.is_list:
        found.append({"properties": {name: {"maxItems": node.max} for name in names}})
    return found


def _fitting(pattern: Any) -> Schema:
    if isinstance(pattern, dict):
        return {
            "properties": {name: _fitting(value) for name, value in pattern.items()},
            "required": list(pattern),
        }
    if isinstance(pattern, list):
        return _all([{"not": {"items": {"not": _fitting(item)}}} for item in pattern])
    return {"enum": [pattern]}


def _has_numbers(value: Any) -> bool:
    """Numbers are compared by closures: 1.0 and 1.00 are one amount and two texts."""
    if isinstance(value, dict):
        return any(_has_numbers(one) for one in value.values())
    if isinstance(value, list):
        return any(_has_numbers(one) for one in value)
    return isinstance(value, (int, float, Decimal)) and not isinstance(value, bool)


def _there(names: list[str]) -> Schema:
    return _any([{"required": [name]} for name in names])


def _all(schemas: list[Schema]) -> Schema:
    return schemas[0] if len(schemas) == 1 else {"allOf": schemas} if schemas else {}


def _any(schemas: list[Schema]) -> Schema:
    return schemas[0] if len(schemas) == 1 else {"anyOf": schemas} if schemas else {"not": {}}
