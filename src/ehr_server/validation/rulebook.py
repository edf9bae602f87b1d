"""What resources are held to here: the standard, the profiles loaded, the kinds of identifier.

https://hl7.org/fhir/R4/validation.html. The one door to validation for all that is stored or asked
about. Most resources keep to everything, and cost no more than the gate and the closures of their
profiles; only where those say no are all findings gathered.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import tzinfo
from functools import cached_property
from typing import Any

from ehr_server.definitions import ProfileError, definitions
from ehr_server.definitions.library import Library, shipped
from ehr_server.definitions.snapshot import APPLIES_WHEN, Profiles
from ehr_server.errors import Invalid
from ehr_server.fhir import json
from ehr_server.fhirpath import compile_path
from ehr_server.fhirpath.names import names
from ehr_server.issue import Issue
from ehr_server.terminology import Terminology
from ehr_server.validation import extensions, gate, identifiers, messages
from ehr_server.validation.explain import explain
from ehr_server.validation.gate import Gate
from ehr_server.validation.policy import Level, Policy
from ehr_server.validation.profiles.around import NOTHING, Around, of_bundle
from ehr_server.validation.profiles.compile import HeldProfile, check_compiles
from ehr_server.validation.profiles.run import Run

Resource = dict[str, Any]
_Criterion = Callable[[Resource], list[tuple[str, Any]]]

_CODED = ("CodeableConcept", "Coding", "code")
_TRUE = [("boolean", True)]
_APPLIES = APPLIES_WHEN.encode()
_STANDARD = "hl7.fhir.r4.core#"  # its profiles say of themselves nowhere that they apply


@dataclass(frozen=True, slots=True)
class _Inside:
    """A resource that is checked for itself: the one given, an entry's, or a contained one."""

    resource: Resource
    place: str  # "" of the one given
    around: Around
    outer: Resource  # what `#id` is looked up in


@dataclass(frozen=True)
class _Criteria:
    """When profiles of a type apply to resources that do not claim them."""

    type: str
    rows: tuple[tuple[tuple[HeldProfile, Level], _Criterion], ...]

    @cached_property
    def told_by(self) -> tuple[str, ...] | None:
        """The elements that tell which apply, if those are codes: then few values are met again
        and again, and what was decided of them can be remembered. None: other elements too."""
        elements = definitions().types[self.type].elements
        found: set[str] = set()
        for (held, _), _ in self.rows:
            entered = names(str(held.profile.applies))
            if entered is None:
                return None
            found |= entered & elements.keys()
        is_coded = all(elements[name].types[0] in _CODED for name in found)
        return tuple(sorted(found)) if is_coded else None


