"""Profiles made from StructureDefinitions: each differential merged over the profile it is of.

https://hl7.org/fhir/R4/profiling.html#snapshot. A snapshot in the standard repeats the whole type;
ours is the sparse tree of `definitions.profile`. Published snapshots are not read: what they
say follows from the differentials (tests/spec/test_snapshots_of_published_profiles.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ehr_server.definitions.differential import BASE, entries
from ehr_server.definitions.draft import Draft, Find
from ehr_server.definitions.model import definitions
from ehr_server.definitions.profile import Context, Node, Profile, ProfileError

if TYPE_CHECKING:
    from ehr_server.definitions.catalog import Catalog

APPLIES_WHEN = "http://ehr-server.org/fhir/vn/StructureDefinition/applies-when"
_CONTEXTS = ("element", "extension", "fhirpath")


class Profiles:
    """The profiles of a catalog, made when first asked for and kept."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._made: dict[str, Profile | ProfileError | None] = {}

    def find(self, canonical: str) -> Profile | None:
        """The profile of `url` or `url|version`; None if it is not loaded, or is no constraint on
        a type (a type itself, a logical model).

        Raises `ProfileError` if it cannot be made, each time it is asked for.
        """
        return self._find(canonical, ())

    def _find(self, canonical: str, making: tuple[str, ...]) -> Profile | None:
        if canonical not in self._made:
            try:
                made: Profile | ProfileError | None = self._make(canonical, making)
            except ProfileError as error:
                made = error
            if made is not None or not making:
                self._made[canonical] = made
        found = self._made.get(canonical)
        if isinstance(found, ProfileError):
            raise ProfileError(str(found), found.vi)
        return found

    def _make(self, canonical: str, making: tuple[str, ...]) -> Profile | None:
        artifact = self._catalog.find("StructureDefinition", canonical)
        if artifact is None:
            return None
        definition = artifact.resource()
        if definition.get("kind") == "logical" or definition.get("derivation") != "constraint":
            return None
        url = definition["url"]
        now = (*making, url)
        if url in making:
            way = " -> ".join(now)
            raise ProfileError(
                f"{url}: baseDefinition: it derives from itself: {way}",
                f"{url}: baseDefinition: profile dẫn xuất từ chính nó: {way}",
            )

        def find(other: str) -> Profile | None:
            """A type's profile; not one that is being made, of which it may be a part."""
            return None if other.partition("|")[0] in now else self._find(other, now)

        return narrowed_profile(definition, self._parent(definition, now), find)

    def _parent(self, definition: Mapping[str, Any], making: tuple[str, ...]) -> Profile | None:
        """The profile it derives from, None if that is the type itself."""
        url, base = definition["url"], definition.get("baseDefinition", "")
        if base.partition("|")[0] == BASE + definition.get("type", ""):
            return None
        parent = self._find(base, making)
        if parent is None:
            raise ProfileError(
                f"{url}: baseDefinition: {base or 'nothing'} is no profile that is loaded, "
                f"nor the type {definition.get('type')}",
                f"{url}: baseDefinition: {base or 'trống'} không phải profile đã nạp, "
                f"cũng không phải kiểu {definition.get('type')}",
            )
        return parent


def narrowed_profile(
    definition: Mapping[str, Any], parent: Profile | None, find: Find = lambda _: None
) -> Profile:
    """The profile of a StructureDefinition (`derivation` constraint) over its parent's, None if
    that is the type itself. `find` gives the profiles that data types within it are held to.

    Raises `ProfileError` for a differential that contradicts itself, its parent or the type.
    """
    url, type_name = definition["url"], definition.get("type", "")
    if type_name not in definitions().types or (parent and parent.type != type_name):
        of = parent.type if parent else "R4"
        raise ProfileError(
            f"{url}: {type_name}: it derives from a profile or type of {of}",
            f"{url}: {type_name}: profile dẫn xuất từ {of}",
        )
    return Profile(
        url=url,
        version=definition.get("version", ""),
        type=type_name,
        parents=(parent.url, *parent.parents) if parent else (),
        root=_root(definition, parent, find),
        contexts=_contexts(definition) or (parent.contexts if parent else ()),
        is_modifier=_is_modifier(definition) or bool(parent and parent.is_modifier),
        applies=_applies(definition),
    )


def _root(definition: Mapping[str, Any], parent: Profile | None, find: Find) -> Node:
    type_name = definition["type"]
    root = Draft(parent.root if parent else Node(type_name, type_name), type_name)
    slices: set[str] = set()
    for entry in entries(definition):
        draft = root
        for step in entry.steps[1:]:
            draft = draft.child(step.name, entry)
            for name in step.slices:
                draft = draft if draft.name == name else draft.slice(name, entry, find)
        if entry.steps[-1].slices:
            if draft.node.id in slices:
                raise entry.wrong("a second slice of that name", "đã có lát (slice) cùng tên")
            slices.add(draft.node.id)
        draft.narrow(entry)
    return root.frozen()


def _contexts(definition: Mapping[str, Any]) -> tuple[Context, ...]:
    """Where an extension may stand."""
    return tuple(
        Context(said["type"], said["expression"])
        for said in definition.get("context", ())
        if said.get("type") in _CONTEXTS and "expression" in said
    )


def _is_modifier(definition: Mapping[str, Any]) -> bool:
    elements = definition["differential"]["element"]
    return definition["type"] == "Extension" and bool(
        any(one.get("path") == "Extension" and one.get("isModifier") for one in elements)
    )


def _applies(definition: Mapping[str, Any]) -> str | None:
    """The criterion of our extension `applies-when`."""
    for extension in definition.get("extension", ()):
        if extension.get("url") == APPLIES_WHEN:
            expression: str | None = extension.get("valueString")
            return expression
    return None
