"""A Consent to its rules: every provision one, exceptions and exceptions to these.

https://hl7.org/fhir/R4/consent.html#resource. An element that is not evaluated never makes a rule
wider than its author meant it: a permit with one is not applied, nor is a permit within it; a
denial is applied without the narrowing. The sender is told so. Where it cannot even be told whether
a rule permits or denies, the Consent is refused.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import tzinfo
from typing import Any

from ehr_server.consent import codes
from ehr_server.consent.codes import Pair, not_understood
from ehr_server.consent.rule import DENY, NEITHER, PERMIT, Rule, actor
from ehr_server.definitions import definitions
from ehr_server.fhir import references
from ehr_server.fhir.dates import EARLIEST, LATEST, period
from ehr_server.hashing import own_comp
from ehr_server.issue import Issue

RULES_MAX = 500  # of one Consent

CodeHashes = Callable[[Sequence[Pair], Sequence[str]], Iterable[int]]

_EVALUATED = frozenset(
    ("id", "extension", "type", "period", "actor", "action", "securityLabel", "purpose", "class",
     "code", "dataPeriod", "data", "provision")
)  # fmt: skip
_EFFECTS = {"permit": PERMIT, "deny": DENY}
_BASES = {"OPTIN": PERMIT, "OPTINR": PERMIT, "OPTOUT": DENY, "OPTOUTE": DENY}
_ACT_CODE = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
_ACTORS = frozenset(("Organization", "Practitioner", "Device", "Patient", "RelatedPerson"))


@dataclass(frozen=True, slots=True)
class Site:
    """How texts are read here: the zone of dates without one, this server's own address, and by
    what hashes a code is found in rows of the types (of none named: of any)."""

    zone: tzinfo
    base: str
    codes: CodeHashes


@dataclass(frozen=True, slots=True)
class Read:
    """The rules of a Consent, and what is told to who sends it: errors refuse it."""

    rules: tuple[Rule, ...] = ()
    issues: tuple[Issue, ...] = ()


def is_in_force(consent: dict[str, Any]) -> bool:
    """Whether it is about privacy, and active."""
    scope = (coding.get("code") for coding in consent.get("scope", {}).get("coding", ()))
    return consent.get("status") == "active" and "patient-privacy" in scope


def read(consent: dict[str, Any], site: Site) -> Read:
    """The rules of a valid Consent; of one that is not in force none."""
    if not is_in_force(consent):
        return Read()
    reader = _Reader(site)
    patient = references.parse(consent.get("patient", {}).get("reference", ""), site.base)
    if (patient.kind, patient.type) != ("local", "Patient"):
        reader.issues.append(not_understood("Consent.patient", "patient"))
    base = consent.get("provision", {})
    effect = _EFFECTS.get(base.get("type", ""), _of_policy(consent))
    if effect is None:
        reader.issues.append(not_understood("Consent.provision.type", "base"))
    outer = _Outer(is_unknown="modifierExtension" in consent)
    reader.provision(base, "Consent.provision", outer, DENY if effect is None else effect)
    rules = tuple(reader.rules)
    if len(rules) > RULES_MAX:
        reader.issues.append(not_understood("Consent.provision", "many"))
        rules = (_CLOSED,)
    return Read(rules, tuple(reader.issues))


# What stands for a Consent of more rules than are read, if it was stored before they were counted.
_CLOSED = Rule(0, 0, -1, (), DENY, EARLIEST, LATEST)


@dataclass(frozen=True, slots=True)
class _Outer:
    """What a provision lies in: `is_unknown` where some of that is not evaluated."""

    number: int = -1
    above: tuple[int, ...] = ()
    is_unknown: bool = False
    actions: Sequence[dict[str, Any]] = ()  # that the nearest names
    purposes: tuple[int, ...] = ()  # that the nearest names
    reasons: tuple[int, ...] = ()


@dataclass(slots=True)
class _Reader:
    site: Site
    rules: list[Rule] = field(default_factory=list)
    issues: list[Issue] = field(default_factory=list)

    def provision(self, node: dict[str, Any], path: str, outer: _Outer, effect: int) -> None:
        """Add the rule of a provision, then those of its exceptions."""
        number = len(self.rules)
        if number > RULES_MAX:
            return
        found = _Elements(node, self.site, is_deny=effect == DENY)
        is_unknown = outer.is_unknown or bool(found.unknown)
        actions = node.get("action", outer.actions)
        purposes, reasons = found.purposes or outer.purposes, found.reasons or outer.reasons
        is_read = codes.are_about_reading(actions, effect == DENY)
        is_idle = not is_read or (effect == PERMIT and is_unknown)
        since, until = found.period
        self.rules.append(
            Rule(
                0,
                number,
                outer.number,
                outer.above,
                NEITHER if is_idle else effect,
                since,
                until,
                actors=found.actors,
                purposes=found.purposes,
                labels=found.labels,
                classes=found.classes,
                codes=found.codes,
                instances=found.instances,
                names=(*purposes, *reasons),
                data_from=found.data_period[0],
                data_until=found.data_period[1],
                hides_patient=definitions().type_number["Patient"] in found.classes,
            )
        )
        self._tell(path, found.unknown, outer, effect)
        inner = _Outer(number, (*outer.above, number), is_unknown, actions, purposes, reasons)
        for at, child in enumerate(node.get("provision", ())):
            place = f"{path}.provision[{at}]"
            kind = _EFFECTS.get(child.get("type", ""))
            if kind is None:
                self.issues.append(not_understood(f"{place}.type", "nested"))
            self.provision(child, place, inner, DENY if kind is None else kind)

    def _tell(self, path: str, unknown: Sequence[str], outer: _Outer, effect: int) -> None:
        kind = "denial" if effect == DENY else "permit"
        self.issues += [not_understood(f"{path}.{name}", kind) for name in unknown]
        if effect == PERMIT and outer.is_unknown and not unknown:
            self.issues.append(not_understood(path, "within"))


class _Elements:
    """What narrows one provision, as far as it is evaluated; `unknown` are the names of the rest.

    Of several values, which are alternatives, a permit keeps those that are understood; a denial
    with one that is not is not narrowed by the element at all.
    """

    def __init__(self, node: dict[str, Any], site: Site, *, is_deny: bool) -> None:
        self._is_deny = is_deny
        self.unknown: list[str] = sorted(set(node) - _EVALUATED)
        given = node.get("period", {})
        self.period = period(given.get("start"), given.get("end"), site.zone)
        self.data_period: tuple[Any, Any] = (None, None)
        if data := node.get("dataPeriod"):
            self.data_period = period(data.get("start"), data.get("end"), site.zone)
        self.actors = self._each(node, "actor", lambda one: _actor(one, site.base))
        self.purposes = self._each(node, "purpose", lambda one: codes.purposes(one, is_deny))
        self.labels = self._each(node, "securityLabel", lambda one: codes.labels(one, is_deny))
        self.reasons = codes.reasons_named(node.get("securityLabel", ()))
        names = [codes.type_named(one) for one in node.get("class", ())]
        self.classes = self._each(node, "class", _class)
        pairs = [pair for one in node.get("code", ()) for pair in codes.pairs(one)]
        self.codes = self._each(node, "code", lambda one: (1,) if codes.pairs(one) else ())
        if self.codes:
            types = [name for name in names if name is not None] if self.classes else []
            self.codes = tuple(sorted(set(site.codes(pairs, types))))
        self.instances = self._each(node, "data", lambda one: _instance(one, site.base))

    def _each(
        self, node: dict[str, Any], name: str, hashes: Callable[[Any], Iterable[int]]
    ) -> tuple[int, ...]:
        several = [tuple(hashes(one)) for one in node.get(name, ())]
        if not several:
            return ()
        if all(several):
            return tuple(sorted({one for found in several for one in found}))
        if self._is_deny or not any(several):
            self.unknown.append(name)
            return ()
        return tuple(sorted({one for found in several for one in found}))


def _of_policy(consent: dict[str, Any]) -> int | None:
    """Whether the policy that the rules are exceptions to permits or denies."""
    rule = consent.get("policyRule", {})
    found = {
        _BASES[coding["code"]]
        for coding in rule.get("coding", ())
        if coding.get("system") == _ACT_CODE and coding.get("code") in _BASES
    }
    return found.pop() if len(found) == 1 else None


def _actor(one: dict[str, Any], base: str) -> tuple[int, ...]:
    """https://hl7.org/fhir/R4/consent-definitions.html#Consent.provision.actor.role: only of those
    who receive something the caller can be one."""
    reference = references.parse(one.get("reference", {}).get("reference", ""), base)
    if not codes.is_recipient(one.get("role", {})) or reference.kind != "local":
        return ()
    if reference.type not in _ACTORS or reference.id is None:
        return ()
    return (actor(reference.type, reference.id),)


def _class(coding: dict[str, Any]) -> tuple[int, ...]:
    name = codes.type_named(coding)
    return () if name is None else (definitions().type_number[name],)


def _instance(one: dict[str, Any], base: str) -> tuple[int, ...]:
    """The data themselves; not what is related to them or depends on them."""
    reference = references.parse(one.get("reference", {}).get("reference", ""), base)
    if one.get("meaning") != "instance" or reference.kind != "local" or reference.version:
        return ()
    return (own_comp(reference.type or "", reference.id or ""),)
