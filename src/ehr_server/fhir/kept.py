"""A Binary whose content is kept beside it: what the resource says in place of `data`.

https://hl7.org/fhir/R4/binary.html, https://hl7.org/fhir/R4/json.html#primitive: `_data` holds an
extension with an Attachment, which tells the size and the SHA-1 hash of what is not here
(https://hl7.org/fhir/R4/datatypes.html#Attachment), and in an extension of its own the SHA-256.
"""

from base64 import b64decode, b64encode
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from ehr_server.fhir import json

EXTENSION = "http://ehr-server.org/fhir/StructureDefinition/kept-content"
SHA_256 = "http://ehr-server.org/fhir/StructureDefinition/sha-256"

_MARK = EXTENSION.encode()
_HERE = b"\0"  # no JSON text holds it


@dataclass(frozen=True, slots=True)
class Kept:
    """Content of `size` bytes under a `key`, with its SHA-1 and SHA-256."""

    key: int
    size: int
    sha1: bytes
    sha256: bytes

    def is_same_as(self, other: "Kept") -> bool:
        """Whether both are the very same bytes."""
        return (self.size, self.sha256) == (other.size, other.sha256)


def with_kept(resource: dict[str, Any], kept: Kept) -> dict[str, Any]:
    """The Binary with a word about its content in place of the content."""
    sha256 = {"url": SHA_256, "valueBase64Binary": b64encode(kept.sha256).decode()}
    attachment = {
        "id": str(kept.key),
        "extension": [sha256],
        "size": kept.size,
        "hash": b64encode(kept.sha1).decode(),
    }
    told = {"url": EXTENSION, "valueAttachment": attachment}
    others = _others(resource)
    rest = {name: value for name, value in resource.items() if name not in ("data", "_data")}
    return {**rest, "_data": {**resource.get("_data", {}), "extension": [*others, told]}}


def without_kept(resource: dict[str, Any]) -> dict[str, Any]:
    """The Binary without such a word."""
    element = {**resource.get("_data", {}), "extension": _others(resource)}
    element = {name: value for name, value in element.items() if value}
    rest = {name: value for name, value in resource.items() if name != "_data"}
    return {**rest, "_data": element} if element else rest


def tells_of_kept(resource: dict[str, Any]) -> bool:
    """Whether the Binary claims that its content is kept beside it."""
    return len(_others(resource)) < len(_extensions(resource))


def kept_of(resource: dict[str, Any]) -> Kept | None:
    """What a Binary says of its content; None where it says nothing, or not in our words."""
    for extension in _extensions(resource):
        if isinstance(extension, dict) and extension.get("url") == EXTENSION:
            try:
                attachment = extension["valueAttachment"]
                (sha256,) = attachment["extension"]
                return Kept(
                    int(attachment["id"]),
                    int(attachment["size"]),
                    b64decode(attachment["hash"]),
                    b64decode(sha256["valueBase64Binary"]),
                )
            except (KeyError, TypeError, ValueError):
                return None
    return None


def kept_in(content: bytes) -> Kept | None:
    """As `kept_of`, of stored bytes; at no cost where there is nothing."""
    if _MARK not in content:
        return None
    resource = json.read_stored(content)
    return kept_of(resource) if resource["resourceType"] == "Binary" else None


def inlined_length(content: bytes, kept: Kept) -> int:
    """The length of what `inlined` gives, in bytes."""
    before, after = _around(content)
    return len(before) + (kept.size + 2) // 3 * 4 + len(after)


def inlined(content: bytes, parts: Iterable[bytes]) -> Iterator[bytes]:
    """The stored Binary with its content in `data`, piece by piece. The parts, of which only the
    last may have a length that is no multiple of three, are encoded one after another."""
    before, after = _around(content)
    yield before
    for part in parts:
        yield b64encode(part)
    yield after


def _around(content: bytes) -> tuple[bytes, bytes]:
    resource = without_kept(json.read_stored(content))
    data = json.raw(b'"' + _HERE + b'"')
    before, _, after = json.write({**resource, "data": data}).partition(_HERE)
    return before, after


def _extensions(resource: dict[str, Any]) -> list[Any]:
    element = resource.get("_data")
    found = element.get("extension") if isinstance(element, dict) else None
    return found if isinstance(found, list) else []


def _others(resource: dict[str, Any]) -> list[Any]:
    return [
        one
        for one in _extensions(resource)
        if not (isinstance(one, dict) and one.get("url") == EXTENSION)
    ]
