"""Code systems and value sets of a catalog, read when first asked for and then kept.

https://hl7.org/fhir/R4/terminology-service.html
"""

from __future__ import annotations

import re
from functools import cached_property, lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from ehr_server.definitions import definitions
from ehr_server.errors import NotFound, Refusal, Unprocessable
from ehr_server.fhir import json
from ehr_server.terminology import composition as compositions
from ehr_server.terminology.concepts import Concepts, concepts_of
from ehr_server.terminology.expansion import Group, Means, expansion
from ehr_server.terminology.membership import Member, membership, unknown

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ehr_server.definitions.catalog import Artifact, Catalog
    from ehr_server.terminology.composition import Composition

_ANSWERS_MAX = 4_096  # remembered of an imported value set
DEPTH_MAX = 50  # value sets that import one another

_UNSEEN = object()
_OWN_SET = re.compile(rb'"valueSet"\s*:\s*"([^"\\]+)"')


class Terminology:
    """What a catalog knows of codes.

    Threads may share it: what is kept is the same whoever makes it. Of a value set or system that
    is broken `has` and `codes` say None, everything else says what is wrong.
    """

    def __init__(self, catalog: Catalog) -> None:
        self.catalog = catalog
        self._systems: dict[str, Concepts | None] = {}
        self._members: dict[str, Member] = {}
        self._imported: dict[str, Member] = {}
        self._groups: dict[str, tuple[Group, ...]] = {}
        self._supplements: Mapping[str, Sequence[Artifact]] | None = None

    def has(self, value_set: str, system: str | None, code: str) -> bool | None:
        """Whether the value set (a canonical) has a code of a system; None: it cannot be said,
        since the value set or system is not loaded. `system` None means any, as of a `code`.
        """
        member = self._members.get(value_set)
        if member is None:
            member = self._kept_member(value_set)
        return member(system, code)

    def codes(self, value_set: str, most: int = 200) -> Mapping[str, frozenset[str]] | None:
        """System -> its codes in the value set, if all are known, no system minds case, and they
        are `most` at most; else None."""
        try:
            groups = self.groups(value_set)
        except Refusal:
            return None
        if sum(len(group.positions) - len(group.concepts.abstract) for group in groups) > most:
            return None
        usable = [(one, set(positions) - one.abstract) for one, positions in groups]
        if sum(len(positions) for _, positions in usable) > most:
            return None
        found: dict[str, frozenset[str]] = {}
        for concepts, positions in usable:
            if not (concepts.is_case_sensitive and concepts.is_whole):
                return None
            codes = frozenset(concepts.codes[at] for at in positions)
            found[concepts.system] = found.get(concepts.system, frozenset()) | codes
        return MappingProxyType(found)

    def system(self, canonical: str) -> Concepts | None:
        """The concepts of a code system, None if it is not loaded.

        Raises `Unprocessable` where its hierarchy goes in a circle.
        """
        known = self._systems.get(canonical, _UNSEEN)
        if known is _UNSEEN:
            known = self._systems[canonical] = self._read_system(canonical)
        return known  # type: ignore[return-value]

    def groups(self, value_set: str) -> tuple[Group, ...]:
        """The codes of a value set.

        Raises `NotFound` for a value set that is not loaded, `NotLoaded` for a system that is not,
        `Unprocessable` for value sets that include themselves or are broken.
        """
        return self._imported_groups(value_set, ())

    def groups_of(self, value_set: Mapping[str, Any]) -> tuple[Group, ...]:
        """As `groups`, of a ValueSet that need not be loaded."""
        return self._expanded(compositions.composition(value_set), ())

    def member(self, value_set: str) -> Member:
        """`has` of one value set. Raises as `groups`, save that systems may be missing."""
        return self._member(value_set, ())

    def member_of(self, value_set: Mapping[str, Any]) -> Member:
        """As `member`, of a ValueSet that need not be loaded."""
        made_of = compositions.composition(value_set)
        return membership(made_of, self.system, lambda one: self._member(one, ()))

    def composition(self, value_set: str) -> Composition:
        """What a loaded value set is made of. Raises `NotFound`, `Unprocessable`."""
        found = self.catalog.find("ValueSet", value_set)
        if found is not None:
            made_of = compositions.composition(found.resource())
            return self._from_the_standard(made_of) or made_of
        implied = self._implied(value_set)
        if implied is None:
            raise NotFound(
                f"The value set {value_set} is not loaded here.",
                vi=f"Bộ giá trị {value_set} chưa được nạp vào máy chủ.",
            )
        return implied

    def _kept_member(self, value_set: str) -> Member:
        try:
            member = self._member(value_set, ())
        except NotFound:
            # Not kept: whoever sends claims could fill the memory with urls that are not there.
            return unknown
        except Refusal:
            member = unknown
        self._members[value_set] = member
        return member

    def _member(self, value_set: str, path: tuple[str, ...]) -> Member:
        path = _further(value_set, path)
        made_of = self.composition(value_set)
        return membership(made_of, self.system, lambda one: self._imported_member(one, path))

    def _imported_member(self, value_set: str, path: tuple[str, ...]) -> Member:
        """A value set that is not loaded leaves the answer open.

        Made once, and its answers remembered: sets that import the same ones again and again would
        double the work at each step.
        """
        found = self._imported.get(value_set)
        if found is None:
            try:
                member = self._member(value_set, path)
            except NotFound:
                return unknown
            found = self._imported[value_set] = lru_cache(maxsize=_ANSWERS_MAX)(member)
        return found

    def _imported_groups(self, value_set: str, path: tuple[str, ...]) -> tuple[Group, ...]:
        found = self._groups.get(value_set)
        if found is None:
            further = _further(value_set, path)
            found = self._expanded(self.composition(value_set), further)
            self._groups[value_set] = found
        return found

    def _expanded(self, made_of: Composition, path: tuple[str, ...]) -> tuple[Group, ...]:
        def of_set(one: str) -> Member:
            return self._member(one, path)

        def excluded(of: Composition) -> Member:
            rest = compositions.Composition(of.url, of.exclude)
            return membership(rest, self.system, of_set)

        means = Means(self.system, of_set, lambda one: self._imported_groups(one, path), excluded)
        return expansion(made_of, means)

    def _from_the_standard(self, made_of: Composition) -> Composition | None:
        """R4's own expansion of a required value set whose system R4 does not publish."""
        codes = definitions().codes.get(made_of.url)
        if codes is None or made_of.url not in definitions().systems:
            return None
        systems = (self.system(part.canonical) for part in made_of.include if part.is_whole)
        if all(one is not None for one in systems):
            return None
        return compositions.listed(made_of.url, definitions().systems[made_of.url], codes)

    def _implied(self, value_set: str) -> Composition | None:
        """The value set of all codes of a system, which the system names itself."""
        system = self._own_sets.get(value_set.partition("|")[0])
        if system is None:
            return None
        return compositions.Composition(value_set, (compositions.Part(system),))

    @cached_property
    def _own_sets(self) -> Mapping[str, str]:
        """CodeSystem.valueSet -> the system; found in the texts, which are not decoded for it."""
        return {
            url.decode().partition("|")[0]: artifact.url
            for artifact in self.catalog.all("CodeSystem")
            for url in _OWN_SET.findall(artifact.content())
        }

    def _read_system(self, canonical: str) -> Concepts | None:
        found = self.catalog.find("CodeSystem", canonical)
        if found is None:
            return None
        # Not artifact.resource(), which stays decoded: a hundred thousand concepts do once.
        resource = json.read_stored(found.content())
        if resource.get("content") in ("not-present", "supplement"):
            return None
        url = canonical.partition("|")[0]
        return concepts_of(
            resource, [json.read_stored(one.content()) for one in self._of_supplements(url)]
        )

    def _of_supplements(self, system: str) -> Sequence[Artifact]:
        if self._supplements is None:
            by_system: dict[str, list[Artifact]] = {}
            for artifact in self.catalog.all("CodeSystem"):
                if b'"supplement' in artifact.content():
                    resource = artifact.resource()
                    if resource.get("content") == "supplement":
                        url = resource.get("supplements", "").partition("|")[0]
                        by_system.setdefault(url, []).append(artifact)
            self._supplements = by_system
        return self._supplements.get(system, ())


def _further(value_set: str, path: tuple[str, ...]) -> tuple[str, ...]:
    """The path of imports, one longer. Raises `Unprocessable` for a circle and a very long one."""
    url = value_set.partition("|")[0]
    if url in path:
        circle = " -> ".join((*path[path.index(url) :], url))
        raise Unprocessable(
            f"The value sets include themselves: {circle}.",
            vi=f"Các bộ giá trị tự bao gồm chính mình: {circle}.",
        )
    if len(path) >= DEPTH_MAX:
        raise Unprocessable(
            f"The value set {path[0]} imports others more than {DEPTH_MAX} deep.",
            vi=f"Bộ giá trị {path[0]} nhập các bộ khác sâu quá {DEPTH_MAX} tầng.",
        )
    return (*path, url)
