"""Which profiles a resource is held to: those it claims, and those that apply by themselves.

https://hl7.org/fhir/R4/profiling.html#resources for the claims of `meta.profile`. A profile applies
by itself where its own extension `applies-when`, a FHIRPath, is true.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from ehr_server.definitions import definitions
from ehr_server.definitions.catalog import Catalog
from ehr_server.definitions.snapshot import APPLIES_WHEN
from ehr_server.errors import Invalid
from ehr_server.fhir import json
from ehr_server.fhirpath import compile_path
from ehr_server.fhirpath.names import names
from ehr_server.validation.policy import Level, Policy
from ehr_server.validation.profiles.compile import HeldProfile

Resource = dict[str, Any]
HeldTo = tuple[HeldProfile, Level]
_Criterion = Callable[[Resource], list[tuple[str, Any]]]

_CODED = ("CodeableConcept", "Coding", "code")
_TRUE = [("boolean", True)]
_APPLIES = APPLIES_WHEN.encode()
_STANDARD = "hl7.fhir.r4.core#"  # its profiles say of themselves nowhere that they apply
_REMEMBERED_MAX = 10_000  # combinations of claims and codes that are remembered
_REMEMBERED_CHARS = 2_000  # of one: whoever sends long ones shall not fill the memory


@dataclass(frozen=True)
class Applying:
    """The profiles of a catalog as a policy wants them.

    `usable` gives one by its canonical, None if it is not loaded or faulty. What was decided is
    remembered in plain dicts: threads that decide the same thing twice write the same.
    """

    catalog: Catalog
    policy: Policy
    usable: Callable[[str], HeldProfile | None]
    _decided: dict[tuple[Any, ...], Sequence[HeldTo]] = field(default_factory=dict)

    def to(self, resource: Resource) -> Sequence[HeldTo]:
        """The profiles that a resource of a known type is held to, with their levels, none of them
        twice: not those that are part of another."""
        name = str(resource.get("resourceType"))
        claims = _claims(resource)
        criteria = self._criteria.get(name)
        if criteria is None:
            return self._claimed(name, claims)
        told_by = criteria.told_by
        key = (name, claims, *(fingerprint(resource.get(one)) for one in told_by or ()))
        found = self._decided.get(key) if told_by is not None else None
        if found is None:
            own = [row for row, criterion in criteria.rows if _is_met(criterion, resource)]
            found = _without_parents([*self._claimed(name, claims), *own])
            if told_by is not None and is_worth(key, self._decided):
                self._decided[key] = found
        return found

    def _claimed(self, type_name: str, claims: tuple[str, ...]) -> Sequence[HeldTo]:
        found: list[HeldTo] = []
        for canonical in claims:
            held = self.usable(canonical)
            level = self.policy.level(held.url, type_name) if held is not None else "off"
            if held is not None and level != "off":
                found.append((held, level))
        return _without_parents(found) if len(found) > 1 else found

    @cached_property
    def _criteria(self) -> dict[str, _Criteria]:
        """By type the profiles that apply by themselves."""
        rows: dict[str, list[tuple[HeldTo, _Criterion]]] = {}
        for artifact in self.catalog.all("StructureDefinition"):
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


@dataclass(frozen=True)
class _Criteria:
    """When profiles of a type apply to resources that do not claim them."""

    type: str
    rows: tuple[tuple[HeldTo, _Criterion], ...]

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


def fingerprint(value: Any) -> bytes:
    """The value as JSON, to be remembered by; empty if it is none."""
    try:
        return json.write(value)
    except (Invalid, TypeError):  # nothing that JSON can hold, so no code
        return b""


def is_worth(key: tuple[Any, ...], remembered: Mapping[Any, object]) -> bool:
    """Whether what was decided of the key may be remembered beside the others."""
    return len(remembered) < _REMEMBERED_MAX and len(repr(key)) <= _REMEMBERED_CHARS


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


def _without_parents(
    several: list[HeldTo],
) -> list[HeldTo]:
    """Each profile once, and none that another derives from: that asks the same and more."""
    parents = {url for held, _ in several for url in held.profile.parents}
    return list(
        {held.url: (held, level) for held, level in several if held.url not in parents}.values()
    )