@dataclass(frozen=True)
class Rulebook:
    """What resources are held to. Immutable: loading a package makes a new one."""

    library: Library = field(default_factory=shipped)
    policy: Policy = field(default_factory=Policy)

    @cached_property
    def terminology(self) -> Terminology:
        """The code lists there are."""
        return Terminology(self.library)

    @property
    def zone(self) -> tzinfo:
        """Where it is today, for rules that ask."""
        return self.policy.zone

    def held(self, canonical: str) -> HeldProfile | None:
        """A profile, ready to be checked; None if it is not loaded. Raises `ProfileError`."""
        if canonical not in self._held:
            profile = self.profiles.find(canonical)
            if profile is not None:
                check_compiles(profile, self.profiles.find)
            self._held[canonical] = HeldProfile(profile, self.profiles.find) if profile else None
        return self._held[canonical]

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
        name = resource.get("resourceType") if isinstance(resource, dict) else None
        is_known = isinstance(name, str) and name in definitions().type_number
        if expected_type is not None and is_known and name != expected_type:
            return [messages.other_resource_type(f"{name}.resourceType", str(name), expected_type)]
        if not profiles and self._passes(resource, around):
            return []
        return list(dict.fromkeys(self._findings(resource, profiles, around)))

    def applying(self, resource: Resource) -> Sequence[tuple[HeldProfile, Level]]:
        """The profiles that a resource of a known type is held to, with their levels, none of them
        twice: not those that are part of another."""
        name = str(resource.get("resourceType"))
        claims = _claims(resource)
        criteria = self._criteria.get(name)
        if criteria is None:
            return self._claimed(name, claims)
        told_by = criteria.told_by
        key = (name, claims, *(_fingerprint(resource.get(one)) for one in told_by or ()))
        found = self._decided.get(key) if told_by is not None else None
        if found is None:
            own = [row for row, criterion in criteria.rows if _is_met(criterion, resource)]
            found = _without_parents([*self._claimed(name, claims), *own])
            if told_by is not None and _is_worth(key, self._decided):
                self._decided[key] = found
        return found

    @cached_property
    def profiles(self) -> Profiles:
        """The profiles, each made when it is asked for."""
        return Profiles(self.library)

    @cached_property
    def _gate(self) -> Gate:
        """The gate of the standard and of the extensions that may be known, by how they begin."""
        urls = (one.url for one in self.library.all("StructureDefinition"))
        folders = {re.escape(url.rpartition("/")[0] + "/") for url in urls}
        return Gate(f"^(?:{'|'.join(sorted(folders))})", self._is_sound)

    def _is_sound(self, extension: Resource, holder: str) -> bool:
        """As `extensions.is_sound`; what was said of a Coding is remembered: few are met again and
        again (provinces, ethnic groups), and that is a sixth of the time of a local Patient."""
        key = (holder, _fingerprint(extension)) if "valueCoding" in extension else None
        found = self._sound.get(key) if key is not None else None
        if found is None:
            found = extensions.is_sound(extension, holder, self)
            if key is not None and key[1] and _is_worth(key, self._sound):
                self._sound[key] = found
        return found

    @cached_property
    def _held(self) -> dict[str, HeldProfile | None]:
        return {}

    @cached_property
    def _sound(self) -> dict[tuple[str, bytes], bool]:
        return {}

    @cached_property
    def _decided(self) -> dict[tuple[Any, ...], Sequence[tuple[HeldProfile, Level]]]:
        return {}

    def _claimed(
        self, type_name: str, claims: tuple[str, ...]
    ) -> Sequence[tuple[HeldProfile, Level]]:
        found: list[tuple[HeldProfile, Level]] = []
        for canonical in claims:
            held = self.usable(canonical, is_exact=True)
            level = self.policy.level(held.url, type_name) if held is not None else "off"
            if held is not None and level != "off":
                found.append((held, level))
        return _without_parents(found) if len(found) > 1 else found

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

    @cached_property
    def _criteria(self) -> dict[str, _Criteria]:
        """By type the profiles that apply by themselves."""
        rows: dict[str, list[tuple[tuple[HeldProfile, Level], _Criterion]]] = {}
        for artifact in self.library.all("StructureDefinition"):
            if artifact.package.startswith(_STANDARD) or _APPLIES not in artifact.content():
                continue
            held = self.usable(artifact.url)
            if held is None or held.profile.applies is None:
                continue
            level = self.policy.level(held.url, held.type)
            if level != "off":
                criterion = compile_path(held.profile.applies, held.type)
                rows.setdefault(held.type, []).append(((held, level), criterion))
        return {name: _Criteria(name, tuple(of)) for name, of in rows.items()}

    def _passes(self, resource: Any, around: Around | None) -> bool:
        """Whether there is surely nothing to say."""
        if not self._gate.is_valid(resource):
            return False
        for one in _resources(resource, around):
            if not all(self._keeps(one, held) for held, _ in self.applying(one.resource)):
                return False
            if self.policy.identifiers != "off" and not identifiers.are_sound(one.resource):
                return False
        return True

    def _findings(
        self, resource: Any, profiles: Sequence[str], around: Around | None
    ) -> Iterator[Issue]:
        is_plain = self._gate.is_valid(resource)
        base = [] if is_plain or gate.is_valid(resource) else explain(resource)
        yield from base
        if not _is_resource(resource):
            return
        for one in _resources(resource, around):
            asked = [self.exact(canonical) for canonical in profiles] if not one.place else []
            held_to: list[tuple[HeldProfile, Level]] = [
                (held, "reject") for held in asked if held is not None
            ]
            known = {url for held, _ in held_to for url in (held.url, *held.profile.parents)}
            held_to += [row for row in self.applying(one.resource) if row[0].url not in known]
            for held, level in held_to:
                if base:
                    yield from _levelled(self._tried(one, held), level)
                elif not self._keeps(one, held):
                    yield from _levelled(self._run(one, held).found, level)
            if self.policy.identifiers != "off":
                found = identifiers.findings(one.resource)
                yield from _moved(_levelled(found, self.policy.identifiers), one.place)
            if not is_plain and not base:
                yield from extensions.findings(one.resource, one.place, self)

    def _keeps(self, one: _Inside, held: HeldProfile) -> bool:
        """Whether the resource, which keeps to the standard, surely keeps to the profile."""
        run = Run(self, one.around, one.outer, held.url)
        return held.is_of(one.resource) and held.passes(
            one.resource, one.resource["resourceType"], run
        )

    def _tried(self, one: _Inside, held: HeldProfile) -> Sequence[Issue]:
        """The findings about a resource that breaks the standard, as far as it can be read."""
        try:
            return self._run(one, held, is_sound=False).found
        except (AttributeError, KeyError, TypeError):
            return ()

    def _run(self, one: _Inside, held: HeldProfile, *, is_sound: bool = True) -> Run:
        run = Run(self, one.around, one.outer, held.url, is_sound)
        name = str(one.resource["resourceType"])
        if held.is_of(one.resource):
            for check in held.checks(name):
                check(one.resource, one.place or name, run)
        else:
            run.found.append(messages.profile_of_other_type(one.place or name, held.url, held.type))
        return run


