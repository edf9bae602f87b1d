"""Whether a resource may be told to who asks, by the rules of the persons it is about.

https://hl7.org/fhir/R4/consent.html: a provision holds exceptions to itself, so of one Consent that
rule decides that matches and has no exception that does. A denial of any Consent hides; a permit
opens what is closed. `search.disclosable` says the same to the database.
"""

from collections.abc import Mapping, Sequence

from ehr_server.consent.rule import DENY, NEITHER, PERMIT, Ask, Rule, Seen
from ehr_server.definitions import definitions

Rules = Mapping[int, Sequence[Rule]]  # by compartment

_PATIENT = definitions().type_number["Patient"]


def decide(rules: Rules, seen: Seen, ask: Ask) -> bool:
    """Whether the resource may be told. `rules` of all its compartments; others do no harm."""
    if ask.is_broken:
        return True
    if any(_is_denied(rules.get(comp, ()), seen, ask) for comp in seen.comps):
        return False
    closed = seen.toks.intersection(ask.closed)
    if ask.default == "open" and not seen.refs.isdisjoint(ask.named):
        closed = frozenset()
    if not closed and (ask.default == "open" or not any(comp & 1 for comp in seen.comps)):
        return True
    # The consent of one does not open what is about others too.
    return not seen.is_shared and any(
        _is_opened(rules.get(comp, ()), seen, ask, closed) for comp in seen.comps
    )


def _is_denied(rules: Sequence[Rule], seen: Seen, ask: Ask) -> bool:
    return any(
        rule.effect == DENY
        and (seen.type != _PATIENT or rule.hides_patient)
        and _decides(rule, rules, seen, ask, is_strict=False)
        for rule in rules
    )


def _is_opened(rules: Sequence[Rule], seen: Seen, ask: Ask, closed: frozenset[int]) -> bool:
    return any(
        rule.effect == PERMIT
        and (ask.default == "open" or not set(rule.names).isdisjoint(ask.purposes))
        and (closed <= set(rule.names) or seen.own in rule.instances)
        and _decides(rule, rules, seen, ask, is_strict=True)
        for rule in rules
    )


def _decides(rule: Rule, rules: Sequence[Rule], seen: Seen, ask: Ask, *, is_strict: bool) -> bool:
    """Whether it matches, and all that it lies in, and no exception to it."""
    if not _matches(rule, seen, ask, is_strict=is_strict):
        return False
    for other in rules:
        if other.key != rule.key:
            continue
        if other.number in rule.above and not _matches(other, seen, ask, is_strict=is_strict):
            return False
        is_exception = other.parent == rule.number and other.effect != NEITHER
        if is_exception and _matches(other, seen, ask, is_strict=other.effect == PERMIT):
            return False
    return True


def _matches(rule: Rule, seen: Seen, ask: Ask, *, is_strict: bool) -> bool:
    """Whether its own elements hold. Of data without a date a permit (`is_strict`) is not about
    them, a denial is."""
    return (
        rule.since <= ask.at < rule.until
        and _meets(rule.actors, ask.actors)
        and _meets(rule.purposes, ask.purposes)
        and _meets(rule.labels, seen.toks)
        and _meets(rule.classes, (seen.type,))
        and _meets(rule.codes, seen.toks)
        and _meets(rule.instances, (seen.own,))
        and _is_of_time(rule, seen, is_strict=is_strict)
    )


def _meets(wanted: tuple[int, ...], there: frozenset[int] | tuple[int, ...]) -> bool:
    return not wanted or not set(wanted).isdisjoint(there)


def _is_of_time(rule: Rule, seen: Seen, *, is_strict: bool) -> bool:
    if rule.data_from is None or rule.data_until is None:
        return True
    if seen.d1 is None or seen.d1e is None:
        return not is_strict
    if is_strict:
        return rule.data_from <= seen.d1 and seen.d1e <= rule.data_until
    return seen.d1 < rule.data_until and rule.data_from < seen.d1e
