"""Rules for profiles: each can be made, and all that it asks can be asked.

https://hl7.org/fhir/R4/profiling.html, https://hl7.org/fhir/R4/conformance-rules.html#constraints
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from ehr_server.definitions import ProfileError, definitions
from ehr_server.definitions.snapshot import APPLIES_WHEN, Profiles
from ehr_server.fhirpath import FHIRPathError, compile_invariant
from ehr_server.packages.findings import error, warning
from ehr_server.patterns import matcher
from ehr_server.validation.profiles.compile import check_compiles

if TYPE_CHECKING:
    from ehr_server.definitions.catalog import Artifact, Catalog
    from ehr_server.issue import Issue

_REGEX = "http://hl7.org/fhir/StructureDefinition/regex"


def compile_(catalog: Catalog, new: Sequence[Artifact]) -> Iterable[Issue]:
    """Every profile and extension becomes a tree: nothing in it contradicts what it derives from,
    and it does not derive from itself. One with slices that nothing tells apart, as some published
    ones have, is left unused, which is a warning."""
    made = Profiles(catalog)
    for one in _profiles(new):
        try:
            profile = made.find(f"{one.url}|{one.version}" if one.version else one.url)
        except ProfileError as reason:
            yield error(one, "profile", *_said(one, reason))
            continue
        except RecursionError:
            yield error(
                one, "profile", "derives through too many profiles", "kế thừa qua quá nhiều hồ sơ"
            )
            continue
        try:
            if profile is not None:
                check_compiles(profile, made.find)
        except ProfileError as reason:
            text, vi = _said(one, reason)
            yield warning(
                one, "profile", f"{text}; it is not used", f"{vi}; hồ sơ không được sử dụng"
            )


def others_stay_usable(catalog: Catalog, new: Sequence[Artifact]) -> Iterable[Issue]:
    """A new version of a parent does not take away what is loaded and derives from it."""
    made = Profiles(catalog)
    standard = catalog.packages[0] if catalog.packages else ""
    urls = {one.url for one in new}
    for one in _profiles(list(catalog.all("StructureDefinition"))):
        if one.package == standard or one.url in urls:
            continue
        try:
            made.find(one.url)
        except ProfileError as reason:
            text, vi = _said(one, reason)
            yield error(
                one,
                "profile",
                f"is loaded and could not be used any more: {text}",
                f"đã được nạp và sẽ không dùng được nữa: {vi}",
            )


def _said(one: Artifact, reason: ProfileError) -> tuple[str, str]:
    """The reason in both languages, without the url that opens it too."""
    name = f"{one.url}: "
    return str(reason).removeprefix(name), (reason.vi or str(reason)).removeprefix(name)


def invariants_parse(_catalog: Catalog, new: Sequence[Artifact]) -> Iterable[Issue]:
    """An invariant that cannot be run would hold no one to anything."""
    for one in _profiles(new):
        for element in _elements(one):
            for constraint in element.get("constraint", ()):
                reason = _unusable(constraint.get("expression"), element["path"])
                if reason:
                    yield _faulty(one, constraint["key"], reason, element.get("id", ""))
        for extension in one.resource().get("extension", ()):
            if extension["url"] == APPLIES_WHEN:
                reason = _unusable(extension.get("valueString"), one.resource()["type"])
                if reason:
                    yield _faulty(one, "applies-when", reason, "StructureDefinition.extension")


def _faulty(one: Artifact, key: str, reason: str, place: str) -> Issue:
    text = f"the expression of {key} cannot be used: {reason}"
    vi = f"biểu thức {key} không dùng được: {reason}"
    return error(one, "invariant", text, vi, (place,))


def patterns_compile(_catalog: Catalog, new: Sequence[Artifact]) -> Iterable[Issue]:
    """https://hl7.org/fhir/R4/extension-regex.html: the form of a value."""
    for one in _profiles(new):
        for element in _elements(one):
            for pattern in _patterns(element):
                try:
                    matcher(pattern)
                except ValueError as reason:
                    yield error(
                        one,
                        "pattern",
                        f"its regular expression cannot be used: {reason}",
                        f"biểu thức chính quy không dùng được: {reason}",
                        (element.get("id", element["path"]),),
                    )


def _patterns(element: dict[str, Any]) -> Iterator[str]:
    holders = (element, *element.get("type", ()))
    for holder in holders:
        for extension in holder.get("extension", ()):
            if extension["url"] == _REGEX and "valueString" in extension:
                yield extension["valueString"]


def _profiles(new: Sequence[Artifact]) -> Iterator[Artifact]:
    """Constraints alone: logical models and the like are named, not used."""
    for one in new:
        if one.type == "StructureDefinition" and one.resource().get("derivation") == "constraint":
            yield one


def _elements(one: Artifact) -> list[dict[str, Any]]:
    elements: list[dict[str, Any]] = one.resource().get("differential", {}).get("element", [])
    return elements


def _unusable(expression: str | None, path: str) -> str:
    """Why the expression cannot be run on what stands at the path; "" if it can on one of the
    types that it may have."""
    if not expression:
        return ""
    reasons = []
    for type_name in _types_at(path):
        try:
            compile_invariant(expression, type_name)
        except FHIRPathError as reason:
            reasons.append(str(reason))
        else:
            return ""
    return reasons[0] if reasons else ""


def _types_at(path: str) -> tuple[str, ...]:
    """The types of an element by its path, such as `Observation.component.value[x]`."""
    known = definitions().types
    first, *steps = path.split(".")
    types: tuple[str, ...] = (first,) if first in known else ()
    for step in steps:
        name = step.removesuffix("[x]")
        found: dict[str, None] = {}
        for type_name in types:
            for element in known[type_name].elements.values():
                if element.name == name:
                    found |= dict.fromkeys(element.types)
                elif element.is_choice:
                    found |= {type_: None for json, type_ in element.json_names() if json == name}
        types = tuple(type_ for type_ in found if type_ in known)
    return types
