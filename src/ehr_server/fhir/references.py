"""References between resources, by their written form.

https://hl7.org/fhir/R4/references.html#literal and
https://hl7.org/fhir/R4/references.html#canonical.
"""

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

Kind = Literal["local", "absolute", "contained", "urn", "conditional", "canonical", "other"]

ID = re.compile(r"[A-Za-z0-9\-.]{1,64}")
_RELATIVE = re.compile(
    r"(?P<type>[A-Z][A-Za-z]+)/(?P<id>[A-Za-z0-9\-.]{1,64})"
    r"(?:/_history/(?P<version>[A-Za-z0-9\-.]{1,64}))?"
)
_WRITTEN = re.compile(rb'"reference":"([^"]*)"')
_CONDITIONAL = re.compile(r"(?P<type>[A-Z][A-Za-z]+)\?(?P<query>.+)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Reference:
    """A reference taken apart.

    `type`, `id` and `version` of a resource that the reference names, here (`local`) or on
    another server (`absolute`); `type` and `query` of a `conditional` one; `version` of a
    `canonical`. `text` is the reference without its version, so that two references to one
    resource have the same `kind` and `text`; of a `contained` one it is the id after the `#`.
    """

    kind: Kind
    text: str
    type: str | None = None
    id: str | None = None
    version: str | None = None
    query: str | None = None


def parse(text: str, base: str = "") -> Reference:
    """Take a reference apart. `base` is this server's own, such as `http://here/fhir`.

    What fits no form is of kind `other`; nothing is raised.
    """
    return _cached(text, base) if len(text) < _CACHED_MAX else _parse(text, base)


def mentioned(content: bytes, base: str = "") -> list[Reference]:
    """The references in a stored content (compact JSON), in order, without parsing it.

    An element of this name is a Reference's everywhere in R4; inside a text its quotes are escaped.
    """
    return [parse(text.decode(), base) for text in _WRITTEN.findall(content) if b"\\" not in text]


def _parse(text: str, base: str) -> Reference:
    relative = text
    if base and text.startswith(base) and text[len(base) :].startswith("/"):
        relative = text[len(base) + 1 :]
    if match := _RELATIVE.fullmatch(relative):
        type_name, id_ = match["type"], match["id"]
        return Reference("local", f"{type_name}/{id_}", type_name, id_, match["version"])
    if text.startswith("#"):
        return Reference("contained", text[1:])
    if text.startswith(("urn:uuid:", "urn:oid:")):
        return Reference("urn", text)
    if match := _CONDITIONAL.fullmatch(relative):
        return Reference("conditional", relative, match["type"], query=match["query"])
    return _absolute(text)


_CACHED_MAX = 300  # characters; a text of a megabyte must not stay
_cached = lru_cache(maxsize=8192)(_parse)


def _absolute(text: str) -> Reference:
    scheme, colon, _ = text.partition(":")
    if not colon or not scheme.isascii() or not scheme.replace("+", "").isalnum():
        return Reference("other", text)
    url, bar, version = text.partition("|")
    if bar:
        return Reference("canonical", url, version=version)
    head, slash, tail = _last_two(url)
    if slash and (match := _RELATIVE.fullmatch(tail)):
        text = f"{head}/{match['type']}/{match['id']}"
        return Reference("absolute", text, match["type"], match["id"], match["version"])
    return Reference("canonical", url)


def _last_two(url: str) -> tuple[str, str, str]:
    """The url cut before its `Type/id[/_history/version]`."""
    parts = url.split("/")
    count = 4 if len(parts) > 5 and parts[-2] == "_history" else 2
    head = "/".join(parts[:-count])
    return head, "/" if len(parts) > count + 2 else "", "/".join(parts[-count:])
