"""Media types in headers: what is accepted, what is sent. Pure.

https://www.rfc-editor.org/rfc/rfc9110#name-accept, https://hl7.org/fhir/R4/http.html#mime-type
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from ehr_server.errors import UnsupportedMediaType

_WEIGHT = re.compile(r"[01](?:\.[0-9]*)?|\.[0-9]+", re.ASCII)
_UTF8 = {"utf-8", "utf8", "us-ascii"}  # ASCII is UTF-8
_VERSIONS = {"4.0", "4.0.1"}


@dataclass(frozen=True, slots=True)
class MediaType:
    """A media type or range: `name` and the names of `parameters` in lower case, `q` from 0 (not
    at all) to 1."""

    name: str
    parameters: Mapping[str, str] = field(default_factory=dict)
    q: float = 1.0

    @property
    def is_r4(self) -> bool:
        """Whether it is of no other version of FHIR: `fhirVersion=4.0`, or nothing said of it.

        https://hl7.org/fhir/R4/http.html#version-parameter
        """
        return self.parameters.get("fhirversion", "4.0") in _VERSIONS

    def takes(self, name: str) -> bool:
        """Whether a type without parameters lies in this range: `application/*` takes all of it."""
        if self.name == "*/*" or self.name == name:
            return True
        return self.name.endswith("/*") and name.startswith(self.name[:-1])


@lru_cache(maxsize=256)
def accepted(header: str) -> tuple[MediaType, ...]:
    """What a header Accept names, best first: by weight, then as written. Those of weight 0, which
    are refused, come last. A weight that is none counts as 1, a part that names no type is left
    out."""
    found = [_media_type(part) for part in _parts(header, ",")]
    return tuple(sorted((one for one in found if one.name), key=lambda one: -one.q))


def wished(accept: str, format_: str | None) -> tuple[MediaType, ...]:
    """What the sender wishes for, best first: `_format`, which overrides Accept, or Accept; where
    neither names a type, anything.

    https://hl7.org/fhir/R4/http.html#parameters: a + that came as a space is one.
    """
    if format_:
        named = _media_type(format_.strip().replace(" ", "+"))
        return (named,) if named.name else _ANYTHING
    return accepted(accept) or _ANYTHING


def chosen(wishes: Sequence[MediaType], served: Sequence[str]) -> str | None:
    """Of the types that are served, the first of those that are wished for most; None where none
    is wished for.

    The narrowest range that takes a type says how much it is wished for: `application/json;q=0,
    */*` refuses JSON. https://www.rfc-editor.org/rfc/rfc9110#section-12.5.1-16
    """
    best = max(served, key=lambda name: _liking(wishes, name), default=None)
    return best if best is not None and _liking(wishes, best) > 0 else None


@lru_cache(maxsize=256)
def content_type(header: str) -> MediaType:
    """What a header Content-Type says; its name is "" where there is none."""
    return _media_type(header)


def understood(header: str) -> None:
    """Raises `UnsupportedMediaType` when a body is said to be in another charset than UTF-8, or of
    another version of FHIR than 4.0.

    https://hl7.org/fhir/R4/http.html#mime-type: "The formal MIME-type for FHIR resources ... is
    UTF-8 encoded."
    """
    sent = content_type(header)
    charset = sent.parameters.get("charset", "utf-8")
    if charset.lower() not in _UTF8:
        raise UnsupportedMediaType(
            f"The charset {charset[:40]} is not understood; send UTF-8.",
            vi=f"Không hiểu bảng mã {charset[:40]}; xin gửi bằng UTF-8.",
        )
    if not sent.is_r4:
        version = sent.parameters["fhirversion"][:40]
        raise UnsupportedMediaType(
            f"FHIR version {version} is not understood; send 4.0.",
            vi=f"Không hiểu FHIR phiên bản {version}; xin gửi phiên bản 4.0.",
        )


def _liking(wishes: Sequence[MediaType], name: str) -> float:
    ranges = [one for one in wishes if one.is_r4 and one.takes(name)]
    narrowest = max(ranges, key=lambda one: (one.name == name, one.name != "*/*"), default=None)
    return narrowest.q if narrowest is not None else 0.0


def _media_type(text: str) -> MediaType:
    name, *rest = _parts(text, ";")
    parameters: dict[str, str] = {}
    q = 1.0
    for part in rest:
        key, _, value = part.partition("=")
        key, value = key.strip().lower(), _unquoted(value.strip())
        if key == "q":
            q = min(float(value), 1.0) if _WEIGHT.fullmatch(value) else 1.0
        elif key:
            parameters[key] = value
    return MediaType(name.strip().lower(), parameters, q)


def _parts(text: str, divider: str) -> Iterator[str]:
    """The text divided, but not within quotes. Takes time in proportion to its length."""
    if '"' not in text:
        yield from text.split(divider)
        return
    begun, is_quoted, is_escaped = 0, False, False
    for at, sign in enumerate(text):
        if is_escaped:
            is_escaped = False
        elif is_quoted and sign == "\\":
            is_escaped = True
        elif sign == '"':
            is_quoted = not is_quoted
        elif sign == divider and not is_quoted:
            yield text[begun:at]
            begun = at + 1
    yield text[begun:]


def _unquoted(value: str) -> str:
    if len(value) > 1 and value[0] == value[-1] == '"':
        return re.sub(r"\\(.)", r"\1", value[1:-1])
    return value


_ANYTHING = (MediaType("*/*"),)


@lru_cache(maxsize=256)
def accepts_gzip(header: str) -> bool:
    """Whether gzip is accepted by an Accept-Encoding, and liked no less than no coding is."""
    liked = {one.name: one.q for one in accepted(header)}
    gzip = liked.get("gzip", liked.get("x-gzip", liked.get("*", 0.0)))
    return gzip > 0 and gzip >= liked.get("identity", 0.0)
