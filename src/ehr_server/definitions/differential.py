"""What one entry of a differential says: its JSON read into the words of `definitions.profile`.

https://hl7.org/fhir/R4/elementdefinition.html. Entries name their element by id, or, where ids
are lacking, by path and sliceName (https://hl7.org/fhir/R4/elementdefinition.html#id).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast, get_args

from ehr_server.definitions.model import Constraint, definitions
from ehr_server.definitions.profile import (
    Binding,
    Discriminator,
    DiscriminatorKind,
    ProfileError,
    Slicing,
    TypeChoice,
)

BASE = "http://hl7.org/fhir/StructureDefinition/"
_SYSTEM_TYPES = "http://hl7.org/fhirpath/"
_TRANSLATION = "http://hl7.org/fhir/StructureDefinition/translation"
_RULES = {"open", "openAtEnd", "closed"}


@dataclass(frozen=True, slots=True)
class Step:
    """One step of an id: `identifier:cccd` is an element and the slice of it that is meant, "" if
    none is; of a reslice the slices from the outermost on, `("a", "a/b")`."""

    name: str
    slices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Entry:
    """An ElementDefinition of a differential; `id` and `steps` lead to its element."""

    id: str
    path: str
    steps: tuple[Step, ...]
    said: Mapping[str, Any]
    profile: str

    def wrong(self, text: str, vi: str) -> ProfileError:
        """The error that names this element of the profile."""
        return ProfileError(
            f"{self.profile}: {self.id}: {text}", f"{self.profile}: {self.id}: {vi}"
        )


def entries(definition: Mapping[str, Any]) -> Iterator[Entry]:
    """The entries of a StructureDefinition's differential, in its order.

    Raises `ProfileError` if there is none or an entry has no path.
    """
    url = definition["url"]
    elements = (definition.get("differential") or {}).get("element")
    if not elements:
        raise ProfileError(f"{url}: it has no differential", f"{url}: không có differential")
    ids: dict[str, str] = {}  # path -> the id it stands for at this point
    for element in elements:
        path = element.get("path")
        if not isinstance(path, str) or path.split(".")[0] != definition["type"]:
            raise ProfileError(
                f"{url}: {element.get('id', path)}: the path does not begin with the type",
                f"{url}: {element.get('id', path)}: path không bắt đầu bằng kiểu",
            )
        id_ = _own_id(element) or _derived_id(element, ids)
        ids = {known: of for known, of in ids.items() if not known.startswith(path + ".")}
        ids[path] = id_
        yield Entry(id_, path, tuple(_step(part) for part in id_.split(".")), element, url)


def types(entry: Entry) -> tuple[TypeChoice, ...]:
    """The types an entry names, () if none; several of one code are one choice.

    Backbones, and the FHIRPath types of the `id` and `url` that are no elements, are left out: they
    narrow nothing.
    """
    found: dict[str, TypeChoice] = {}
    for said in entry.said.get("type", ()):
        code = said.get("code", "").removeprefix(BASE)
        if code.startswith(_SYSTEM_TYPES) or code in ("BackboneElement", "Element"):
            return ()
        choice = TypeChoice(
            code, _canonicals(said.get("profile", ())), _canonicals(said.get("targetProfile", ()))
        )
        if f"{BASE}{code}" in choice.profiles:
            choice = TypeChoice(code, (), choice.targets)
        found[code] = _either(found[code], choice) if code in found else choice
    return tuple(found.values())


def binding(entry: Entry) -> Binding | None:
    """The binding, if it is required or extensible."""
    said = entry.said.get("binding") or {}
    strength, value_set = said.get("strength"), said.get("valueSet")
    if strength not in ("required", "extensible") or not value_set:
        return None
    return Binding(strength, value_set)


def slicing(entry: Entry) -> Slicing | None:
    """The slicing. Raises `ProfileError` for a discriminator or rules that R4 does not know."""
    said = entry.said.get("slicing")
    if said is None:
        return None
    discriminators = tuple(
        Discriminator(one.get("type"), one.get("path", "")) for one in said.get("discriminator", ())
    )
    for one in discriminators:
        if one.kind not in get_args(DiscriminatorKind) or not one.path:
            raise entry.wrong(
                f"a slicing by {one.kind} of '{one.path}' is not one of R4",
                f"R4 không có cách phân lát theo {one.kind} của '{one.path}'",
            )
    rules = said.get("rules", "open")
    if rules not in _RULES:
        raise entry.wrong(f"'{rules}' are no rules of slicing", f"không có quy tắc lát '{rules}'")
    return Slicing(discriminators, bool(said.get("ordered")), cast(Any, rules))


def constraints(entry: Entry, known: frozenset[str]) -> tuple[Constraint, ...]:
    """The constraints with an expression, but for `known` keys and those the standard's types have
    themselves."""
    return tuple(
        Constraint(
            said["key"],
            "warning" if said.get("severity") == "warning" else "error",
            said["expression"],
            said.get("human", ""),
            _vietnamese(said.get("_human")),
        )
        for said in entry.said.get("constraint", ())
        if said.get("expression") and said.get("key") and said["key"] not in known
        if said.get("source", "").removeprefix(BASE) not in definitions().types
    )


def valued(entry: Entry, prefix: str) -> tuple[str, Any] | None:
    """Type and value of `fixed`, `pattern`, `minValue` or `maxValue`; None if it is absent.

    Raises `ProfileError` for a type that there is not.
    """
    for key, value in entry.said.items():
        suffix = key.removeprefix(prefix)
        if suffix == key or not suffix[:1].isupper():
            continue
        for name in (suffix, suffix[0].lower() + suffix[1:]):
            if name in definitions().types:
                return name, value
        raise entry.wrong(f"{key}: there is no type {suffix}", f"{key}: không có kiểu {suffix}")
    return None


def cardinality(entry: Entry) -> tuple[int | None, int | None, bool]:
    """Min (None: not said), max (None: not said, or `*`), and whether max is `*`."""
    least, most = entry.said.get("min"), entry.said.get("max")
    if least is not None and (not isinstance(least, int) or least < 0):
        raise entry.wrong(f"min {least!r} is no number", f"min {least!r} không phải là số")
    if most is None or most == "*":
        return least, None, most == "*"
    if not isinstance(most, str) or not most.isdecimal():
        raise entry.wrong(f"max {most!r} is no number", f"max {most!r} không phải là số")
    return least, int(most), False


def _own_id(element: Mapping[str, Any]) -> str | None:
    """The id of an entry, if it agrees with path and sliceName: some are made by hand."""
    id_ = element.get("id")
    if not isinstance(id_, str):
        return None
    parts, names = id_.split("."), element["path"].split(".")
    if len(parts) != len(names) or parts[0] != names[0]:
        return None
    is_unnamed = "sliceName" in element and ":" not in parts[-1]
    return None if is_unnamed and parts[-1] != element["sliceName"] else id_


def _derived_id(element: Mapping[str, Any], ids: Mapping[str, str]) -> str:
    """The id from path and sliceName, below the slices that stand before it."""
    path, name = element["path"], element.get("sliceName")
    above, dot, last = path.rpartition(".")
    known = above
    while known and known not in ids:
        known = known.rpartition(".")[0]
    prefix = ids.get(known, known) + above[len(known) :]
    slice_name = f":{name}" if name and name != last else ""
    return f"{prefix}{dot}{last}{slice_name}"


def _step(part: str) -> Step:
    name, _, slice_name = part.partition(":")
    if not slice_name:
        return Step(name.removesuffix("[x]"))
    pieces = slice_name.split("/")
    return Step(
        name.removesuffix("[x]"),
        tuple("/".join(pieces[: end + 1]) for end in range(len(pieces))),
    )


def _either(one: TypeChoice, other: TypeChoice) -> TypeChoice:
    """One choice for two of the same code: what either of them allows."""
    return TypeChoice(
        one.code,
        _union(one.profiles, other.profiles),
        _union(one.targets, other.targets),
    )


def _union(one: tuple[str, ...], other: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(one + other)) if one and other else ()


def _canonicals(said: Any) -> tuple[str, ...]:
    """Canonicals without the version where they name a type; () if any resource will do."""
    several = (said,) if isinstance(said, str) else tuple(said)
    urls = tuple(_unversioned(one) for one in several)
    return () if f"{BASE}Resource" in urls else urls


def _unversioned(canonical: str) -> str:
    url = canonical.partition("|")[0]
    return url if url.removeprefix(BASE) in definitions().types else canonical


def _vietnamese(sibling: Any) -> str:
    """The translation that stands beside a text."""
    for extension in (sibling or {}).get("extension", ()):
        parts = {part.get("url"): part for part in extension.get("extension", ())}
        if extension.get("url") == _TRANSLATION and parts.get("lang", {}).get("valueCode") == "vi":
            content = parts.get("content", {})
            return cast(str, content.get("valueString") or content.get("valueMarkdown") or "")
    return ""
