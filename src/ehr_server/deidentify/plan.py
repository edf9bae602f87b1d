"""From a policy and the tables of R4 to the rule of every element, compiled once for each type.

A plan names what is kept: an element without a rule, one that the standard does not know, is not
looked at. https://hl7.org/fhir/R4/json.html has the names.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

from ehr_server.definitions import definitions
from ehr_server.deidentify import rules
from ehr_server.deidentify.rules import MASKED, At, Rule

if TYPE_CHECKING:
    from ehr_server.definitions import Element
    from ehr_server.deidentify.policy import Policy

# Whatever stands in them is about somebody, or is free text.
_DROPPED = frozenset(
    ("HumanName", "ContactPoint", "ContactDetail", "Contributor", "Attachment", "Narrative")
) | frozenset(("Annotation", "Signature", "Expression", "Meta", "string", "markdown", "xhtml"))
_DROPPED |= frozenset(("uri", "url", "oid", "uuid", "base64Binary"))
_KEPT = frozenset(("boolean", "integer", "unsignedInt", "positiveInt", "decimal"))
_DATES = frozenset(("date", "dateTime", "instant"))
_QUANTITIES = frozenset(("Quantity", "Age", "Duration", "Count", "Distance"))
_RELATIVE = re.compile(r"[A-Za-z][A-Za-z0-9\-]{0,40}").fullmatch
_NUMBER = re.compile(r"value(?:Integer|Decimal|UnsignedInt|PositiveInt)$").search
_ABSENT = {
    "coding": [
        {
            "system": "http://terminology.hl7.org/CodeSystem/data-absent-reason",
            "code": "masked",
        }
    ]
}
_TELLS_ABSENCE = frozenset(("Observation", "Observation.component"))
# Rules between elements (cmp-1, org-1, ipn-1, imr-1, ppc-1): one of these must be there, or the
# mask at this place.
_ONE_OF: dict[str, tuple[tuple[str, ...], str, Any]] = {
    "Composition.section": (("entry", "section"), "entry", [MASKED]),
    "Organization": (("identifier", "name"), "_name", MASKED),
    "InsurancePlan": (("identifier", "name"), "_name", MASKED),
    "ImmunizationRecommendation.recommendation": (
        ("vaccineCode", "targetDisease"),
        "vaccineCode",
        [MASKED],
    ),
    "Consent": (("policy", "policyRule"), "policyRule", MASKED),
}

ACTIONS = {
    "keep": rules.keep,
    "drop": rules.drop,
    "mask": rules.drop,
    "hash": rules.hashed,
    "token": rules.token,
    "small": rules.small,
    "samples": rules.samples,
    "year": rules.year,
    "birth": rules.birth,
}
"""What a policy may say about an element: what is masked says that it was there."""


@dataclass(slots=True)
class Plan:
    """What becomes of one type: the rule of each JSON name. `owed` names what must be there, or be
    told to be masked: the name, where the mask stands, and what it is."""

    type_name: str
    rules: dict[str, Rule] = field(default_factory=dict)
    owed: list[tuple[str, str, Any]] = field(default_factory=list)

    def __call__(self, value: Any, at: At) -> Any:
        """What is left of an element; None if that is nothing, or if a modifier in it is not known
        (https://hl7.org/fhir/R4/extensibility.html#modifierExtension)."""
        found: dict[str, Any] = {}
        of = self.rules
        for name, inner in value.items():
            rule = of.get(name)
            if rule is not None and (kept := rule(inner, at)) is not None:
                found[name] = kept
        return self.settled(value, found)

    def settled(self, value: dict[str, Any], found: dict[str, Any]) -> Any:
        """`found` with what it owes."""
        if "modifierExtension" in value and _differs(value, found):
            return None
        for name, place, mask in self.owed:
            if name not in found and place not in found and (name in value or place in value):
                found[place] = mask
        if self.type_name in _TELLS_ABSENCE:
            _tell_absence(value, found)
        if self.type_name in _ONE_OF:
            names, place, mask = _ONE_OF[self.type_name]
            if not any(name in found for name in names):
                found[place] = mask
        return found or None


def _differs(value: dict[str, Any], found: dict[str, Any]) -> bool:
    return len(found.get("modifierExtension", ())) != len(value["modifierExtension"])


def _tell_absence(value: dict[str, Any], found: dict[str, Any]) -> None:
    """obs-6: a reason why there is no value, where there was one."""
    if "dataAbsentReason" in found or any(name.startswith("value") for name in found):
        return
    if any(name.startswith("value") for name in value):
        found["dataAbsentReason"] = _ABSENT


@cache
def _mask(type_name: str) -> dict[str, Any]:
    """A masked element of a data type or backbone: with all that must be in it, masked too."""
    found: dict[str, Any] = dict(MASKED)
    for element in definitions().types[type_name].elements.values():
        if element.min > 0 and not element.is_bare:
            name, inner = next(element.json_names())
            if definitions().types[inner].kind == "primitive":
                found[f"_{name}"] = [MASKED] if element.is_list else MASKED
            else:
                found[name] = [_mask(inner)] if element.is_list else _mask(inner)
    return found


class Plans:
    """The plans of a policy."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._made: dict[str, Plan] = {}
        self._inside: dict[str, Rule] = {}  # of data types that are made of parts
        self._extensions = listed(self._extension)

    def of(self, type_name: str) -> Plan:
        """The plan of a resource type, data type or backbone."""
        found = self._made.get(type_name)
        if found is None:
            found = self._made[type_name] = Plan(type_name)
            for element in definitions().types[type_name].elements.values():
                self._add(found, element)
        return found

    def rule(self, path: str, element: Element, name: str, type_name: str) -> tuple[Rule, str]:
        """The rule of an element under one of its JSON names, and what it is called."""
        action = self._policy.elements.get(f"{path}.{name}") or self._policy.elements.get(
            f"{path}.{element.name}"
        )
        if action is not None:
            return ACTIONS[action], action
        return self._by_type(path, element, name, type_name)

    def _add(self, plan: Plan, element: Element) -> None:
        for name, type_name in element.json_names():
            rule, action = self.rule(plan.type_name, element, name, type_name)
            is_primitive = definitions().types[type_name].kind == "primitive"
            if rule is not rules.drop:
                plan.rules[name] = listed(rule) if element.is_list else rule
                if is_primitive and not element.is_list and not element.is_bare:
                    plan.rules[f"_{name}"] = self._sibling
            is_owed = element.min > 0 or element.is_modifier or action == "mask"
            if is_owed and not element.is_bare and type_name != "Extension":
                mask: Any = MASKED if is_primitive else _mask(type_name)
                place = f"_{name}" if is_primitive else name
                plan.owed.append((name, place, [mask] if element.is_list else mask))

    def _by_type(self, path: str, element: Element, name: str, type_name: str) -> tuple[Rule, str]:
        policy = self._policy
        if type_name in _DATES:
            is_end = path == "Period" and name == "end"
            return rules.date_rule(policy, type_name, is_end=is_end), "date"
        if type_name in _DROPPED:
            return rules.drop, "drop"
        if type_name == "time":
            return (rules.drop, "drop") if policy.times == "cut" else (rules.keep, "keep")
        if type_name in _KEPT:
            return (rules.small, "small") if _NUMBER(name) else (rules.keep, "keep")
        if type_name == "code":
            return (rules.keep, "keep") if element.binding else (rules.token, "token")
        if type_name == "id":
            return (rules.drop, "drop") if element.name == "id" else (rules.hashed, "hash")
        if type_name == "canonical":
            return self._canonical, "canonical"
        if type_name == "Extension":
            return self._extension, "extension"
        if type_name == "Resource":
            return self._resource, "resource"
        return self._complex(type_name), "type"

    def _complex(self, type_name: str) -> Rule:
        found = self._inside.get(type_name)
        if found is None:
            found = self._inside[type_name] = self._made_complex(type_name)
        return found

    def _made_complex(self, type_name: str) -> Rule:
        policy = self._policy
        if type_name == "Coding":
            return rules.coding_rule(policy)
        if type_name in _QUANTITIES:
            return rules.quantity_rule(policy)
        if type_name == "Identifier":
            inside: dict[str, Rule] = {"use": rules.keep, "type": self._complex("CodeableConcept")}
            return rules.identifier_rule(policy, inside)
        if type_name == "Reference":
            return rules.reference_rule(policy, self._complex("Identifier"))
        if type_name == "Address":
            return rules.address_rule(policy, self._extensions)
        return self.of(type_name)

    def _canonical(self, value: Any, _: At) -> Any:
        return value if self._policy.is_canonical(value) else None

    def _extension(self, value: Any, at: At) -> Any:
        if value.get("url") not in self._policy.extensions:
            return None
        return self._extension_inside(value, at)

    def _extension_inside(self, value: Any, at: At) -> Any:
        found: dict[str, Any] = {"url": value["url"]}
        of = self.of("Extension").rules
        for name, inner in value.items():
            if name.startswith("value") and (rule := of.get(name)) is not None:
                kept = rule(inner, at)
                if kept is not None:
                    found[name] = kept
        parts = [
            kept for one in value.get("extension", ()) if (kept := self._part(one, at)) is not None
        ]
        if parts:
            found["extension"] = parts
        return found if len(found) > 1 else None

    def _part(self, value: Any, at: At) -> Any:
        if _RELATIVE(value["url"]):
            return self._extension_inside(value, at)
        return self._extension(value, at)

    def _sibling(self, value: Any, at: At) -> Any:
        """What is left beside a primitive: extensions that are known."""
        kept = self._extensions(value.get("extension", ()), at)
        return None if kept is None else {"extension": kept}

    def _resource(self, value: Any, at: At) -> Any:
        """A resource in a Bundle or Parameters."""
        type_name = value.get("resourceType")
        if type_name not in definitions().type_number:
            return None
        return whole(self.of(type_name), value, at, {"resourceType": type_name})


def listed(rule: Rule) -> Rule:
    """The rule of each in a list; what stood beside the list (`_given`) has no place any more."""

    def of_each(value: Any, at: At) -> Any:
        kept = [found for one in value if one is not None and (found := rule(one, at)) is not None]
        return kept or None

    return of_each


def whole(plan: Plan, value: dict[str, Any], at: At, found: dict[str, Any]) -> Any:
    """A resource by its plan, after what `found` has of it already; None for one under rules that
    are not known (`implicitRules`), which may turn what the rest says into its contrary."""
    if "implicitRules" in value:
        return None
    of = plan.rules
    for name, inner in value.items():
        rule = of.get(name)
        if rule is not None and name not in found and (kept := rule(inner, at)) is not None:
            found[name] = kept
    return plan.settled(value, found)
