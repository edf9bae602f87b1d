"""A resource as XML: https://hl7.org/fhir/R4/xml.html

The elements stand in the order of the definitions; a primitive value is an attribute, numbers with
the digits that they have. The narrative stands as it was sent, so that it comes back the same.
"""

import html
import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any
from xml.sax.saxutils import quoteattr

from ehr_server.definitions.model import Element, definitions
from ehr_server.fhir import json

NAMESPACE = "http://hl7.org/fhir"

_HEAD = '<?xml version="1.0" encoding="UTF-8"?>'
# The names of HTML, which XML does not know but for five of them.
_ENTITY = re.compile("&(?!(?:amp|lt|gt|quot|apos);)[A-Za-z][A-Za-z0-9]*;")
_ESCAPED = {"\n": "&#10;", "\r": "&#13;", "\t": "&#9;"}


def to_xml(resource: dict[str, Any], *, is_pretty: bool = False) -> bytes:
    """The resource as an XML document in UTF-8; for people with a line for each element.

    It must keep to the definitions: what they do not know is left out.
    """
    parts = [_HEAD]
    end = "\n" if is_pretty else ""
    _resource(resource, parts, f' xmlns="{NAMESPACE}"', end)
    return "".join(parts).encode()


def _resource(resource: dict[str, Any], parts: list[str], attributes: str, end: str) -> None:
    type_name = resource["resourceType"]
    parts.append(f"{end}<{type_name}{attributes}>")
    for key, kind, element in _elements(type_name):
        _element(resource, key, kind, element, parts, end and f"{end}  ")
    parts.append(f"{end}</{type_name}>")


@lru_cache(maxsize=1024)
def _elements(type_name: str) -> tuple[tuple[str, str, Element], ...]:
    """The keys that a value of the type may have in JSON, in the order of XML; what is an attribute
    there is left out."""
    definition = definitions().types[type_name]
    return tuple(
        (key, kind, element)
        for element in definition.elements.values()
        for key, kind in element.json_names()
        if definition.kind == "resource" or not element.is_bare
    )


def _element(
    holder: dict[str, Any], key: str, kind: str, element: Element, parts: list[str], end: str
) -> None:
    value, shadow = holder.get(key), holder.get(f"_{key}")
    if value is None and shadow is None:
        return
    for one, beside in _pairs(value, shadow) if element.is_list else ((value, shadow),):
        if kind == "xhtml":
            parts.append(end + _ENTITY.sub(lambda found: html.unescape(found[0]), str(one).strip()))
        elif isinstance(one, dict) and kind == "Resource":
            parts.append(f"{end}<{key}>")
            _resource(one, parts, "", end and f"{end}  ")
            parts.append(f"{end}</{key}>")
        elif isinstance(one, dict):
            _complex(one, key, kind, "", parts, end)
        else:
            text = "" if one is None else f" value={_quoted(one)}"
            _complex(beside or {}, key, "Element", text, parts, end)


def _pairs(value: Any, shadow: Any) -> Iterator[tuple[Any, Any]]:
    values, shadows = value or [], shadow or []
    for at in range(max(len(values), len(shadows))):
        yield (
            values[at] if at < len(values) else None,
            shadows[at] if at < len(shadows) else None,
        )


def _complex(
    value: dict[str, Any], key: str, kind: str, attributes: str, parts: list[str], end: str
) -> None:
    """A value with elements: id, and of an extension url, are attributes."""
    for name in ("id", "url") if kind == "Extension" else ("id",):
        if name in value:
            attributes = f" {name}={_quoted(value[name])}{attributes}"
    before = len(parts)
    parts.append(f"{end}<{key}{attributes}>")
    for name, inner, element in _elements(kind):
        _element(value, name, inner, element, parts, end and f"{end}  ")
    if len(parts) == before + 1:
        parts[before] = f"{end}<{key}{attributes}/>"
    else:
        parts.append(f"{end}</{key}>")


def _quoted(value: Any) -> str:
    """A value as an attribute; numbers and booleans are written as JSON writes them."""
    if isinstance(value, str):
        return quoteattr(value, _ESCAPED)
    return f'"{json.write(value).decode()}"'
