"""The gate: a yes in microseconds for a resource that keeps to FHIR R4.

A no means no more than that a closer look is due, which `explain` takes.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from jsonschema_rs import Draft4Validator

from ehr_server.definitions import definitions
from ehr_server.patterns import OPTIONS
from ehr_server.validation import links
from ehr_server.validation.schema import CONTAINED, EXTENSION, RESOURCE, RULE, resource_schema

_VALIDATORS_MAX = 64  # 1.5 MB each, and few records hold half of the 146 types

IsSound = Callable[[dict[str, Any], str], bool]


class Gate:
    """The gate of the standard; with `known`, also of the extensions whose url that pattern finds:
    of those `is_sound` says yes or no, given the extension and the type it stands in.
    """

    def __init__(self, known: str | None = None, is_sound: IsSound | None = None) -> None:
        self._known = known
        self._is_sound = is_sound
        self._validator = lru_cache(maxsize=_VALIDATORS_MAX)(self._compiled)

    def is_valid(self, resource: Any) -> bool:
        """Whether the resource is surely valid, with all resources in it.

        `resource` is what `fhir.json.read` makes: decimals are `Decimal`. The first resource of
        each type costs about 10 ms, for its schema is compiled then.
        """
        is_local = isinstance(resource, dict) and "contained" in resource
        return self._is_valid(resource, is_local) and (not is_local or links.are_resolved(resource))

    def _is_valid(self, resource: Any, is_local: bool) -> bool:
        type_name = resource.get("resourceType") if isinstance(resource, dict) else None
        if not isinstance(type_name, str) or type_name not in definitions().type_number:
            return False
        return self._validator(type_name, is_local).is_valid(resource)

    def _compiled(self, type_name: str, is_local: bool) -> Draft4Validator:
        found = resource_schema(type_name, is_local, self._known)
        keywords = {
            RESOURCE: _keyword(lambda _: self.is_valid),
            # Its references are resolved by the one around it.
            CONTAINED: _keyword(lambda _: lambda one: self._is_valid(one, is_local=True)),
            RULE: _keyword(lambda name: found.calls[name].holds),
            EXTENSION: _keyword(self._extensions_in),
        }
        return Draft4Validator(found.schema, pattern_options=OPTIONS, keywords=keywords)

    def _extensions_in(self, holder: str) -> Callable[[Any], bool]:
        is_sound = self._is_sound
        return lambda extension: is_sound is None or is_sound(extension, holder)


def _keyword(holds_of: Callable[[str], Callable[[Any], bool]]) -> type:
    """A keyword that only a call can decide: `holds_of` its value in the schema gives the call."""

    class Called:
        def __init__(self, _parent: object, value: str, _path: object) -> None:
            self._holds = holds_of(value)

        def validate(self, instance: Any) -> None:
            # A value that is not sound may end in any error: that says no as well.
            if not self._holds(instance):
                raise ValueError

    return Called


_STANDARD = Gate()


def is_valid(resource: Any) -> bool:
    """Whether the resource surely keeps to the standard: `Gate.is_valid` without extensions."""
    return _STANDARD.is_valid(resource)
