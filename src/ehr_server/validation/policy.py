"""How strictly resources are held to what: the settings of the validation, taken apart.

A rule is `WHAT=LEVEL`, where WHAT is the url of a profile, a resource type or `*`, the first two
winning over the later: `*=warn, Patient=reject, http://example.org/StructureDefinition/x=off`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, tzinfo
from types import MappingProxyType
from typing import Literal, cast

from ehr_server.definitions import definitions
from ehr_server.setting import SettingError
from ehr_server.settings import Settings

Level = Literal["off", "warn", "reject"]
_LEVELS = ("off", "warn", "reject")


@dataclass(frozen=True, slots=True)
class Policy:
    """`profiles` by url, type or `*`; `identifiers` is the level of the shape of identifiers;
    `refused_modifiers` are the types (or `*`) in which a modifierExtension that the server does
    not know is refused, not only warned of. `zone` is where it is today."""

    profiles: Mapping[str, Level] = field(default_factory=lambda: MappingProxyType({"*": "warn"}))
    identifiers: Level = "reject"
    refused_modifiers: frozenset[str] = frozenset()
    zone: tzinfo = UTC

    def level(self, url: str, type_name: str) -> Level:
        """How a resource of the type is held to the profile."""
        for what in (url, type_name, "*"):
            if what in self.profiles:
                return self.profiles[what]
        return "warn"

    def refuses_modifiers(self, type_name: str) -> bool:
        """Whether an unknown modifierExtension is a reason to refuse a resource of the type."""
        return not self.refused_modifiers.isdisjoint((type_name, "*"))


def policy(settings: Settings) -> Policy:
    """What the settings say. Raises `SettingError`."""
    rules: dict[str, Level] = {"*": "warn"}
    for rule in _parts(settings.profiles):
        what, _, level = rule.rpartition("=")
        if level not in _LEVELS or not (what == "*" or ":" in what or _is_type(what)):
            raise SettingError(
                "--profiles (EHR_PROFILES) takes rules such as *=warn, Patient=reject, "
                f"http://example.org/StructureDefinition/x=off, not {rule!r}"
            )
        rules[what] = cast(Level, level)
    refused = frozenset(_parts(settings.refuse_modifiers))
    for what in refused:
        if what != "*" and not _is_type(what):
            raise SettingError(
                f"--refuse-modifiers (EHR_REFUSE_MODIFIERS) takes resource types or *, not {what!r}"
            )
    return Policy(MappingProxyType(rules), settings.identifiers, refused, settings.zone)


def _parts(text: str) -> list[str]:
    return [part for part in (one.strip() for one in text.split(",")) if part]


def _is_type(name: str) -> bool:
    return name in definitions().type_number
