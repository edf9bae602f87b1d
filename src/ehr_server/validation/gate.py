"""The gate: a yes in microseconds for a resource that keeps to FHIR R4.

A no means no more than that a closer look is due, which `explain` takes.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from jsonschema_rs import Draft4Validator

from ehr_server.definitions import definitions
from ehr_server.validation import links
from ehr_server.patterns import OPTIONS
from ehr_server.validation.schema import CONTAINED, RESOURCE, RULE, resource_schema

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ehr_server.validation.rules import Rule

_VALIDATORS_MAX = 64  # 1.5 MB each, and few records hold half of the 146 types


def is_valid(resource: Any) -> bool:
    """Whether the resource is surely valid, with all resources in it.

    `resource` is what `fhir.json.read` makes: decimals are `Decimal`. The first resource of each
    type costs about 10 ms, for its schema is compiled then.
    """
    is_local = isinstance(resource, dict) and "contained" in resource
    return _is_valid(resource, is_local) and (not is_local or links.are_resolved(resource))


def _is_valid(resource: Any, is_local: bool) -> bool:
    type_name = resource.get("resourceType") if isinstance(resource, dict) else None
    if not isinstance(type_name, str) or type_name not in definitions().type_number:
        return False
    return _validator(type_name, is_local).is_valid(resource)


@lru_cache(maxsize=_VALIDATORS_MAX)
def _validator(type_name: str, is_local: bool) -> Draft4Validator:
    found = resource_schema(type_name, is_local)
    keywords = {RESOURCE: _Resource, CONTAINED: _Contained, RULE: _rule_keyword(found.calls)}
    return Draft4Validator(found.schema, pattern_options=OPTIONS, keywords=keywords)


class _Resource:
    """The keyword of a resource in a Bundle or in Parameters: it stands for itself."""

    def __init__(self, *_: object) -> None:
        pass

    def validate(self, instance: Any) -> None:
        if not is_valid(instance):
            raise ValueError


class _Contained:
    """The keyword of a contained resource: its references are resolved by the one around it."""

    def __init__(self, *_: object) -> None:
        pass

    def validate(self, instance: Any) -> None:
        if not _is_valid(instance, is_local=True):
            raise ValueError


def _rule_keyword(calls: Mapping[str, Rule]) -> type:
    class Called:
        """The keyword of a rule that only a call can decide."""

        def __init__(self, _parent: object, name: str, _path: object) -> None:
            self._holds = calls[name].holds

        def validate(self, instance: Any) -> None:
            # A value that is not sound may end in any error: that says no as well.
            if not self._holds(instance):
                raise ValueError

    return Called
