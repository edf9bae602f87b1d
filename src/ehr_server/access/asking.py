"""Who asks, and for what, in the words of consents: `consent.rule.Ask` of a caller.

https://hl7.org/fhir/R4/consent.html
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from ehr_server.access.policies import opt_in
from ehr_server.access.purpose import BROKEN_GLASS
from ehr_server.consent.rule import Ask, actor, purpose
from ehr_server.definitions import definitions
from ehr_server.fhir import references
from ehr_server.hashing import own_comp
from ehr_server.search.parameters import STANDARD
from ehr_server.search.types import reference
from ehr_server.sensitivity import reasons

if TYPE_CHECKING:
    from datetime import datetime

    from ehr_server.access.policies import Policy
    from ehr_server.access.principal import Principal

_ORGANIZATION = "Organization"


def ask_of(policy: Policy, principal: Principal, stated: str, at: datetime) -> Ask | None:
    """What consents are asked by a caller who states a purpose; None where neither a Consent nor a
    restriction counts for the policy."""
    if not policy.heeds_consent and policy.restricted >= reasons():
        return None
    return Ask(
        _actors(principal),
        (purpose(stated),),
        at,
        may_tell=policy.restricted,
        default="closed" if stated in opt_in() else "open",
        is_broken=stated == BROKEN_GLASS,
        named=_naming(principal.facility) if principal.facility else (),
    )


def _actors(principal: Principal) -> tuple[int, ...]:
    """The facility and the user."""
    found = [actor(_ORGANIZATION, principal.facility)] if principal.facility else []
    user = references.parse(principal.user or "", "")
    if user.kind == "local" and user.type and user.id:
        found.append(actor(user.type, user.id))
    return tuple(found)


@lru_cache(maxsize=4096)
def _naming(facility: str) -> tuple[int, ...]:
    """What the references of a resource hold that names the facility: as who made it, who provides
    or keeps it, by whatever parameter that leads to an Organization."""
    own = own_comp(_ORGANIZATION, facility)
    return tuple(sorted({own ^ mark for mark in _marks()}))


@lru_cache(maxsize=1)
def _marks() -> frozenset[int]:
    return frozenset(
        reference.mark(source.parameter)
        for type_name in definitions().resource_types
        for sources in STANDARD.of(type_name).by_code.values()
        for source in sources
        if source.parameter.type == "reference"
        and (not source.targets or _ORGANIZATION in source.targets)
    )
