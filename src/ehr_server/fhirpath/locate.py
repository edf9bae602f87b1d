"""Where the elements lie that a path selects: what a patch needs, to change them in place.

https://hl7.org/fhir/R4/fhirpatch.html. A path goes from element to element, narrowed by an index,
`where()`, `first()`, `last()`, `extension()` and `ofType()`; what is no walk through the resource,
such as `a | b` or `resolve()`, selects no place in it and is refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ehr_server.definitions import definitions
from ehr_server.fhirpath.compile import compile_node
from ehr_server.fhirpath.errors import FHIRPathError
from ehr_server.fhirpath.flow import all_values
from ehr_server.fhirpath.kinds import conforms
from ehr_server.fhirpath.parse import Indexer, Invocation, Literal, Member, Node, parse, type_name

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ehr_server.definitions import Element


@dataclass(frozen=True, slots=True)
class Spot:
    """One value and where it lies: under `key` of the object `holder`, at `at` of the list there
    if there is one. `type` is that of the value; of a whole resource there is no holder."""

    type: str
    value: Any
    holder: dict[str, Any] | None = None
    key: str = ""
    at: int | None = None
    element: Element | None = None


def locate(path: str, resource: dict[str, Any]) -> list[Spot]:
    """The places that a path selects in a resource, in their order.

    Raises `FHIRPathError` for a path that is none, or that is no walk through the resource.
    """
    whole = Spot(resource["resourceType"], resource)
    return _Walk(whole).spots(parse(path))


def steps(spot: Spot, name: str) -> list[Spot]:
    """The values of one element of a value; [] if there are none. Raises `FHIRPathError` for an
    element that its type does not have."""
    definition = definitions().types.get(spot.type)
    element = definition.elements.get(name) if definition else None
    if element is None:
        raise FHIRPathError(f"there is no element {name!r} in {spot.type}", 0)
    if not isinstance(spot.value, dict):
        return []
    return [found for key, kind in element.json_names() for found in _at(spot, key, kind, element)]


def _at(spot: Spot, key: str, kind: str, element: Element) -> list[Spot]:
    value = spot.value.get(key)
    if value is None:
        return []
    if not isinstance(value, list):
        return [Spot(_real(kind, value), value, spot.value, key, None, element)]
    return [
        Spot(_real(kind, one), one, spot.value, key, at, element) for at, one in enumerate(value)
    ]


def _real(kind: str, value: Any) -> str:
    """What is contained tells its type itself."""
    is_any = kind in ("Resource", "DomainResource") and isinstance(value, dict)
    return str(value.get("resourceType", kind)) if is_any else kind


@dataclass(frozen=True, slots=True)
class _Walk:
    whole: Spot

    def spots(self, node: Node) -> list[Spot]:
        match node:
            case Member(None, name):
                return self._first(name)
            case Member(source, name):
                before = self.spots(source) if source is not None else [self.whole]
                return [found for spot in before for found in steps(spot, name)]
            case Indexer(source, Literal(int() as at)):
                return self.spots(source)[at : at + 1]
            case Invocation(source, name, arguments):
                narrow = _NARROWING.get(name)
                if narrow is None:
                    raise FHIRPathError(f"{name}() selects no place to change", node.at)
                return narrow(
                    self, [self.whole] if source is None else self.spots(source), arguments
                )
            case _:
                raise FHIRPathError("this selects no place to change", node.at)

    def _first(self, name: str) -> list[Spot]:
        definition = definitions().types[self.whole.type]
        if name in definition.elements:
            return steps(self.whole, name)
        if name in definitions().types and conforms(definitions(), self.whole.type, name):
            return [self.whole]
        raise FHIRPathError(f"there is no element {name!r} in {self.whole.type}", 0)

    def where(self, spots: Sequence[Spot], arguments: Sequence[Node]) -> list[Spot]:
        (criterion,) = _exactly(1, arguments)
        return [spot for spot in spots if self._is_met(spot, criterion)]

    def _is_met(self, spot: Spot, criterion: Node) -> bool:
        values = all_values(compile_node(criterion, spot.type, definitions()))
        return list(values(spot.value, self.whole.value)) == [True]

    def extension(self, spots: Sequence[Spot], arguments: Sequence[Node]) -> list[Spot]:
        (url,) = _exactly(1, arguments)
        if not isinstance(url, Literal):
            raise FHIRPathError("extension() wants a url", url.at)
        every = [found for spot in spots for found in steps(spot, "extension")]
        return [found for found in every if found.value.get("url") == url.value]

    def of_type(self, spots: Sequence[Spot], arguments: Sequence[Node]) -> list[Spot]:
        (node,) = _exactly(1, arguments)
        wanted = type_name(node)
        if wanted is None or wanted not in definitions().types:
            raise FHIRPathError("ofType() wants the name of a type", node.at)
        return [spot for spot in spots if conforms(definitions(), spot.type, wanted)]

    def first(self, spots: Sequence[Spot], arguments: Sequence[Node]) -> list[Spot]:
        _exactly(0, arguments)
        return list(spots[:1])

    def last(self, spots: Sequence[Spot], arguments: Sequence[Node]) -> list[Spot]:
        _exactly(0, arguments)
        return list(spots[-1:])


def _exactly(count: int, arguments: Sequence[Node]) -> Sequence[Node]:
    if len(arguments) != count:
        raise FHIRPathError("wrong number of arguments", arguments[0].at if arguments else 0)
    return arguments


_NARROWING: dict[str, Callable[[_Walk, Sequence[Spot], Sequence[Node]], list[Spot]]] = {
    "where": _Walk.where,
    "extension": _Walk.extension,
    "ofType": _Walk.of_type,
    "as": _Walk.of_type,
    "first": _Walk.first,
    "last": _Walk.last,
}
