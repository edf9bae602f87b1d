"""The ids that resources get here, and what references become: pure.

Kept, a resource has the id that came with it. Assigned, its id follows from the source and from
the id that it came with, so that references are put right without looking at any other line, and a
second run comes to the same ids; without an id it follows from the words of the resource and the
place where it stands.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

from ehr_server.fhir.references import parse

_URN = "urn:uuid:"
_BYTES = 16
_SEPARATOR = b"\x1f"

# What a resource that was given another id says of where it comes from:
# https://github.com/smart-on-fhir/bulk-import/blob/master/import.md#preserving-resource-ids
ORIGIN = "http://hl7.org/fhir/StructureDefinition/import-source"

Identity = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Assigned:
    """The ids of what comes from one source."""

    source: str

    def of(self, type_name: str, given: str) -> str:
        """Of a resource that came with an id."""
        return _digest(self.source, type_name, given)

    def of_words(self, type_name: str, data: bytes, place: str) -> str:
        """Of one that came without, its words being `data`: nothing can refer to it."""
        return _digest(self.source, type_name, place, data)


def named_by_urn(reference: dict[str, Any]) -> Identity | None:
    """What a reference means by the UUID of a resource that stands on another line; None where it
    does not say of which type that is, or means something else."""
    text, type_name = reference.get("reference"), reference.get("type")
    if isinstance(text, str) and text.startswith(_URN) and isinstance(type_name, str):
        return type_name, text.removeprefix(_URN)
    return None


def meant(reference: dict[str, Any], base: str) -> tuple[Identity, str] | None:
    """The resource here that a reference leads to, and what follows its id: a version, perhaps."""
    by_urn = named_by_urn(reference)
    if by_urn is not None:
        return by_urn, ""
    text = reference["reference"]
    found = parse(text, base) if isinstance(text, str) else None
    if found is None or found.kind != "local" or not found.type or not found.id:
        return None
    return (found.type, found.id), f"/_history/{found.version}" if found.version else ""


def with_origin(resource: dict[str, Any], source: str, given: str) -> dict[str, Any]:
    """The resource, saying what it was called where it comes from."""
    meta = resource.get("meta", {})
    if not isinstance(meta, dict):
        return resource  # it will be refused
    came = {"system": source, "value": f"{resource['resourceType']}/{given}"}
    there = meta.get("extension", [])
    if not isinstance(there, list):
        return resource  # it will be refused
    others = [one for one in there if not (isinstance(one, dict) and one.get("url") == ORIGIN)]
    said = [*others, {"url": ORIGIN, "valueIdentifier": came}]
    return {**resource, "meta": {**meta, "extension": said}}


def _digest(*parts: str | bytes) -> str:
    """128 bits, written so that it is never a row of digits alone, as numbers of people are."""
    hashed = blake2b(digest_size=_BYTES)
    for part in parts:
        hashed.update(part.encode() if isinstance(part, str) else part)
        hashed.update(_SEPARATOR)
    return f"i{hashed.hexdigest()}"
