"""One look at a resource through a profile: where the walk is, and what it has found."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from ehr_server.fhirpath.scope import Reach
from ehr_server.issue import Issue
from ehr_server.validation.profiles.around import NOTHING
from ehr_server.validation.profiles.decisions import Decisions

if TYPE_CHECKING:
    from collections.abc import Callable

    from ehr_server.validation.profiles.around import Around
    from ehr_server.validation.profiles.compile import HeldProfile
    from ehr_server.validation.rulebook import Rulebook

# A FHIRPath location, made into text only where there is something to say about it.
Place: TypeAlias = "str | tuple[Place, str, int | None]"
Check: TypeAlias = "Callable[[Any, Place, Run], None]"


@dataclass(slots=True)
class Run:
    """A resource held to a profile. `resource` is what `%resource` and `#id` are about; invariants
    are asked only of a resource that `is_sound`, that keeps to the standard otherwise."""

    rulebook: Rulebook
    around: Around
    resource: dict[str, Any]
    profile: str
    is_sound: bool = True
    found: list[Issue] = field(default_factory=list)
    decided: Decisions = field(default_factory=Decisions)  # of what references lead to

    _reach: Reach | None = None

    @property
    def is_linked(self) -> bool:
        """Whether the resource may refer to something at hand."""
        return self.around is not NOTHING or "contained" in self.resource

    @property
    def reach(self) -> Reach:
        """What invariants may ask about, beyond the value."""
        if self._reach is None:
            self._reach = Reach(
                resolve=lambda reference: self.around.target(reference, self.resource),
                conforms=self.conforms,
                member=self.rulebook.terminology.has,
                zone=self.rulebook.policy.zone,
            )
        return self._reach

    def beside(self, resource: dict[str, Any], profile: str) -> Run:
        """A run of its own about another resource or value: what it finds does not count here."""
        return Run(
            self.rulebook, self.around, resource, profile, self.is_sound, decided=self.decided
        )

    def conforms(self, resource: dict[str, Any], canonical: str) -> bool | None:
        """Whether another resource keeps to the profile; None if the profile is not loaded."""
        held = self.rulebook.usable(canonical)
        if held is None:
            return None
        other = self.beside(resource, held.url)
        return self.decided.decide(
            (id(resource), held.url), lambda: conforms_silently(other, held, resource)
        )


def conforms_silently(run: Run, held: HeldProfile, resource: dict[str, Any]) -> bool:
    """Whether the resource is of the profile's type and has no error by the profile."""
    name = str(resource.get("resourceType"))
    if not held.is_of(resource):
        return False
    run.found.clear()
    for check in held.checks(name):
        check(resource, name, run)
    return all(issue.severity not in ("error", "fatal") for issue in run.found)


def shown(place: Place) -> str:
    """The location as text: `Patient.name[0].family`."""
    if isinstance(place, str):
        return place
    before, name, at = place
    return f"{shown(before)}.{name}" if at is None else f"{shown(before)}.{name}[{at}]"
