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
    writer = _Writer(is_pretty)
    writer.resource(resource, f' xmlns="{NAMESPACE}"', "\n" if is_pretty else "")
    return "".join(writer.parts).encode()


class _Writer:
    """Puts the document together. `line` is what goes before a tag: nothing, or a line break and
    the spaces of its depth."""

    def __init__(self, is_pretty: bool) -> None:
        self.parts = [_HEAD]
        self._step = "  " if is_pretty else ""

    def resource(self, resource: dict[str, Any], attributes: str, line: str) -> None:
        """A resource, named by its type."""
        type_name = resource["resourceType"]
        self.parts.append(f"{line}<{type_name}{attributes}>")
        self._elements(resource, type_name, line)
        self.parts.append(f"{line}</{type_name}>")

    def _elements(self, holder: dict[str, Any], type_name: str, line: str) -> None:
        for key, kind, element in _elements(type_name):
            value, shadow = holder.get(key), holder.get(f"_{key}")
            if value is None and shadow is None:
                continue
            for pair in _pairs(value, shadow) if element.is_list else ((value, shadow),):
                self._element(key, kind, pair, line + self._step)

    def _element(self, key: str, kind: str, pair: tuple[Any, Any], line: str) -> None:
        """One value, or what stands beside a primitive one."""
        value, shadow = pair
        if kind == "xhtml":
            self.parts.append(line + _ENTITY.sub(_meant, str(value).strip()))
        elif isinstance(value, dict) and kind == "Resource":
            self.parts.append(f"{line}<{key}>")
            self.resource(value, "", line + self._step)
            self.parts.append(f"{line}</{key}>")
        elif isinstance(value, dict):
            self._tag(key + _attributes(value, kind), value, kind, line)
        else:
            text = "" if value is None else f" value={_quoted(value)}"
            self._tag(
                key + _attributes(shadow or {}, "Element") + text, shadow or {}, "Element", line
            )

    def _tag(self, tag: str, value: dict[str, Any], kind: str, line: str) -> None:
        """A tag with its attributes, and the elements in it."""
        before = len(self.parts)
        self.parts.append(f"{line}<{tag}>")
        self._elements(value, kind, line)
        if len(self.parts) == before + 1:
            self.parts[before] = f"{line}<{tag}/>"
        else:
            self.parts.append(f"{line}</{tag.partition(' ')[0]}>")


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


def _pairs(value: Any, shadow: Any) -> Iterator[tuple[Any, Any]]:
    values, shadows = value or [], shadow or []
    for at in range(max(len(values), len(shadows))):
        yield (
            values[at] if at < len(values) else None,
            shadows[at] if at < len(shadows) else None,
        )


def _attributes(value: dict[str, Any], kind: str) -> str:
    """The id of an element, and the url of an extension."""
    names = ("id", "url") if kind == "Extension" else ("id",)
    return "".join(f" {name}={_quoted(value[name])}" for name in names if name in value)


def _meant(found: re.Match[str]) -> str:
    return html.unescape(found[0])


def _quoted(value: Any) -> str:
    """A value as an attribute; numbers and booleans are written as JSON writes them."""
    if isinstance(value, str):
        return quoteattr(value, _ESCAPED)
    return f'"{json.write(value).decode()}"'
