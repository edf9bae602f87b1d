"""One resource after another without the person it is about."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ehr_server.deidentify.plan import Plan, whole
from ehr_server.deidentify.pseudonyms import Pseudonyms
from ehr_server.deidentify.rules import At
from ehr_server.sensitivity import is_restricted

if TYPE_CHECKING:
    from collections.abc import Callable

    from ehr_server.deidentify.policy import Policy

_VALUES = "http://terminology.hl7.org/CodeSystem/v3-ObservationValue"
_DISPLAYS = {"PSEUDED": "pseudonymized", "ANONYED": "anonymized"}
_LABELS = (
    "http://terminology.hl7.org/CodeSystem/v3-Confidentiality",
    "http://terminology.hl7.org/CodeSystem/v3-ActCode",
)
_POLICY = "http://ehr-server.org/fhir/CodeSystem/deidentification-policy"


def nobody(_reason: str) -> bool:
    """Nothing that is restricted may be told."""
    return False


class Deidentify:
    """What a policy leaves of resources under one key. It may be shared by threads."""

    def __init__(
        self, policy: Policy, key: bytes, year: int, may_tell: Callable[[str], bool] = nobody
    ) -> None:
        self._policy = policy
        self._may_tell = may_tell
        self._pseudonyms = Pseudonyms(
            key, policy.days_max, is_weekday_kept=policy.weekday == "keep"
        )
        self._oldest = year - policy.age_max - 1
        self._label = {
            "system": _VALUES,
            "code": policy.label,
            "display": _DISPLAYS[policy.label],
        }
        self._tag = [{"system": _POLICY, "code": policy.name}]

    def __call__(self, resource: dict[str, Any], person: str | None) -> dict[str, Any] | None:
        """What is left of a resource, a new dict; None: it is left out.

        `resource` is a valid one as `fhir.json.read` makes it, and is not changed. `person` is the
        id of the Patient in whose compartment it is, its own of a Patient, None outside of all.
        """
        type_name = resource["resourceType"]
        if type_name not in self._policy.resources or not self._is_told(resource):
            return None
        by = None if person is None else self._pseudonyms.shift(person)
        at = At(self._pseudonyms, by, self._oldest)
        found: dict[str, Any] = {"resourceType": type_name}
        if "id" in resource:
            found["id"] = self._pseudonyms.id(type_name, resource["id"])
        found["meta"] = {"security": self._security(resource), "tag": self._tag}
        plan = self._policy.plans.of(type_name)
        if "contained" in resource:
            return self._with_contained(plan, resource, at, found)
        left: dict[str, Any] | None = whole(plan, resource, at, found)
        return left

    def id(self, type_name: str, id_: str) -> str:
        """What stands for the id of a resource, whatever becomes of the resource."""
        return self._pseudonyms.id(type_name, id_)

    def _is_told(self, resource: dict[str, Any]) -> bool:
        if not all(self._may_tell(reason) for reason in is_restricted(resource)):
            return False
        left_out = self._policy.left_out
        code = resource.get("code")
        if not left_out or type(code) is not dict:
            return True
        return not any(
            one.get("code") in left_out.get(one.get("system"), ()) for one in code.get("coding", ())
        )

    def _security(self, resource: dict[str, Any]) -> list[dict[str, Any]]:
        kept = [
            {"system": one["system"], "code": one["code"]}
            for one in resource.get("meta", {}).get("security", ())
            if one.get("system") in _LABELS and "code" in one
        ]
        return [*kept, self._label]

    def _with_contained(
        self, plan: Plan, resource: dict[str, Any], at: At, found: dict[str, Any]
    ) -> dict[str, Any] | None:
        """With what is contained in it and still referred to (dom-3), and no reference to what is
        not there any more (ref-1)."""
        inside = {
            one["id"]: one for one in resource["contained"] if "id" in one and "resourceType" in one
        }
        at.contained = frozenset(inside)
        while True:
            left: dict[str, Any] | None = whole(plan, resource, at, dict(found))
            kept = {id_: self._contained(one, at) for id_, one in inside.items()}
            gone = {id_ for id_, one in kept.items() if one is None}
            if not gone:
                break
            inside = {id_: one for id_, one in inside.items() if id_ not in gone}
            at.contained = frozenset(inside)
        if left is None:
            return None
        left.pop("contained", None)
        several = _referred(left, [one for one in kept.values() if one is not None])
        return left | {"contained": several} if several else left

    def _contained(self, resource: dict[str, Any], at: At) -> dict[str, Any] | None:
        type_name = resource["resourceType"]
        start = {"resourceType": type_name, "id": self._pseudonyms.id("#", resource["id"])}
        left: dict[str, Any] | None = whole(self._policy.plans.of(type_name), resource, at, start)
        return left


def _referred(left: dict[str, Any], several: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Those contained that are referred to, or refer to what they are contained in (`#`)."""
    while True:
        named = _locals([left, *several])
        kept = [one for one in several if one["id"] in named or "" in _locals([one])]
        if len(kept) == len(several):
            return kept
        several = kept


def _locals(level: list[Any]) -> set[str]:
    found: set[str] = set()
    while level:
        node = level.pop()
        if isinstance(node, dict):
            to = node.get("reference")
            if isinstance(to, str) and to.startswith("#"):
                found.add(to[1:])
            level += node.values()
        elif isinstance(node, list):
            level += node
    return found
