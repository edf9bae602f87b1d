"""What resources are held to here: the standard, the profiles loaded, the kinds of identifier.

https://hl7.org/fhir/R4/validation.html. The one door to validation for all that is stored or asked
about. Most resources keep to everything, and cost no more than the gate and the closures of their
profiles; only where those say no are all findings gathered.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from ehr_server.definitions import ProfileError
from ehr_server.definitions.catalog import Catalog, shipped
from ehr_server.definitions.snapshot import Profiles
from ehr_server.issue import Issue
from ehr_server.terminology import Terminology
from ehr_server.validation import extensions, gate, identifiers, messages
from ehr_server.validation.applying import Applying, HeldTo, fingerprint, is_worth
from ehr_server.validation.explain import explain
from ehr_server.validation.gate import Gate
from ehr_server.validation.inside import Inside, is_resource, resources
from ehr_server.validation.policy import Level, Policy
from ehr_server.validation.profiles.around import NOTHING, Around
from ehr_server.validation.profiles.compile import HeldProfile, check_compiles
from ehr_server.validation.profiles.run import Run

Resource = dict[str, Any]


@dataclass(frozen=True)
class Rulebook:
    """What resources are held to. Immutable: loading a package makes a new one."""

    catalog: Catalog = field(default_factory=shipped)
    policy: Policy = field(default_factory=Policy)

    @cached_property
    def terminology(self) -> Terminology:
        """The code lists there are."""
        return Terminology(self.catalog)

    def held(self, canonical: str) -> HeldProfile | None:
        """A profile, ready to be checked; None if it is not loaded. Raises `ProfileError`."""
        found = self.catalog.find("StructureDefinition", canonical)
        if found is None:
            return None
        key = f"{found.url}|{found.version}" if found.version else found.url
        if key not in self._held:
            profile = self.profiles.find(key)
            if profile is not None:
                check_compiles(profile, self.profiles.find)
            self._held[key] = HeldProfile(profile, self.profiles.find) if profile else None
        return self._held[key]

    def check(
        self,
        resource: Any,
        expected_type: str | None = None,
        *,
        profiles: Sequence[str] = (),
        around: Around | None = None,
    ) -> list[Issue]:
        """The findings about a resource as `fhir.json.read` makes it; [] if there are none.

        Structure, cardinality, formats, required codes, references' shape and the invariants of
        the standard, for all resources in it too; the profiles it claims or that apply to it, as
        strictly as the policy says; the shape of identifiers. With `expected_type` it must be of
        that type, with `profiles` it is held to those, whatever the policy. `around` tells what
        it may refer to, by default the entries of the Bundle that it is. Whether other references
        lead to anything is not asked. Raises `ProfileError` for one of `profiles` that cannot be
        used.
        """
        refusal = messages.of_other_type(resource, expected_type)
        if refusal is not None:
            return [refusal]
        if not profiles and self._gate.is_valid(resource):
            found: Iterable[Issue] = self._beyond(resource, around)
        else:
            found = self._findings(resource, profiles, around)
        several = list(found)
        return list(dict.fromkeys(several)) if len(several) > 1 else several

    @cached_property
    def applying(self) -> Applying:
        """Which of the profiles a resource is held to."""
        return Applying(self.catalog, self.policy, lambda url: self.usable(url, is_exact=True))

    @cached_property
    def profiles(self) -> Profiles:
        """The profiles, each made when it is asked for."""
        return Profiles(self.catalog)

    @cached_property
    def _gate(self) -> Gate:
        """The gate of the standard and of the extensions that may be known, by how they begin."""
        urls = (one.url for one in self.catalog.all("StructureDefinition"))
        folders = {re.escape(url.rpartition("/")[0] + "/") for url in urls}
        return Gate(f"^(?:{'|'.join(sorted(folders))})", self._is_sound)

    def _is_sound(self, extension: Resource, holder: str) -> bool:
        """As `extensions.is_sound`; what was said of a Coding is remembered: few are met again and
        again (provinces, ethnic groups), and that is a sixth of the time of a local Patient."""
        key = (holder, fingerprint(extension)) if "valueCoding" in extension else None
        found = self._sound.get(key) if key is not None else None
        if found is None:
            found = extensions.is_sound(extension, holder, self)
            if key is not None and key[1] and is_worth(key, self._sound):
                self._sound[key] = found
        return found

    @cached_property
    def _held(self) -> dict[str, HeldProfile | None]:
        return {}

    @cached_property
    def _sound(self) -> dict[tuple[str, bytes], bool]:
        return {}

    def exact(self, canonical: str) -> HeldProfile | None:
        """As `held`; of `url|version` that very version alone."""
        held = self.held(canonical)
        version = canonical.partition("|")[2]
        return None if held is not None and version not in ("", held.profile.version) else held

    def usable(self, canonical: str, *, is_exact: bool = False) -> HeldProfile | None:
        """A profile that somebody claims; None also for a faulty one, which asks nothing."""
        try:
            return self.exact(canonical) if is_exact else self.held(canonical)
        except (ProfileError, RecursionError):
            return None

    def _beyond(self, resource: Resource, around: Around | None) -> list[Issue]:
        """The findings about a resource that keeps to the standard: as `_findings`, each profile
        looked at once. Of made-up data for another country every second resource has some."""
        found: list[Issue] = []
        for one in resources(resource, around or NOTHING):
            for held, level in self.applying.to(one.resource):
                if not self._keeps(one, held):
                    found += _levelled(self._run(one, held, is_plain=True).found, level)
            if self.policy.identifiers != "off" and not identifiers.are_sound(one.resource):
                of_numbers = _levelled(identifiers.findings(one.resource), self.policy.identifiers)
                found += _moved(of_numbers, one.place)
        return found

    def _findings(
        self, resource: Any, profiles: Sequence[str], around: Around | None
    ) -> Iterator[Issue]:
        is_plain = self._gate.is_valid(resource)
        base = [] if is_plain or gate.is_valid(resource) else explain(resource)
        yield from base
        if not is_resource(resource):
            return
        for one in resources(resource, around or NOTHING):
            asked = [self.exact(canonical) for canonical in profiles] if not one.place else []
            held_to: list[HeldTo] = [(held, "reject") for held in asked if held is not None]
            known = {url for held, _ in held_to for url in (held.url, *held.profile.parents)}
            held_to += [row for row in self.applying.to(one.resource) if row[0].url not in known]
            for held, level in held_to:
                if base:
                    yield from _levelled(self._tried(one, held), level)
                elif not self._keeps(one, held):
                    yield from _levelled(self._run(one, held, is_plain=is_plain).found, level)
            if self.policy.identifiers != "off":
                of_numbers = _levelled(identifiers.findings(one.resource), self.policy.identifiers)
                yield from _moved(of_numbers, one.place)
            if not is_plain and not base:
                yield from extensions.findings(one.resource, one.place, self)

    def _keeps(self, one: Inside, held: HeldProfile) -> bool:
        """Whether the resource, which keeps to the standard, surely keeps to the profile."""
        run = Run(self, one.around, one.outer, held.url, decided=one.decided)
        return held.is_of(one.resource) and held.passes(
            one.resource, one.resource["resourceType"], run
        )

    def _tried(self, one: Inside, held: HeldProfile) -> Sequence[Issue]:
        """The findings about a resource that breaks the standard, as far as it can be read."""
        try:
            return self._run(one, held, is_sound=False).found
        except (AttributeError, KeyError, TypeError):
            return ()

    def _run(
        self, one: Inside, held: HeldProfile, *, is_sound: bool = True, is_plain: bool = False
    ) -> Run:
        """`is_plain`: the gate let it pass, so that what the quick looks say holds."""
        run = Run(self, one.around, one.outer, held.url, is_sound, decided=one.decided)
        name = str(one.resource["resourceType"])
        if not held.is_of(one.resource):
            run.found.append(messages.profile_of_other_type(one.place or name, held.url, held.type))
        elif is_plain:
            held.look_closer(one.resource, one.place or name, run)
        else:
            for check in held.checks(name):
                check(one.resource, one.place or name, run)
        return run


def _levelled(found: Sequence[Issue], level: Level) -> Iterator[Issue]:
    """Where a profile only warns, its errors are warnings."""
    for issue in found:
        is_softened = level == "warn" and issue.severity in ("error", "fatal")
        yield replace(issue, severity="warning") if is_softened else issue


def _moved(found: Iterable[Issue], place: str) -> Iterator[Issue]:
    """Findings about a resource on its own, as of one that stands at `place`."""
    if not place:
        yield from found
        return
    for issue in found:
        below = tuple(place + one[one.find(".") :] for one in issue.expression)
        yield replace(issue, expression=below)
