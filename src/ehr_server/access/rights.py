"""What one caller may do: what a policy allows and a token grants, for one type and letter.

https://hl7.org/fhir/smart-app-launch/scopes-and-launch-context.html. A resource is within reach
where one rule of the policy and one scope of the token both lead to it. What is told of a type
becomes criteria of a search, so that the same words narrow every query (`access.restrict`) and
decide about a resource in hand (`access.seen`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from ehr_server.access.policies import sets
from ehr_server.access.scopes import ALL, Scope
from ehr_server.search.compartment import belongs
from ehr_server.search.criteria import criterion
from ehr_server.search.malformed import Malformed
from ehr_server.search.query import Conjunction, Criterion, Disclosable, Disjunction

if TYPE_CHECKING:
    from ehr_server.access.policies import Policy, Rule
    from ehr_server.access.principal import Principal
    from ehr_server.consent.rule import Ask
    from ehr_server.search.rules import Rules

NOTHING = Disjunction(())  # met by nothing
# Types whose resources are seen by who sees another that they name (`access.seen`): no search can
# be narrowed so, and to nobody but who may see everything does one find any.
IN_CONTEXT = frozenset(("Binary",))


@dataclass(frozen=True, slots=True)
class Reach:
    """What of a type is within reach: what meets all the `criteria`; none: all of it. `patients`:
    the ids in whose compartments all of it lies, if that is known. `is_searched`: a policy or a
    scope leaves some of it out by a search."""

    criteria: tuple[Criterion, ...] = ()
    patients: tuple[str, ...] | None = None
    is_searched: bool = False


@dataclass(frozen=True, slots=True)
class Rights:
    """`scopes` None: nothing is left out of what the policy allows. `patients`: the records that
    are the caller's own, or those of a child. `by_export`: asked for by an export, to which rules
    of their own apply. `ask`: what is asked of consents, None: nothing."""

    policy: Policy
    principal: Principal
    rules: Rules
    scopes: tuple[Scope, ...] | None = None
    patients: tuple[str, ...] = ()
    by_export: bool = False
    ask: Ask | None = None
    _known: dict[tuple[str, str, bool], Reach | None] = field(
        default_factory=dict, compare=False, repr=False
    )

    def for_export(self) -> Rights:
        """The same caller's, by an export."""
        return replace(self, by_export=True, _known={})

    def reach(self, type_name: str, letter: str, *, is_others: bool = False) -> Reach | None:
        """What of the type the letter of `cruds` may be done to; None: nothing. `is_others`: of
        what another facility made."""
        asked = (type_name, letter, is_others)
        if asked not in self._known:
            self._known[asked] = self._reach(*asked)
        return self._known[asked]

    def anywhere(self, letter: str) -> bool:
        """Whether there is a type to which the letter may be done."""
        return any(self.reach(name, letter) is not None for name in sorted(sets()[0][ALL]))

    def covers_records(self, letter: str) -> bool:
        """Whether the letter may be done to whatever lies in people's records."""
        types = sorted(sets()[0]["records"])
        found = [self.reach(name, letter, is_others=True) for name in types]
        return all(one is not None and not one.criteria for one in found)

    def is_all(self, type_name: str) -> bool:
        """Whether everything of the type may be read."""
        found = self.reach(type_name, "r")
        is_open = self.policy.is_whole or type_name not in IN_CONTEXT
        return found is not None and not found.criteria and is_open

    def may(self, operation: str) -> bool:
        """Whether an operation may be asked for, named by the last part of its address."""
        return self.policy.has(operation)

    def _reach(self, type_name: str, letter: str, is_others: bool) -> Reach | None:
        rules = self.policy.of(type_name, letter)
        options = [
            option
            for rule in rules
            if not (rule.by_export and not self.by_export) and not (rule.is_own and is_others)
            for option in self._options(rule, type_name, letter)
        ]
        if not options:
            return None
        criteria = (*_either(options), *self._disclosable(type_name, letter))
        patients = self.patients if all(one.patients is not None for one in options) else None
        return Reach(criteria, patients, any(one.is_searched for one in options))

    def _disclosable(self, type_name: str, letter: str) -> tuple[Criterion, ...]:
        """Consents are about what is told of persons."""
        if self.ask is None or letter != "r" or not self._is_of_persons(type_name):
            return ()
        return (Disclosable(self.ask),)

    def _options(self, rule: Rule, type_name: str, letter: str) -> Iterator[Reach]:
        """The rule, which leads to the type, with each scope that does."""
        for scope in self._scopes(type_name, letter):
            where = (*rule.where, *(scope.where if scope else ()))
            criteria = tuple(self._criterion(type_name, *pair) for pair in where)
            if not self._is_of_patients(scope):
                yield Reach(criteria, None, bool(where))
            elif type_name not in sets()[0]["records"]:
                if type_name in IN_CONTEXT or not self._is_of_persons(type_name):
                    yield Reach(criteria, None, bool(where))
            else:
                yield Reach((self._of_these(type_name), *criteria), self.patients, bool(where))

    def _of_these(self, type_name: str) -> Criterion:
        """What is of the records that are the caller's. Another Patient that says of itself that it
        is linked to one of them, which puts it into the compartment, is not."""
        if type_name != "Patient":
            return belongs(type_name, "Patient", self.patients, self.rules)
        if not self.patients:
            return NOTHING
        return criterion("Patient", "_id", ",".join(self.patients), self.rules)

    def _scopes(self, type_name: str, letter: str) -> Iterator[Scope | None]:
        if self.scopes is None:
            yield None
            return
        for one in self.scopes:
            if letter in one.letters and one.type in (ALL, type_name):
                yield one

    def _is_of_patients(self, scope: Scope | None) -> bool:
        return self.policy.needs_patient or (scope is not None and scope.context == "patient")

    @staticmethod
    def _is_of_persons(type_name: str) -> bool:
        """Whether a type may tell of persons, be it in a patient's compartment or not."""
        types = sets()[0]
        return type_name not in types["directory"] | types["definitions"]

    def _criterion(self, type_name: str, name: str, value: str) -> Criterion:
        """A search of a policy or a scope; one that is not understood leads to nothing."""
        facility = self.principal.facility
        if "{facility}" in value and facility is None:
            return NOTHING
        try:
            meant = value.replace("{facility}", facility or "")
            return criterion(type_name, name, meant, self.rules)
        except Malformed:
            return NOTHING


def _either(options: Sequence[Reach]) -> tuple[Criterion, ...]:
    """What meets one of them, as criteria that all must be met."""
    if any(not one.criteria for one in options):
        return ()
    if len(options) == 1:
        return options[0].criteria
    return (Disjunction(tuple(Conjunction(one.criteria) for one in options)),)
