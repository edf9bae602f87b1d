"""Invariants as JSON Schema: of the FHIRPath expressions those that ask what is there.

Most invariants of R4 say that an element exists, is absent, or has one of some codes
(https://hl7.org/fhir/R4/conformance-rules.html#constraints). Said as a schema such a rule costs
next to nothing, said as a closure about half a microsecond. The others stay closures.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from ehr_server.definitions import definitions
from ehr_server.fhirpath.parse import Invocation, Literal, Member, Node, Operation, parse

if TYPE_CHECKING:
    from ehr_server.definitions import Element

Schema: TypeAlias = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Truth:
    """When an expression is true, and when it is false; where neither holds it is empty."""

    true: Schema
    false: Schema


def lowered(expression: str, type_name: str) -> Schema | None:
    """A schema (draft 4) of the values of the type for which the expression is not false.

    None if the expression asks more than a schema can.
    """
    found = _truth(parse(expression), type_name)
    return _not(found.false) if found is not None else None


def _truth(node: Node, type_name: str) -> Truth | None:
    match node:
        case Operation("and" | "or" | "xor" | "implies" | "=" | "!=" as operator, left, right):
            one, other = _truth(left, type_name), _truth(right, type_name)
            if one is not None and other is not None:
                return _joined(operator, one, other)
            return _compared(operator, left, right, type_name)
        case Operation("in", left, right):
            return _one_of(left, right, type_name)
        case Invocation(Member() | Invocation() as source, "exists" | "empty" as name, ()):
            there = _exists(source, type_name)
            if there is None:
                return None
            found = Truth(there, _not(there))
            return found if name == "exists" else Truth(found.false, found.true)
        case Invocation(
            Member() as source, "contains" | "startsWith" as name, (Literal(str(text)),)
        ):
            start = "^" if name == "startsWith" else ""
            return _single(source, {"pattern": start + re.escape(text)}, type_name)
        case Invocation(source, "not", ()) if source is not None:
            inner = _truth(source, type_name)
            return Truth(inner.false, inner.true) if inner is not None else None
        case _:
            return None


def _joined(operator: str, one: Truth, other: Truth) -> Truth:
    same = _any(_all(one.true, other.true), _all(one.false, other.false))
    different = _any(_all(one.true, other.false), _all(one.false, other.true))
    match operator:
        case "and":
            return Truth(_all(one.true, other.true), _any(one.false, other.false))
        case "or":
            return Truth(_any(one.true, other.true), _all(one.false, other.false))
        case "implies":
            return Truth(_any(one.false, other.true), _all(one.true, other.false))
        case "=":
            return Truth(same, different)
        case _:  # xor, !=
            return Truth(different, same)


def _compared(operator: str, left: Node, right: Node, type_name: str) -> Truth | None:
    """`status = 'final'`: of one primitive element and a text or a boolean."""
    if operator not in ("=", "!=") or not isinstance(right, Literal):
        return None
    found = _among(left, [right.value], type_name)
    if found is None or type(right.value) not in (str, bool):
        return None
    return found if operator == "=" else Truth(found.false, found.true)


def _one_of(left: Node, right: Node, type_name: str) -> Truth | None:
    """`status in ('proposed' | 'booked')`."""
    values: list[Any] = []
    while isinstance(right, Operation) and right.operator == "|":
        if not isinstance(right.right, Literal):
            return None
        values.append(right.right.value)
        right = right.left
    if not isinstance(right, Literal):
        return None
    return _among(left, [right.value, *values], type_name)


def _among(node: Node, values: list[Any], type_name: str) -> Truth | None:
    """Whether the one primitive element has one of the values."""
    return _single(node, {"enum": values}, type_name)


def _single(node: Node, schema: Schema, type_name: str) -> Truth | None:
    """Whether the value of the one primitive element meets the schema; empty if it is absent."""
    path = _path(node, type_name)
    if path is None or len(path) != 1 or path[0].is_list or path[0].is_choice:
        return None
    name = path[0].name
    there, same = {"required": [name]}, {"properties": {name: schema}}
    return Truth(_all(there, same), _all(there, _not(same)))


def _exists(node: Node, type_name: str) -> Schema | None:
    """Whether the path, or the path with `where(...)` at its end, leads to anything."""
    if isinstance(node, Invocation):
        if node.name != "where" or node.source is None or len(node.arguments) != 1:
            return None
        path = _path(node.source, type_name)
        if not path or path[-1].is_choice:
            return None
        criterion = _truth(node.arguments[0], path[-1].types[0])
        return _there(path, criterion.true) if criterion is not None else None
    path = _path(node, type_name)
    return _there(path, None) if path else None


def _there(path: tuple[Element, ...], criterion: Schema | None) -> Schema:
    """That the path leads to something that meets the criterion, if there is one."""
    element, rest = path[0], path[1:]
    inner = _there(rest, criterion) if rest else criterion
    ways: list[Schema] = []
    for name, type_name in element.json_names():
        is_primitive = definitions().types[type_name].kind == "primitive"
        way: Schema = {"required": [name]}
        if inner is not None:
            way["properties"] = {name: _contains(inner) if element.is_list else inner}
        ways.append(way)
        if inner is None and is_primitive and not element.is_bare:
            ways.append({"required": [f"_{name}"]})
    return _any(*ways)


def _path(node: Node, type_name: str) -> tuple[Element, ...] | None:
    """The elements of `a.b.c`; None if it is no such path, or a choice comes before its end."""
    if not isinstance(node, Member):
        return None
    if node.source is None:
        if node.name == type_name:
            return ()
        holder = type_name
        before: tuple[Element, ...] = ()
    else:
        path = _path(node.source, type_name)
        if path is None or (path and path[-1].is_choice):
            return None
        holder, before = (path[-1].types[0] if path else type_name), path
    holder = "DomainResource" if holder == "Resource" else holder
    element = definitions().types[holder].elements.get(node.name)
    return (*before, element) if element is not None else None


def _contains(inner: Schema) -> Schema:
    return {"not": {"items": {"not": inner}}}


def _not(schema: Schema) -> Schema:
    return schema["not"] if schema.keys() == {"not"} else {"not": schema}


def _all(*schemas: Schema) -> Schema:
    return {"allOf": list(schemas)}


def _any(*schemas: Schema) -> Schema:
    return schemas[0] if len(schemas) == 1 else {"anyOf": list(schemas)}
