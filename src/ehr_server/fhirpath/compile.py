"""The tree to a flow of closures, typed by the definitions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ehr_server.fhirpath.amounts import UCUM
from ehr_server.fhirpath.arithmetic import negative
from ehr_server.fhirpath.errors import FHIRPathError, Unsupported
from ehr_server.fhirpath.flow import ALWAYS, DYNAMIC, Branch, Flow, single, start
from ehr_server.fhirpath.functions import FUNCTIONS
from ehr_server.fhirpath.functions.subsetting import item, item_at
from ehr_server.fhirpath.kinds import conforms, only, tested
from ehr_server.fhirpath.operators import OPERATORS
from ehr_server.fhirpath.parse import (
    Indexer,
    Invocation,
    Literal,
    Member,
    Negation,
    Node,
    Operation,
    Variable,
    parse,
    type_name,
)
from ehr_server.fhirpath.referred import REFERRED
from ehr_server.fhirpath.scope import Scope, resource_of
from ehr_server.fhirpath.site import Site
from ehr_server.fhirpath.steps import step
from ehr_server.fhirpath.system import kind

if TYPE_CHECKING:
    from ehr_server.definitions import Definitions
    from ehr_server.fhirpath.functions.row import Function


_CONSTANTS = {
    "%ucum": UCUM,
    "%sct": "http://snomed.info/sct",
    "%loinc": "http://loinc.org",
}
_NAMED = {
    "%vs-": "http://hl7.org/fhir/ValueSet/",
    "%ext-": "http://hl7.org/fhir/StructureDefinition/",
}
# What a `Scope` is needed for; all other expressions take the resource as it is.
_WIDE = (
    *("%context", "%rootResource", "resolve", "conformsTo", "memberOf", "subsumes", "subsumedBy"),
    *("now", "today", "timeOfDay"),
)


@dataclass(frozen=True, slots=True)
class Beyond:
    """What an expression may name beyond the specification: `variables` by their names with the
    sign, such as `%threshold`, and `functions`, which go before those of the table."""

    variables: Mapping[str, Flow] = field(default_factory=dict)
    functions: Mapping[str, Function] = field(default_factory=dict)


_NOTHING_BEYOND = Beyond()


def compile_flow(
    expression: str,
    type_: str,
    definitions: Definitions,
    *,
    follows: bool = False,
    beyond: Beyond = _NOTHING_BEYOND,
) -> Flow:
    """The flow of the expression on a focus of the type.

    `follows`: whether resolve() leads to resources, or to no more than their types. `beyond`: what
    it may name beyond the specification. Raises `FHIRPathError`, with the place, for what the
    grammar or the types do not hold, `Unsupported` for what this subset does not.
    """
    if type_ not in definitions.types and type_ != DYNAMIC:
        raise FHIRPathError(f"there is no type {type_!r}", 0, expression)
    try:
        compiler = _Compiler(type_, definitions, follows, beyond)
        return compiler.flow(parse(expression), start(type_))
    except FHIRPathError as error:
        raise type(error)(error.text, error.at, expression) from None
    except RecursionError:
        raise FHIRPathError("the expression is nested too deeply", 0, expression) from None


def compile_node(node: Node, type_: str, definitions: Definitions) -> Flow:
    """The flow of a part of an expression that is parsed already; raises as `compile_flow`."""
    return _Compiler(type_, definitions, False).flow(node, start(type_))


def constant(value: Any, type_: str) -> Flow:
    """The flow of a value that is always the same; none at all where it is None."""
    if value is None:
        return Flow(())
    return Flow((Branch(type_, lambda focus, resource: value, keys=ALWAYS),))  # noqa: ARG005


def is_wide(expression: str) -> bool:
    """Whether the expression asks for more than its value and the resource around that."""
    return any(word in expression for word in _WIDE)


@dataclass(frozen=True, slots=True)
class _Compiler:
    type: str
    definitions: Definitions
    follows: bool
    beyond: Beyond = _NOTHING_BEYOND

    def flow(self, node: Node, focus: Branch) -> Flow:
        match node:
            case Literal():
                return constant(node.value, node.type)
            case Variable():
                return self._variable(node, focus)
            case Member():
                return self._member(node, focus)
            case Invocation():
                return self._invocation(node, focus)
            case Indexer():
                return self._indexed(node, focus)
            case Operation():
                return self._operation(node, focus)
            case Negation():
                return self._negated(node, focus)

    def _variable(self, node: Variable, focus: Branch) -> Flow:
        if (given := self.beyond.variables.get(node.name)) is not None:
            return given
        if node.name == "$this":
            return Flow((focus,))
        if node.name == "%resource":
            type_ = self.type.partition(".")[0]  # a backbone lies in the resource it is named by
            if not conforms(self.definitions, type_, "Resource"):
                type_ = "Resource"
            return Flow((Branch(type_, _resource),))
        if node.name == "%rootResource":
            return Flow((Branch("Resource", _root),))
        if node.name == "%context":
            return Flow((Branch(self.type, _context),))
        if (url := _constant_url(node.name)) is not None:
            return constant(url, "uri")
        raise Unsupported(f"{node.name} is not supported", node.at)

    def _member(self, node: Member, focus: Branch) -> Flow:
        if node.source is None:
            if focus.type == DYNAMIC and node.name in self.definitions.types:
                return only(self.definitions, Flow((focus,)), node.name)
            if _names_type(node, focus, self.definitions):
                is_kind = conforms(self.definitions, focus.type, node.name)
                return Flow((focus,) if is_kind else ())
            source = Flow((focus,))
        else:
            source = self.flow(node.source, focus)
        steps = [step(self.definitions, branch, node.name) for branch in source.branches]
        if steps and all(found is None for found in steps):
            raise FHIRPathError(_no_element(node.name, source), node.at)
        return Flow(tuple(branch for found in steps if found for branch in found))

    def _invocation(self, node: Invocation, focus: Branch) -> Flow:
        function = self.beyond.functions.get(node.name) or FUNCTIONS.get(node.name)
        if function is None:
            raise Unsupported(f"the function {node.name}() is not supported", node.at)
        if not function.arguments_min <= len(node.arguments) <= function.arguments_max:
            raise FHIRPathError(f"wrong number of arguments of {node.name}()", node.at)
        source = Flow((focus,)) if node.source is None else self.flow(node.source, focus)
        return function.compile(
            Site(
                node.name,
                source,
                node.arguments,
                node.at,
                self.definitions,
                focus,
                self.flow,
                self.follows,
            )
        )

    def _indexed(self, node: Indexer, focus: Branch) -> Flow:
        source = self.flow(node.source, focus)
        if isinstance(node.index, Literal) and type(node.index.value) is int:
            return item(source, node.index.value)
        index = self.flow(node.index, focus)
        if any(kind(branch.type) != "number" for branch in index.branches):
            raise FHIRPathError("an index is a whole number", node.index.at)
        return item_at(source, single(index))

    def _operation(self, node: Operation, focus: Branch) -> Flow:
        if node.operator in ("is", "as"):
            wanted = type_name(node.right)
            if wanted is None or wanted not in self.definitions.types:
                raise FHIRPathError(f"{node.operator} wants the name of a type", node.right.at)
            narrow = tested if node.operator == "is" else only
            return narrow(self.definitions, self.flow(node.left, focus), wanted)
        operator = OPERATORS.get(node.operator)
        if operator is None:
            raise Unsupported(f"the operator {node.operator} is not supported", node.at)
        return operator(self.flow(node.left, focus), self.flow(node.right, focus))

    def _negated(self, node: Negation, focus: Branch) -> Flow:
        operand = node.operand
        if isinstance(operand, Literal) and operand.type in ("integer", "decimal"):
            value = -operand.value  # type: ignore[operator]
            return constant(value, operand.type)
        return negative(self.flow(operand, focus))


def _names_type(node: Member, focus: Branch, definitions: Definitions) -> bool:
    """Whether the name at the beginning is a type's: `Patient.name`, on any resource."""
    definition = definitions.types.get(node.name)
    if definition is None or not node.name[0].isupper():
        return False
    here = definitions.types.get(focus.type)
    return here is None or node.name not in here.elements


def _no_element(name: str, source: Flow) -> str:
    types = sorted({branch.type for branch in source.branches})
    if types == [REFERRED]:
        return "what resolve() leads to can only be asked for its type"
    return f"there is no element {name!r} in {', '.join(types)}"


def _constant_url(name: str) -> str | None:
    for prefix, base in _NAMED.items():
        if name.startswith(prefix):
            return base + name.removeprefix(prefix)
    return _CONSTANTS.get(name)


def _resource(focus: Any, resource: Any) -> Any:  # noqa: ARG001
    return resource_of(resource)


def _root(focus: Any, resource: Any) -> Any:  # noqa: ARG001
    return resource.root if type(resource) is Scope else resource


def _context(focus: Any, resource: Any) -> Any:  # noqa: ARG001
    return resource.context
