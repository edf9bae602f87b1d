"""The conformance resources there are: what R4 publishes, what is local, what packages bring.

https://hl7.org/fhir/R4/conformance-module.html and, for how they are named,
https://hl7.org/fhir/R4/references.html#canonical. The types of R4 and its search parameters are
not here: they stand in the tables of `definitions`. Profiles come as differentials.
"""

from __future__ import annotations

import re
import zipfile
from dataclasses import dataclass, field
from functools import cache, cached_property, lru_cache, partial
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import ehr_server
from ehr_server.errors import Invalid
from ehr_server.fhir import json
from ehr_server.layout import folder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

_R4 = Path(__file__).parent / "r4.zip"
_OWN_URL, _OWN_VERSION = (
    re.compile(rb'^  "%s": "([^"\\]*)"' % name, re.MULTILINE) for name in (b"url", b"version")
)


@dataclass(frozen=True)
class Artifact:
    """A conformance resource that is loaded.

    `type` is `StructureDefinition`, `ValueSet`, ...; `url` and `version` ("" if it has none) are
    its canonical; a NamingSystem, which has no url in R4, is named `NamingSystem/<id>`. `package`
    is such as `hl7.fhir.uv.ips#2.0.0`. `content` gives its JSON text.
    """

    type: str
    url: str
    version: str
    package: str
    content: Callable[[], bytes] = field(compare=False, repr=False)

    def resource(self) -> dict[str, Any]:
        """The resource, decoded when first asked for; shared, so not to be changed."""
        return self._decoded

    @cached_property
    def _decoded(self) -> dict[str, Any]:
        decoded: dict[str, Any] = json.read_stored(self.content())
        return decoded


class Catalog:
    """Artifacts in layers: of several with one url the last layer's is the one meant."""

    def __init__(self, layers: Mapping[str, tuple[Artifact, ...]] | None = None) -> None:
        self._layers = MappingProxyType(dict(layers or {}))

    @property
    def packages(self) -> tuple[str, ...]:
        """The labels of its layers, lowest first."""
        return tuple(self._layers)

    def find(self, type_: str, canonical: str) -> Artifact | None:
        """The artifact of `url` or `url|version`; of a version that is not there the one that the
        url alone would find, so compare `.version` where it matters."""
        url, _, version = canonical.partition("|")
        named = self._named.get((type_, url))
        if named is None:
            return None
        return next((one for one in named if one.version == version), named[0])

    def all(self, type_: str) -> Iterator[Artifact]:
        """All artifacts of a type, each version and the hidden ones too, the lowest layer first."""
        return (one for layer in self._layers.values() for one in layer if one.type == type_)

    def of(self, package: str) -> tuple[Artifact, ...]:
        """What a package brought; () if it is not loaded."""
        return self._layers.get(package, ())

    def plus(self, package: str, artifacts: Iterable[Artifact]) -> Catalog:
        """A catalog with one layer more, which replaces the layer of that label there may be."""
        others = {label: layer for label, layer in self._layers.items() if label != package}
        return Catalog({**others, package: tuple(artifacts)})

    @cached_property
    def _named(self) -> Mapping[tuple[str, str], tuple[Artifact, ...]]:
        """By type and url, the one meant by the url alone first."""
        named: dict[tuple[str, str], tuple[Artifact, ...]] = {}
        for layer in self._layers.values():
            for one in layer:
                key = (one.type, one.url)
                named[key] = (one, *named.get(key, ()))
        return named


def artifact(resource: dict[str, Any] | bytes, package: str) -> Artifact:
    """The artifact of a FHIR resource or its JSON text.

    Raises `Invalid` for what is not JSON, has no resourceType, or has no url to be found by.
    """
    text = resource if isinstance(resource, bytes) else json.write(resource)
    value = json.read(resource) if isinstance(resource, bytes) else resource
    type_ = value.get("resourceType") if isinstance(value, dict) else None
    url = _url(value) if isinstance(type_, str) else None
    if not isinstance(type_, str) or not url:
        raise Invalid(
            "Not a conformance resource: it needs a resourceType and a url.",
            vi="Không phải tài nguyên quy chuẩn: cần có resourceType và url.",
        )
    return Artifact(type_, url, _text(value.get("version")), package, partial(bytes, text))


@cache
def shipped() -> Catalog:
    """What comes with the server: R4's own artifacts, and the local ones of `profiles`.

    They are decoded one by one as they are asked for.
    """
    local = f"ehr-server.vn#{ehr_server.__version__}"
    paths = sorted((folder("profiles") / "vn").glob("*/*.json"))
    index = json.read_own(_member("index.json"))
    return (
        Catalog()
        .plus(index["package"], _published(index))
        .plus(local, [_local(path, local) for path in paths])
    )


def _local(path: Path, package: str) -> Artifact:
    """The artifact of a local file `<type>/<id>.json`, without decoding it.

    Such a file is indented by two, so its own url and version are what stands at that depth.
    """
    url, version = (_found(pattern, path.read_bytes()) for pattern in (_OWN_URL, _OWN_VERSION))
    type_ = path.parent.name
    return Artifact(type_, url or f"{type_}/{path.stem}", version, package, path.read_bytes)


def _found(pattern: re.Pattern[bytes], text: bytes) -> str:
    match = pattern.search(text)
    return match[1].decode() if match else ""


def _published(index: dict[str, Any]) -> Iterator[Artifact]:
    for member, canonicals in index["members"].items():
        type_ = member.partition("-")[0]
        for at, (url, version) in enumerate(canonicals):
            yield Artifact(type_, url, version, index["package"], partial(_line, member, at))


def _line(member: str, at: int) -> bytes:
    return _lines(member)[at]


@lru_cache(maxsize=4)  # neighbours are often asked for one after another
def _lines(member: str) -> list[bytes]:
    return _member(member).splitlines()


def _member(name: str) -> bytes:
    with zipfile.ZipFile(_R4) as file:
        return file.read(name)


def _url(value: dict[str, Any]) -> str:
    url, id_ = _text(value.get("url")), _text(value.get("id"))
    return url or (f"NamingSystem/{id_}" if value["resourceType"] == "NamingSystem" else "")


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
