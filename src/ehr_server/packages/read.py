"""A FHIR package, read from its .tgz in memory.

https://confluence.hl7.org/display/FHIR/NPM+Package+Specification: a gzipped tar with
`package/package.json` and the resources beside it. Nothing is written to disk, and the size of
what is unpacked is bounded, whatever the file says of itself.
"""

from __future__ import annotations

import gzip
import re
import tarfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePosixPath
from typing import IO, Any

from ehr_server.definitions import definitions
from ehr_server.definitions.catalog import Artifact, artifact
from ehr_server.errors import Invalid
from ehr_server.fhir import json

UNPACKED_BYTES_MAX = 1 << 30
MEMBER_BYTES_MAX = 1 << 27
MEMBERS_MAX = 50_000
URL_CHARACTERS_MAX = 1_000

_FHIR = "4.0."
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_VERSION = re.compile(r"[0-9A-Za-z][0-9A-Za-z.+-]{0,63}")
# The last of a file whose headers lie in each other.
_BROKEN = (EOFError, zlib.error, gzip.BadGzipFile, tarfile.TarError, RecursionError)


class PackageError(Exception):
    """A file is no package that can be loaded; the text says why, in one line."""


@dataclass(frozen=True, slots=True)
class Package:
    """A package: `label` is `name#version`, `dependencies` are name to version."""

    name: str
    version: str
    dependencies: Mapping[str, str]
    artifacts: tuple[Artifact, ...]

    @property
    def label(self) -> str:
        """As artifacts name their package."""
        return f"{self.name}#{self.version}"


def read(path: Path) -> Package:
    """The package in the file. Raises `PackageError`, and OSError for a file that is not there."""
    with path.open("rb") as file:
        try:
            return package(_members(file))
        except _BROKEN as error:
            raise PackageError(f"{path.name} is no .tgz, or is broken: {error}") from error
        except PackageError as error:
            raise PackageError(f"{path.name}: {error}") from error


def package(members: Mapping[str, bytes]) -> Package:
    """The package of the JSON files (by name) of its folder. Raises `PackageError`."""
    if "package.json" not in members:
        raise PackageError("package/package.json is missing: this is no FHIR package")
    about = _json("package.json", members["package.json"])
    name = _worded(about, "name", _NAME)
    version = _worded(about, "version", _VERSION)
    of = about.get("fhirVersions", about.get("fhir-version-list"))
    if not any(isinstance(one, str) and one.startswith(_FHIR) for one in _list(of)):
        raise PackageError(f"{name}#{version} is not for FHIR 4.0: fhirVersions is {of!r:.80}")
    dependencies = about.get("dependencies", {})
    if not isinstance(dependencies, dict) or not all(
        isinstance(one, str) for one in dependencies.values()
    ):
        raise PackageError("package.json: dependencies must be names and versions")
    resources = {
        file: _json(file, data)
        for file, data in sorted(members.items())
        if file != "package.json" and not file.startswith(".")
    }
    label = f"{name}#{version}"
    kept = tuple(
        _artifact(file, resource, label)
        for file, resource in resources.items()
        if _is_conformance(resource)
    )
    return Package(name, version, dependencies, kept)


def _members(file: IO[bytes]) -> dict[str, bytes]:
    """The JSON files directly in `package/`; the rest is passed over, but counted."""
    found: dict[str, bytes] = {}
    unpacked: Any = _Bounded(gzip.GzipFile(fileobj=file))
    with tarfile.open(fileobj=unpacked, mode="r|") as tar:
        for count, member in enumerate(tar, 1):
            _refuse_unsafe(member, count)
            folder, *below = [part for part in PurePosixPath(member.name).parts if part != "."] or [
                ""
            ]
            stream = tar.extractfile(member) if member.isreg() else None
            if folder != "package" or len(below) != 1 or not below[0].endswith(".json"):
                continue
            if stream is not None:
                found[below[0]] = stream.read()
    return found


def _refuse_unsafe(member: tarfile.TarInfo, count: int) -> None:
    name = f"{member.name[:100]!r}"
    if count > MEMBERS_MAX:
        raise PackageError(f"it holds more than {MEMBERS_MAX} files")
    if not (member.isdir() or member.type in tarfile.REGULAR_TYPES) or member.issparse():
        raise PackageError(f"{name} is a link or a device; a package holds files alone")
    if member.name.startswith("/") or ".." in member.name.split("/"):
        raise PackageError(f"{name} leads out of the package")
    if member.size > MEMBER_BYTES_MAX:
        raise PackageError(f"{name} is larger than {MEMBER_BYTES_MAX >> 20} MiB")


class _Bounded:
    """A stream that refuses to give more than a gibibyte: a small gzip can hold any amount."""

    def __init__(self, stream: gzip.GzipFile) -> None:
        self._stream = stream
        self._left = UNPACKED_BYTES_MAX

    def read(self, size: int) -> bytes:
        data = self._stream.read(min(size, self._left + 1))
        self._left -= len(data)
        if self._left < 0:
            raise PackageError(f"it unpacks to more than {UNPACKED_BYTES_MAX >> 20} MiB")
        return data


def _json(file: str, data: bytes) -> dict[str, Any]:
    try:
        value = json.read(data.removeprefix(b"\xef\xbb\xbf"))
    except Invalid as error:
        raise PackageError(f"{file}: {error.text}") from error
    if not isinstance(value, dict):
        raise PackageError(f"{file}: a JSON object is expected")
    return value


def _worded(about: dict[str, Any], key: str, form: re.Pattern[str]) -> str:
    word = about.get(key)
    if not isinstance(word, str) or not form.fullmatch(word):
        raise PackageError(f"package.json: {key} is {word!r:.80}, which is no {key} of a package")
    return word


@cache
def _conformance_types() -> frozenset[str]:
    """What R4 gives the elements of https://hl7.org/fhir/R4/metadataresource.html; and the
    NamingSystem, which lacks but the url."""
    types = definitions().types
    return frozenset(
        name
        for name in definitions().resource_types
        if {"status", "publisher", "jurisdiction", "useContext"} <= set(types[name].elements)
    )


def _is_conformance(resource: dict[str, Any]) -> bool:
    type_ = resource.get("resourceType")
    return (
        isinstance(type_, str)
        and type_ in _conformance_types()
        and ("url" in resource or type_ == "NamingSystem")
    )


def _artifact(file: str, resource: dict[str, Any], label: str) -> Artifact:
    """The artifact, without its narrative, and without the snapshot of a profile that has a
    differential: we make our own."""
    dropped = {"text", "snapshot"} if "differential" in resource else {"text"}
    kept = {name: value for name, value in resource.items() if name not in dropped}
    try:
        made = artifact(kept, label)
    except Invalid as error:
        raise PackageError(f"{file}: {error.text}") from error
    if len(made.url) > URL_CHARACTERS_MAX or "|" in made.url or len(made.version) > 256:
        raise PackageError(f"{file}: url or version cannot be used as a canonical")
    return made


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []
