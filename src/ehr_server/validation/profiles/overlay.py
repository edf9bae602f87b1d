"""What of a profile a JSON Schema can say, and what remains for closures.

Said as a schema, a rule costs a tenth of what it costs as a closure. `split` parts a profile's
tree: the schema is an overlay on the standard's own, so it is asked only of values that keep to
that; the rest is a tree again. Together they are at most stricter than the profile's own checks: a
no means that those are to be asked.
"""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any, TypeAlias

from ehr_server.definitions import PRIMITIVES, definitions
from ehr_server.definitions.profile import Binding, Node
from ehr_server.validation.lower import lowered

if TYPE_CHECKING:
    from ehr_server.definitions import Element
    from ehr_server.terminology import Terminology

Schema: TypeAlias = dict[str, Any]

_CODES_MAX = 100  # a schema compares them one by one


def split(node: Node, type_name: str, terminology: Terminology) -> tuple[Schema, Node]:
    """The overlay for values of the type, and the tree of what it does not say."""
    schemas, rest = _value(node, type_name, terminology)
    return _all(schemas), rest


def is_empty(node: Node) -> bool:
    """Whether the node asks nothing."""
    return node == Node(node.id, node.path)


def _value(node: Node, type_name: str, terminology: Terminology) -> tuple[list[Schema], Node]:
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
    bound = _bound(node.binding, type_name, terminology) if node.binding is not None else None
    if bound is not None:
        schemas.append(bound)
        left["binding"] = None
    said = [(one, lowered(one.expression, type_name)) for one in node.constraints]
    schemas += [schema for _, schema in said if schema is not None]
    left["constraints"] = tuple(one for one, schema in said if schema is None)
    children = {}
    for name, child in node.children.items():
        inner, rest = _element(name, child, type_name, terminology)
        schemas += inner
        if not is_empty(rest):
            children[name] = rest
    return schemas, replace(node, children=children, **left)


def _element(
    name: str, node: Node, type_name: str, terminology: Terminology
) -> tuple[list[Schema], Node]:
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
    if len(names) - len(excluded) != 1:
        return schemas, rest  # rare: a choice that is narrowed whatever its type
    ((json_name, of),) = ((one, of) for one, of in names.items() if of in allowed)
    if not all(choice.profiles or choice.targets for choice in node.types):
        rest = replace(rest, types=())
    if of in PRIMITIVES and node.children:
        return schemas, rest  # the children are those of `_name`
    inner, rest = _value(rest, of, terminology)
    if inner:
        one = _all(inner)
        schemas.append({"properties": {json_name: {"items": one} if element.is_list else one}})
    return schemas, rest


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


def _bound(binding: Binding, type_name: str, terminology: Terminology) -> Schema | None:
    codes = terminology.codes(binding.value_set, _CODES_MAX)
    if codes is None:
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
    some = {"properties": {"coding": {"not": {"items": {"not": coding}}}}, "required": ["coding"]}
    return _any([some, {"not": {"required": ["coding"]}, "required": ["text"]}])


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
