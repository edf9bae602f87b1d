"""Invariants as JSON Schema: of the FHIRPath expressions those that a schema can ask.

Most invariants of R4 say that an element exists, is absent, or has one of some codes
(https://hl7.org/fhir/R4/conformance-rules.html#constraints). Said as a schema such a rule costs
next to nothing, said as a closure a microsecond or more. The others stay closures.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, TypeAlias

from ehr_server.definitions import PRIMITIVES, definitions
from ehr_server.fhirpath.kinds import conforms
from ehr_server.fhirpath.parse import (
    Invocation,
    Literal,
    Member,
    Node,
    Operation,
    Variable,
    parse,
    type_name,
)
from ehr_server.patterns import spelled

if TYPE_CHECKING:
    from ehr_server.definitions import Element

Schema: TypeAlias = dict[str, Any]

# What is asked of a value, given its type: a schema, {} where it is enough that it is there, or
# None where a schema cannot ask it.
_Asked: TypeAlias = Callable[[str], "Schema | None"]

_NEVER: Schema = {"not": {}}
_FEW = 3  # values of a list that a schema compares in pairs
_BESIDE = "beside"  # what is asked of the `_name` of a primitive, until the name is known
_ROOT = ("%resource", "%rootResource", "%context")
_NUMBERS = ("integer", "decimal", "positiveInt", "unsignedInt")
_TEXTS = tuple(name for name, one in PRIMITIVES.items() if one.json == "string")


@dataclass(frozen=True, slots=True)
class Truth:
    """When an expression is true, and when it is false; where neither holds it is empty."""

    true: Schema
    false: Schema

    def negated(self) -> Truth:
        return Truth(self.false, self.true)


def lowered(expression: str, type_name: str) -> Schema | None:
    """A schema (draft 4) of values of the type for which the expression is not false: of all of
    them, or, where it counts, of nearly all.

    None if the expression asks more than a schema can.
    """
    tree = parse(expression)
    match tree:
        case Operation("<=", Invocation(Invocation() as source, "count", ()), Literal(1)):
            return _Lowering(type_name).few(source, type_name)
    found = _Lowering(type_name).truth(tree, type_name)
    if found is None or _BESIDE in str(found.false):
        return None
    return _not(found.false)


def at_most_one(kind: Schema) -> Schema:
    """That no two values of a list are of the kind, which is told of lists of a few values alone:
    a longer one never passes."""
    pairs: list[Schema] = [
        {
            "minItems": later + 1,
            "items": [kind if at in (early, later) else {} for at in range(later + 1)],
        }
        for later in range(1, _FEW)
        for early in range(later)
    ]
    return _all({"maxItems": _FEW}, *(_not(pair) for pair in pairs))


@dataclass(frozen=True, slots=True)
class _Lowering:
    """One expression; `root` is the type that it is about."""

    root: str

    def truth(self, node: Node, focus: str) -> Truth | None:
        """The expression as a criterion on a value of the type `focus`."""
        match node:
            case Literal(bool(value)):
                return Truth({}, _NEVER) if value else Truth(_NEVER, {})
            case Operation("and" | "or" | "xor" | "implies" | "=" | "!=" as operator, left, right):
                one, other = self.truth(left, focus), self.truth(right, focus)
                if one is not None and other is not None:
                    return _joined(operator, one, other)
                return self._compared(operator, left, right, focus)
            case Operation("<" | "<=" | ">" | ">=" as operator, left, right):
                return self._ordered(operator, left, right, focus)
            case Operation("in", left, right):
                return self._one_of(left, right, focus)
            case Invocation(source, "not", ()) if source is not None:
                inner = self.truth(source, focus)
                return inner.negated() if inner is not None else None
            case Invocation(source, "exists" | "empty" | "all" as name, arguments):
                return self._quantified(source, name, arguments, focus)
            case Invocation(
                source, "contains" | "startsWith" | "endsWith" as name, (Literal(str(text)),)
            ):
                start = "^" if name == "startsWith" else ""
                end = "$" if name == "endsWith" else ""
                found = {"pattern": start + re.escape(text) + end}
                return self._single(source, found, focus, _TEXTS)
            case Invocation(source, "matches", (Literal(str(text)),)):
                return self._matched(source, text, focus)
            case _:
                return None

    def few(self, node: Invocation, focus: str) -> Schema | None:
        """`element.where(criterion).count() <= 1`."""
        match node:
            case Invocation(Member(None, name), "where", (criterion,)):
                element = definitions().types[focus].elements.get(name)
                if element is None or not element.is_list:
                    return None
                kind = self._true(criterion, element.types[0])
                if kind is None or _BESIDE in str(kind):
                    return None
                return {"properties": {name: at_most_one(kind)}}
            case _:
                return None

    def _quantified(
        self, source: Node | None, name: str, arguments: tuple[Node, ...], focus: str
    ) -> Truth | None:
        """`exists()`, `exists(criterion)`, `empty()`, `all(criterion)`."""
        if not arguments:
            there = self.some(source, focus, lambda _: {})
        elif name == "all":
            there = self.some(source, focus, lambda of: self._untrue(arguments[0], of))
        else:
            there = self.some(source, focus, lambda of: self._true(arguments[0], of))
        if there is None:
            return None
        found = Truth(there, _not(there))
        return found if name == "exists" else found.negated()

    def _true(self, criterion: Node, of: str) -> Schema | None:
        found = self.truth(criterion, of)
        return found.true if found is not None else None

    def _untrue(self, criterion: Node, of: str) -> Schema | None:
        found = self.truth(criterion, of)
        return _not(found.true) if found is not None else None

    def some(self, node: Node | None, focus: str, asked: _Asked) -> Schema | None:
        """That the path leads from a value of the type `focus` to one of which `asked` is true."""
        match node:
            case None | Variable("$this"):
                return asked(focus)
            case Variable(name) if name in _ROOT and focus == self.root:
                return asked(focus)
            case Member(None, name) if name == focus or _is_ancestor(name, focus):
                return asked(focus)
            case Member(None, name):
                return _some_element(name, focus, asked)
            case Member(source, name):
                return self.some(source, focus, lambda of: _some_element(name, of, asked))
            case Invocation(source, "where", (criterion,)):
                return self.some(source, focus, lambda of: self._asked_too(criterion, of, asked))
            case Invocation(source, "extension", (Literal(str(url)),)):
                is_of = {"properties": {"url": {"enum": [url]}}}
                return self.some(
                    source,
                    focus,
                    lambda of: _some_element("extension", of, lambda e: _and(is_of, asked(e))),
                )
            case Invocation(source, "toString", ()):
                return self.some(source, focus, lambda of: asked(of) if of in _TEXTS else None)
            case Invocation(source, "ofType" | "as", (kind,)) if source is not None:
                return self._of_type(source, kind, focus, asked)
            case Operation("as", source, kind):
                return self._of_type(source, kind, focus, asked)
            case Operation("|", left, right):
                one, other = self.some(left, focus, asked), self.some(right, focus, asked)
                return _any(one, other) if one is not None and other is not None else None
            case _:
                return None

    def _asked_too(self, criterion: Node, of: str, asked: _Asked) -> Schema | None:
        true = self._true(criterion, of)
        return _and(true, asked(of)) if true is not None else None

    def _of_type(self, source: Node, kind: Node, focus: str, asked: _Asked) -> Schema | None:
        wanted = type_name(kind)
        if wanted is None or wanted not in definitions().types:
            return None
        return self.some(
            source,
            focus,
            lambda of: asked(of) if conforms(definitions(), of, wanted) else _NEVER,
        )

    def _compared(self, operator: str, left: Node, right: Node, focus: str) -> Truth | None:
        """`status = 'final'`: of one primitive value and a text or a boolean."""
        if operator not in ("=", "!=") or not isinstance(right, Literal):
            return None
        if type(right.value) not in (str, bool) or right.type in ("date", "dateTime", "time"):
            return None
        found = self._single(left, {"enum": [right.value]}, focus)
        return found.negated() if found is not None and operator == "!=" else found

    def _ordered(self, operator: str, left: Node, right: Node, focus: str) -> Truth | None:
        """`value < 10`, `length() >= 8`: of one number and a number written out."""
        if not isinstance(right, Literal) or not isinstance(right.value, (int, Decimal)):
            return None
        if isinstance(right.value, bool):
            return None
        if isinstance(left, Invocation) and left.name == "length":
            return self._long(operator, left.source, int(right.value), focus)
        bound: Schema = {"maximum" if operator[0] == "<" else "minimum": float(right.value)}
        if len(operator) == 1:
            bound["exclusiveMaximum" if operator == "<" else "exclusiveMinimum"] = True
        return self._single(left, bound, focus, _NUMBERS)

    def _long(self, operator: str, source: Node | None, count: int, focus: str) -> Truth | None:
        bound = {
            "<": {"maxLength": count - 1},
            "<=": {"maxLength": count},
            ">": {"minLength": count + 1},
            ">=": {"minLength": count},
        }
        return self._single(source, bound[operator], focus, _TEXTS)

    def _matched(self, source: Node | None, pattern: str, focus: str) -> Truth | None:
        try:
            found = {"pattern": spelled(pattern)}
        except ValueError:
            return None
        return self._single(source, found, focus, _TEXTS)

    def _one_of(self, left: Node, right: Node, focus: str) -> Truth | None:
        """`status in ('proposed' | 'booked')`."""
        values: list[Any] = []
        while isinstance(right, Operation) and right.operator == "|":
            if not isinstance(right.right, Literal):
                return None
            values.append(right.right.value)
            right = right.left
        if not isinstance(right, Literal):
            return None
        return self._single(left, {"enum": [right.value, *values]}, focus)

    def _single(
        self, node: Node | None, test: Schema, focus: str, types: tuple[str, ...] = ()
    ) -> Truth | None:
        """Whether the one primitive value meets the test; empty if it is absent.

        None if there may be several: what a comparison makes of those is not for a schema.
        """
        if not self._is_single(node, focus):
            return None

        def asked(schema: Schema) -> _Asked:
            return lambda of: (
                schema
                if definitions().types[of].kind == "primitive" and (not types or of in types)
                else None
            )

        true = self.some(node, focus, asked(test))
        false = self.some(node, focus, asked({"not": test}))
        return Truth(true, false) if true is not None and false is not None else None

    def _is_single(self, node: Node | None, focus: str) -> bool:
        match node:
            case None | Variable("$this"):
                return True
            case Member(source, name):
                if source is not None and not self._is_single(source, focus):
                    return False
                return all(
                    not element.is_list
                    for definition in definitions().types.values()
                    if (element := definition.elements.get(name)) is not None
                    and (source is not None or definition.name == focus)
                )
            case Invocation(source, "ofType" | "as", (_,)) | Operation("as", source, _):
                return self._is_single(source, focus)
            case Invocation(source, "toString", ()):
                return self._is_single(source, focus)
            case Variable(name):
                return name in _ROOT
            case _:
                return False


def _some_element(name: str, focus: str, asked: _Asked) -> Schema | None:
    """That some value of the element, in an object of the type, is as asked."""
    definition = definitions().types.get("DomainResource" if focus == "Resource" else focus)
    element = definition.elements.get(name) if definition is not None else None
    if element is None:
        return None
    ways: list[Schema] = []
    for json_name, of in element.json_names():
        inner = asked(of)
        if inner is None:
            return None
        if inner == _NEVER:
            continue
        if _BESIDE in inner:
            if element.is_list:
                return None
            json_name, inner = f"_{json_name}", inner[_BESIDE]
        way: Schema = {"required": [json_name]}
        if inner:
            way["properties"] = {json_name: _contains(inner) if element.is_list else inner}
        ways.append(way)
        if not inner and _has_sibling(element, of):
            ways.append({"required": [f"_{json_name}"]})
    found = _any(*ways) if ways else _NEVER
    is_primitive = definition is not None and definition.kind == "primitive"
    return {_BESIDE: found} if is_primitive and found != _NEVER else found


def _has_sibling(element: Element, of: str) -> bool:
    return definitions().types[of].kind == "primitive" and not element.is_bare


def _is_ancestor(name: str, focus: str) -> bool:
    return (
        name[:1].isupper()
        and name in definitions().types
        and focus in definitions().types
        and conforms(definitions(), focus, name)
    )


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


def _contains(inner: Schema) -> Schema:
    return {"not": {"items": {"not": inner}}}


def _and(one: Schema, other: Schema | None) -> Schema | None:
    if other is None:
        return None
    return one if not other else other if not one else _all(one, other)


def _not(schema: Schema) -> Schema:
    return schema["not"] if schema.keys() == {"not"} else {"not": schema}


def _all(*schemas: Schema) -> Schema:
    return schemas[0] if len(schemas) == 1 else {"allOf": list(schemas)}


def _any(*schemas: Schema) -> Schema:
    return schemas[0] if len(schemas) == 1 else {"anyOf": list(schemas)}
