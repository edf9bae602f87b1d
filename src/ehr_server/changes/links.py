"""References, and the links of a transaction that must follow the ids given by the server.

https://hl7.org/fhir/R4/http.html#trules: a link that equals an entry's fullUrl is replaced in
Reference.reference, in elements of type uri, url, oid and uuid, and in <a href> and <img src> of
narratives; never in canonical.
"""

import re
from collections.abc import Mapping
from typing import Any

from ehr_server.changes.change import Change
from ehr_server.definitions import definitions

_FOLLOWING = {"uri", "url", "oid", "uuid"}
_SHOWN = re.compile(r"\s(?:href|src)\s*=")
_ATTRIBUTE = re.compile(r"""(<(?:a|img)\b[^>]*?\s(?:href|src)\s*=\s*)(["'])(.*?)\2""", re.DOTALL)


def scan(resource: dict[str, Any], links: Mapping[str, str]) -> tuple[list[dict[str, Any]], bool]:
    """The References that have a `reference`, contained ones included, and whether a link may
    stand elsewhere too. One look at every string, without asking for its type: 8 µs a resource;
    where there are no links, at the References alone: 5 µs.

    The entries of a Bundle refer to each other, so theirs are left as they are.
    """
    found: list[dict[str, Any]] = []
    elsewhere = False
    nodes: list[Any] = [resource]
    if resource.get("resourceType") == "Bundle":
        nodes = [{name: value for name, value in resource.items() if name != "entry"}]
    if not links:
        _add_references(nodes[0], found)
        return found, False
    while nodes:
        node = nodes.pop()
        for name, value in node.items() if type(node) is dict else enumerate(node):
            kind = type(value)
            if kind is dict or kind is list:
                nodes.append(value)
            elif kind is str:
                if name == "reference":
                    found.append(node)
                elif value in links or (name == "div" and _SHOWN.search(value)):
                    elsewhere = True
    return found, elsewhere


def follow(resource: dict[str, Any], links: Mapping[str, str]) -> None:
    """Replace the links in elements other than references, in place."""
    _follow(resource, resource["resourceType"], links)


def place_of(change: Change, reference: Mapping[str, Any]) -> str:
    """The FHIRPath location of one of the change's references."""
    paths: list[tuple[str, Any]] = [(change.where, change.resource)]
    while paths:
        path, node = paths.pop()
        if node is reference:
            return f"{path}.reference"
        if isinstance(node, dict):
            paths.extend((f"{path}.{name}", value) for name, value in node.items())
        elif isinstance(node, list):
            paths.extend((f"{path}[{index}]", value) for index, value in enumerate(node))
    return change.where


def _add_references(node: dict[str, Any], found: list[dict[str, Any]]) -> None:
    if type(node.get("reference")) is str:
        found.append(node)
    for value in node.values():
        kind = type(value)
        if kind is dict:
            _add_references(value, found)
        elif kind is list:
            for one in value:
                if type(one) is dict:
                    _add_references(one, found)


def _follow(node: dict[str, Any], type_name: str, links: Mapping[str, str]) -> None:
    for name, value in node.items():
        for kind in _types_of(type_name, name):
            if name in {"contained", "resource"} and isinstance(value, dict | list):
                _each_resource(value, links)
            elif isinstance(value, dict):
                _follow(value, kind, links)
            elif isinstance(value, list):
                node[name] = [_item(item, kind, links) for item in value]
            elif isinstance(value, str):
                node[name] = _text(value, kind, links)


def _types_of(type_name: str, name: str) -> tuple[str, ...]:
    definition = definitions().types.get(type_name)
    if definition is None:
        return ()
    element = definition.elements.get(name)
    if element is not None:
        return element.types[:1]
    choices = (one for one in definition.elements.values() if one.is_choice)
    return tuple(kind for one in choices for own, kind in one.json_names() if own == name)


def _each_resource(value: Any, links: Mapping[str, str]) -> None:
    for resource in value if isinstance(value, list) else [value]:
        if isinstance(resource, dict) and isinstance(resource.get("resourceType"), str):
            _follow(resource, resource["resourceType"], links)


def _item(item: Any, kind: str, links: Mapping[str, str]) -> Any:
    if isinstance(item, dict):
        _follow(item, kind, links)
        return item
    return _text(item, kind, links) if isinstance(item, str) else item


def _text(value: str, kind: str, links: Mapping[str, str]) -> str:
    if kind in _FOLLOWING:
        return links.get(value, value)
    if kind == "xhtml":
        return _ATTRIBUTE.sub(lambda found: _attribute(found, links), value)
    return value


def _attribute(found: re.Match[str], links: Mapping[str, str]) -> str:
    start, quote, link = found.groups()
    return f"{start}{quote}{links.get(link, link)}{quote}"
