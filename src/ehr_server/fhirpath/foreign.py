"""The door of fhirpathpy, the library for expressions that our own compiler does not hold.

https://github.com/beda-software/fhirpath-py. It is slow, so for cold paths alone. What it lacks or
does otherwise than a server must, is given to it here: `trace()` would print what a record holds,
`matches()` would run on an engine that one pattern can stop; `hasValue()` and `resolve()` it has
not.
"""

from __future__ import annotations

from copy import deepcopy
from functools import cache
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from ehr_server.fhirpath.errors import FHIRPathError
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
)
from ehr_server.fhirpath.referred import followed
from ehr_server.fhirpath.scope import NOWHERE, Reach, Scope
from ehr_server.patterns import matcher

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from ehr_server.fhirpath.errors import Unsupported
    from ehr_server.fhirpath.invariant import Holds

_VARIABLES = frozenset(
    ("$this", "$index", "$total", "%context", "%resource", "%rootResource", "%ucum")
)


def compile_invariant(expression: str, type_name: str, reason: Unsupported) -> Holds:
    """The invariant as the library sees it; what it cannot answer is None.

    Raises `FHIRPathError` if it cannot hold the expression either: then for the `reason` that our
    own compiler gave.
    """
    for node in _nodes(parse(expression)):
        if isinstance(node, Variable) and node.name not in _VARIABLES:
            raise FHIRPathError(f"{node.name} is not supported", node.at, expression)
        if isinstance(node, Invocation):
            _check(node, expression, reason)
    run = compile_foreign(expression, type_name)

    def holds(
        value: Any, resource: dict[str, Any] | None = None, around: Reach | None = None
    ) -> bool | None:
        scope = Scope(value if resource is None else resource, value, around or NOWHERE)
        try:
            found = run(value, scope)
        except Exception:  # whatever the library raises, it is no answer
            return None
        if len(found) != 1:
            return None
        return found[0] if isinstance(found[0], bool) else True

    return holds


def compile_foreign(expression: str, type_name: str) -> Callable[[Any, Scope], list[Any]]:
    """A function from a value of the type and its scope to what the library finds there.

    Raises `FHIRPathError` if it does not parse there; the function whatever the library raises.
    """
    library = _library()
    try:
        tree = library.parse(expression)
    except Exception:  # of the library's parser, which has its own
        raise FHIRPathError("this expression is not understood", 0, expression) from None

    def run(value: Any, scope: Scope) -> list[Any]:
        node = library.ResourceNode.create_node(deepcopy(value), type_name)
        variables = {"context": node, "resource": scope.resource, "rootResource": scope.root}
        options = {"userInvocationTable": _functions(scope)}
        model = library.models["r4"]
        found: list[Any] = library.apply_parsed_path(node, tree, variables, model, options)
        return found

    return run


def _check(node: Invocation, expression: str, reason: Unsupported) -> None:
    """That the library has the function, and that its pattern is one that ours can run."""
    if node.name == "replaceMatches" or node.name not in _known():
        raise FHIRPathError(reason.text, reason.at, expression)
    if node.name == "matches":
        pattern = node.arguments[0] if node.arguments else None
        if not isinstance(pattern, Literal) or not isinstance(pattern.value, str):
            raise FHIRPathError("matches() wants a string", node.at, expression)
        try:
            matcher(pattern.value)
        except ValueError as error:
            raise FHIRPathError(f"not a regular expression: {error}", node.at, expression) from None


@cache
def _library() -> Any:
    """The library, which takes a while to load; most servers never need it."""
    import fhirpathpy
    from fhirpathpy.engine import invocations, nodes
    from fhirpathpy.models import models
    from fhirpathpy.parser import parse as parse_foreign

    return SimpleNamespace(
        apply_parsed_path=fhirpathpy.apply_parsed_path,
        functions=invocations.invocation_registry,
        models=models,
        parse=parse_foreign,
        ResourceNode=nodes.ResourceNode,
    )


@cache
def _known() -> frozenset[str]:
    return frozenset(_library().functions) | _functions(Scope(None, None)).keys()


def _functions(scope: Scope) -> Mapping[str, Any]:
    """What the library is to call instead of its own, or has not."""

    def resolved(values: list[Any]) -> list[Any]:
        targets = (followed(value, scope) for value in values)
        return [target.value for target in targets if target is not None]

    def has_value(values: list[Any]) -> bool:
        return len(values) == 1 and values[0] is not None and not isinstance(values[0], dict)

    return {
        "trace": {"fn": _same, "arity": {1: ["String"], 2: ["String", "Expr"]}},
        "matches": {"fn": _matches, "arity": {1: ["String"]}, "nullable_input": True},
        "hasValue": {"fn": has_value, "arity": {0: []}},
        "htmlChecks": {"fn": lambda values: True, "arity": {0: []}},  # noqa: ARG005
        "resolve": {"fn": resolved, "arity": {0: []}},
    }


def _same(values: list[Any], *_: Any) -> list[Any]:
    return values


def _matches(values: list[Any], pattern: str) -> bool | list[Any]:
    if len(values) != 1 or not isinstance(values[0], str):
        return []
    return matcher(pattern)(values[0])


def _nodes(node: Node) -> Iterator[Node]:
    """The node and all below it."""
    yield node
    match node:
        case Member(source=source) if source is not None:
            yield from _nodes(source)
        case Invocation(source=source, arguments=arguments):
            for inner in (source, *arguments):
                if inner is not None:
                    yield from _nodes(inner)
        case Indexer(source=source, index=index):
            yield from _nodes(source)
            yield from _nodes(index)
        case Operation(left=left, right=right):
            yield from _nodes(left)
            yield from _nodes(right)
        case Negation(operand=operand):
            yield from _nodes(operand)