_DECIDED_MAX = 10_000  # combinations of claims and codes that are remembered
_DECIDED_CHARS = 2_000  # of one: whoever sends long ones shall not fill the memory


def _is_worth(key: tuple[Any, ...], remembered: Mapping[Any, object]) -> bool:
    """Whether what was decided of the key may be remembered beside the others."""
    return len(remembered) < _DECIDED_MAX and len(repr(key)) <= _DECIDED_CHARS


def _claims(resource: Resource) -> tuple[str, ...]:
    meta = resource.get("meta")
    claimed = meta.get("profile") if isinstance(meta, dict) else None
    if not isinstance(claimed, list):
        return ()
    return tuple(one for one in claimed if isinstance(one, str))


def _is_met(criterion: _Criterion, resource: Resource) -> bool:
    try:
        return criterion(resource) == _TRUE
    except (AttributeError, KeyError, TypeError):  # the resource is not sound, and is refused
        return False


def _fingerprint(value: Any) -> bytes:
    try:
        return json.write(value)
    except (Invalid, TypeError):  # nothing that JSON can hold, so no code
        return b""


def _without_parents(
    several: list[tuple[HeldProfile, Level]],
) -> list[tuple[HeldProfile, Level]]:
    """Each profile once, and none that another derives from: that asks the same and more."""
    parents = {url for held, _ in several for url in held.profile.parents}
    return list(
        {held.url: (held, level) for held, level in several if held.url not in parents}.values()
    )


def _resources(resource: Resource, around: Around | None) -> Iterator[_Inside]:
    """The resource, and those in it that are resources of their own, at any depth."""
    yield from _inside(resource, "", around or NOTHING)


def _inside(resource: Resource, place: str, around: Around) -> Iterator[_Inside]:
    name = str(resource.get("resourceType"))
    if name == "Bundle":
        around = of_bundle(resource)
    yield _Inside(resource, place, around, resource)
    here = place or name
    contained = resource.get("contained")
    for at, one in enumerate(contained if isinstance(contained, list) else ()):
        if _is_resource(one):
            yield _Inside(one, f"{here}.contained[{at}]", around, resource)
    if name == "Bundle":
        entries = resource.get("entry")
        for at, entry in enumerate(entries if isinstance(entries, list) else ()):
            if isinstance(entry, dict) and _is_resource(entry.get("resource")):
                yield from _inside(entry["resource"], f"{here}.entry[{at}].resource", around)
    elif name == "Parameters":
        yield from _parameters(resource, here, around)


def _parameters(holder: Any, place: str, around: Around) -> Iterator[_Inside]:
    for name in ("parameter", "part"):
        several = holder.get(name)
        for at, one in enumerate(several if isinstance(several, list) else ()):
            if isinstance(one, dict):
                here = f"{place}.{name}[{at}]"
                if _is_resource(one.get("resource")):
                    yield from _inside(one["resource"], f"{here}.resource", around)
                yield from _parameters(one, here, around)


def _is_resource(value: Any) -> bool:
    name = value.get("resourceType") if isinstance(value, dict) else None
    return isinstance(name, str) and name in definitions().type_number


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
