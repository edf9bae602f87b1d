"""From who calls to what they may do: the policy and the scopes of a principal become rights."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ehr_server import clock
from ehr_server.access.asking import ask_of
from ehr_server.access.caller import asker_of
from ehr_server.access.guardians import Reading, own_of, records_of
from ehr_server.access.policies import policies
from ehr_server.access.purpose import BROKEN_GLASS, purpose_of
from ehr_server.access.rights import Rights
from ehr_server.access.scopes import Scope, scope
from ehr_server.errors import Forbidden

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date

    from ehr_server.access.caller import Caller
    from ehr_server.access.policies import Policy
    from ehr_server.access.principal import Principal
    from ehr_server.search.rules import Rules
    from ehr_server.store.connect import Store


def entitled(caller: Caller, policies: Mapping[str, Policy], store: Store, rules: Rules) -> Caller:
    """The caller with rights; as they are, if they came without a token to an open server.

    Raises `Forbidden` for one without a policy, or without what the policy asks of callers.
    """
    principal = caller.principal
    if principal is None:
        return caller
    policy = policies.get(principal.policy)
    if policy is None:
        raise _lacks("a policy of this server", "chính sách của máy chủ này")
    if policy.needs_facility and principal.facility is None:
        raise _lacks(
            "the facility that you work for, which your policy asks for",
            "cơ sở y tế mà chính sách của bạn yêu cầu",
        )
    if policy.needs_patient and not _is_somebody(principal):
        raise _lacks("the patient whose record is meant", "người bệnh chủ hồ sơ")
    scopes = tuple(found for text in principal.scopes if (found := scope(text)))
    patients = _patients(store, policy, principal, rules) if _names(policy, scopes) else ()
    ask = ask_of(policy, principal, caller.purpose, clock.now())
    return replace(caller, rights=Rights(policy, principal, rules, scopes, patients, ask=ask))


def with_purpose(
    caller: Caller, policies: Mapping[str, Policy], headers: Mapping[str, str]
) -> Caller:
    """The caller with what they ask for data for, as the headers of a request say: one of their
    own purposes that the policy has too. Who is registered for none has those of the policy, but
    for breaking the glass, which is granted by name. Raises as `purpose_of`."""
    principal = caller.principal
    if principal is None:
        return caller
    policy = policies.get(principal.policy)
    if policy is not None:
        own = principal.purposes or (one for one in policy.purposes if one != BROKEN_GLASS)
        both = tuple(one for one in own if one in policy.purposes)
        if not both:
            raise _lacks("a purpose of your policy", "mục đích thuộc chính sách của bạn")
        principal = replace(principal, purposes=both)
    purpose, reason = purpose_of(headers, principal)
    return replace(caller, principal=principal, purpose=purpose, reason=reason)


def asker(request: Mapping[str, Any], store: Store, rules: Rules) -> Caller:
    """Who asked for a job, as its request keeps them (`access.caller.as_asker`), with what they may
    do at present. Raises as `entitled`."""
    told = request.get("asker") or {}  # none: who asked came without a token
    known = policies(Path(told["policies"]) if told.get("policies") else None)
    return entitled(asker_of(request), known, store, rules)


def _is_somebody(principal: Principal) -> bool:
    """Whether the token names a person who has a record, or cares for one who has."""
    user = (principal.user or "").partition("/")[0]
    return principal.patient is not None or user in ("Patient", "RelatedPerson")


def _names(policy: Policy, scopes: Sequence[Scope]) -> bool:
    """Whether what they may do is of some patients alone."""
    return policy.needs_patient or any(one.context == "patient" for one in scopes)


def _patients(store: Store, policy: Policy, principal: Principal, rules: Rules) -> tuple[str, ...]:
    """The records of the patient in whose context they call; of a person, by their policy, also
    those of the children whom they care for."""
    with store.connection() as connection:
        reading = Reading(store, connection, rules)
        if policy.needs_patient:
            found = records_of(reading, principal, _today(rules))
        else:
            found = own_of(reading, principal)
    named = (principal.patient,) if principal.patient else ()  # be it here or not
    return tuple(sorted({*named, *found}))


def _today(rules: Rules) -> date:
    return clock.now().astimezone(rules.zone).date()


def _lacks(what: str, what_vi: str) -> Forbidden:
    return Forbidden(
        f"Your token does not name {what}; ask whoever registered you.",
        vi=f"Token của bạn không nêu {what_vi}; xin liên hệ nơi cấp quyền.",
    )
