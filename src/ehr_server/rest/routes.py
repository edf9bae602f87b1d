"""The route table: method and path -> deed, as data. One table for the socket and for Bundles."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib import import_module
from pkgutil import iter_modules

from ehr_server import operations
from ehr_server.call import Request, Route
from ehr_server.definitions import definitions
from ehr_server.errors import NotAllowed, NotFound
from ehr_server.interactions import audit_event, binary, create, delete, patch, update
from ehr_server.interactions.batch import bundle
from ehr_server.interactions.history import history_instance, history_type
from ehr_server.interactions.read import read
from ehr_server.interactions.search import search, search_compartment, search_system
from ehr_server.interactions.vread import vread
from ehr_server.redact import without_numbers
from ehr_server.rest.capabilities import capabilities

INTERACTIONS = (
    Route("capabilities", "GET", "metadata", capabilities),
    Route("transaction", "POST", "", bundle),
    Route("history-system", "GET", "_history", history_type),
    Route("search-system", "GET", "", search_system),
    Route("search-system", "POST", "_search", search_system),
    Route("search-type", "GET", "{type}", search),
    Route("search-type", "POST", "{type}/_search", search),
    Route("create", "POST", "{type}", create.create, create.change),
    Route("history-type", "GET", "{type}/_history", history_type),
    Route("read", "GET", "{type}/{id}", read),
    Route("update", "PUT", "{type}/{id}", update.update, update.change),
    Route("update", "PUT", "{type}", update.update, update.change),
    Route("patch", "PATCH", "{type}/{id}", patch.patch, patch.change),
    Route("patch", "PATCH", "{type}", patch.patch, patch.change),
    Route("delete", "DELETE", "{type}/{id}", delete.delete, delete.change),
    Route("delete", "DELETE", "{type}", delete.delete, delete.change),
    Route("history-instance", "GET", "{type}/{id}/_history", history_instance),
    Route("search-compartment", "GET", "{type}/{id}/{member}", search_compartment),
    Route("search-compartment", "POST", "{type}/{id}/{member}/_search", search_compartment),
    Route("vread", "GET", "{type}/{id}/_history/{vid}", vread),
    Route("create", "POST", "Binary", binary.create, create.change),
    Route("read", "GET", "Binary/{id}", binary.read),
    Route("update", "PUT", "Binary/{id}", binary.update, update.change),
    Route("vread", "GET", "Binary/{id}/_history/{vid}", binary.vread),
    Route("search-type", "GET", "AuditEvent", audit_event.search),
    Route("search-type", "POST", "AuditEvent/_search", audit_event.search),
    Route("read", "GET", "AuditEvent/{id}", audit_event.read),
)


def found_operations() -> Iterator[Route]:
    """The routes that the modules of `operations/` declare."""
    for module in iter_modules(operations.__path__, f"{operations.__name__}."):
        yield from getattr(import_module(module.name), "ROUTES", ())


class RouteTable:
    """Finds the row for a request by walking a tree of path segments, whatever their number."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._rows = tuple(routes)
        self._tree: _Node = _Node()
        for route in self._rows:
            node = self._tree
            for segment in route.pattern.split("/") if route.pattern else ():
                node = node.below(segment)
            node.routes[route.method] = route

    def rows(self) -> Sequence[Route]:
        """All rows, in the order declared."""
        return self._rows

    def match(self, request: Request) -> tuple[Route, Mapping[str, str]]:
        """The row for a request, and the parts of its path.

        Raises `NotFound` for a type or path that is not there, `NotAllowed` with the methods that
        are.
        """
        parts: dict[str, str] = {}
        node = self._node(request, parts)
        method = "GET" if request.method == "HEAD" else request.method
        route = node.routes.get(method)
        if route is None:
            allowed = ", ".join(_methods(node))
            raise NotAllowed(
                f"{request.method} is not possible here; possible: {allowed}.",
                vi=f"Không thể {request.method} ở đây; có thể: {allowed}.",
                headers={"Allow": allowed},
            )
        return route, parts

    def methods(self, request: Request) -> list[str]:
        """The methods that are possible at the path of a request. Raises `NotFound`."""
        return _methods(self._node(request, {}))

    def _node(self, request: Request, parts: dict[str, str]) -> "_Node":
        node: _Node | None = self._tree
        for segment in request.path:
            node = node.step(segment, parts) if node is not None else None
        if node is None or not node.routes:
            raise _not_found(request)
        return node


class _Node:
    def __init__(self) -> None:
        self.literal: dict[str, _Node] = {}
        self.named: dict[str, _Node] = {}
        self.routes: dict[str, Route] = {}
        self.joined: dict[str, _Node] = {}

    def below(self, segment: str) -> "_Node":
        if segment.startswith("{"):
            return self.named.setdefault(segment[1:-1], _Node())
        return self.literal.setdefault(segment, _Node())

    def step(self, segment: str, parts: dict[str, str]) -> "_Node | None":
        literal = self.literal.get(segment)
        if literal is not None:
            return self._both(literal, segment, parts)
        for name, node in self.named.items():
            if name == "type" and segment not in definitions().type_number:
                continue
            if segment.startswith(("_", "$")) or "\0" in segment:  # PostgreSQL takes no NUL
                continue
            parts[name] = segment
            return node
        return None

    def _both(self, literal: "_Node", segment: str, parts: dict[str, str]) -> "_Node":
        """`Patient/$export` beside `{type}`: the literal row must not hide the general ones."""
        general = self.named.get("type")
        if general is None or segment not in definitions().type_number:
            return literal
        parts["type"] = segment
        if segment not in self.joined:
            self.joined[segment] = _together(general, literal)
        return self.joined[segment]


def _together(general: _Node, special: _Node) -> _Node:
    """One node of both, all the way down; where both have a row, the special one's."""
    node = _Node()
    node.routes = {**general.routes, **special.routes}
    node.literal = _joined(general.literal, special.literal)
    node.named = _joined(general.named, special.named)
    return node


def _joined(general: dict[str, _Node], special: dict[str, _Node]) -> dict[str, _Node]:
    both = general.keys() & special.keys()
    return {
        **general,
        **special,
        **{name: _together(general[name], special[name]) for name in both},
    }


def _methods(node: _Node) -> list[str]:
    """What Allow lists: HEAD is possible where GET is, OPTIONS everywhere."""
    return sorted({*node.routes, "OPTIONS", *(("HEAD",) if "GET" in node.routes else ())})


def _not_found(request: Request) -> NotFound:
    first = request.path[0] if request.path else ""
    if first and first not in definitions().type_number and first[:1].isupper():
        told = without_numbers(first)
        return NotFound(
            f"{told} is not a resource type of FHIR R4.",
            vi=f"{told} không phải loại tài nguyên của FHIR R4.",
        )
    return NotFound("There is nothing at this address.", vi="Không có gì ở địa chỉ này.")
