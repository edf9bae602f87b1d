"""From who calls to what they may do: the policy and the scopes of a principal become rights."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ehr_server import clock
from ehr_server.access.asking import ask_of
from ehr_server.access.caller import asker_of
from ehr_server.access.policies import policies
from ehr_server.access.rights import Rights
from ehr_server.access.scopes import Scope, scope
from ehr_server.errors import Forbidden
from ehr_server.hashing import person_comp
from ehr_server.store.merged import records

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

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
    if policy.needs_patient and principal.patient is None:
        raise _lacks("the patient whose record is meant", "người bệnh chủ hồ sơ")
    scopes = tuple(found for text in principal.scopes if (found := scope(text)))
    patients = _patients(store, principal) if _names_patients(policy, scopes) else ()
    stated = caller.purpose or policy.purposes[0]
    ask = ask_of(policy, principal, stated, clock.now())
    rights = Rights(policy, principal, rules, scopes, patients, ask=ask)
    return replace(caller, rights=rights, purpose=stated)


def asker(request: Mapping[str, Any], store: Store, rules: Rules) -> Caller:
    """Who asked for a job, as its request keeps them (`access.caller.as_asker`), with what they may
    do at present. Raises as `entitled`."""
    folder = request.get("asker", {}).get("policies", "")
    known = policies(Path(folder) if folder else None)
    return entitled(asker_of(request), known, store, rules)


def _names_patients(policy: Policy, scopes: Sequence[Scope]) -> bool:
    return policy.needs_patient or any(one.context == "patient" for one in scopes)


def _patients(store: Store, principal: Principal) -> tuple[str, ...]:
    """All records of the person who calls."""
    if principal.patient is None:
        return ()
    with store.connection() as connection:
        found = records(connection, {person_comp(principal.patient)})
    return tuple(sorted({principal.patient, *(one.id for one in found)}))


def _lacks(what: str, what_vi: str) -> Forbidden:
    return Forbidden(
        f"Your token does not name {what}; ask whoever registered you.",
        vi=f"Token của bạn không nêu {what_vi}; xin liên hệ nơi cấp quyền.",
    )
