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
_ATTRIBUTE = re.compile(r"""(<(?:a|img)\b[^>]*?\s(?:href|src)\s*=\s*)(["'])(.*?)\2""", re.DOTALL)


def references(resource: dict[str, Any]) -> list[dict[str, Any]]:
    """Every Reference of the resource that has a `reference`, contained ones included."""
    found = []
    nodes: list[Any] = [resource]
    while nodes:
        node = nodes.pop()
        if type(node) is dict:
            if type(node.get("reference")) is str:
                found.append(node)
            nodes.extend(value for value in node.values() if type(value) in _NESTED)
        else:
            nodes.extend(value for value in node if type(value) in _NESTED)
    return found


def follow(resource: dict[str, Any], links: Mapping[str, str]) -> None:
    """Replace the links in elements other than references, in place."""
    if _holds(resource, links):
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


_NESTED = {dict, list}


def _holds(resource: dict[str, Any], links: Mapping[str, str]) -> bool:
    """Whether any string but a reference is a link: seldom, so look before walking by type."""
    nodes: list[Any] = [resource]
    while nodes:
        node = nodes.pop()
        for name, value in node.items() if type(node) is dict else enumerate(node):
            if type(value) is str:
                if (value in links and name != "reference") or (name == "div" and "<" in value):
                    return True
            elif type(value) in _NESTED:
                nodes.append(value)
    return False


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
    for choice in definition.elements.values():
        if choice.is_choice and name.startswith(choice.name):
            kind = name[len(choice.name) :]
            return tuple(found for found in choice.types if found[:1].upper() + found[1:] == kind)
    return ()


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
