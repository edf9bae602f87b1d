"""One look at a resource through a profile: where the walk is, and what it has found."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import tzinfo
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from ehr_server.fhirpath.scope import Reach
from ehr_server.issue import Issue

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ehr_server.terminology import Terminology
    from ehr_server.validation.profiles.around import Around

# A FHIRPath location, made into text only where there is something to say about it.
Place: TypeAlias = "str | tuple[Place, str, int | None]"
Check: TypeAlias = "Callable[[Any, Place, Run], None]"


class Held(Protocol):
    """A profile, ready to be checked."""

    @property
    def url(self) -> str: ...

    @property
    def type(self) -> str: ...

    def checks(self, type_name: str) -> Sequence[Check]:
        """What a value of the type (the profile's, or one derived from it) is held to."""


class Shelf(Protocol):
    """The profiles and code lists there are."""

    @property
    def terminology(self) -> Terminology: ...

    @property
    def zone(self) -> tzinfo:
        """Where `today()` is asked for."""

    def usable(self, canonical: str) -> Held | None:
        """The profile, ready; None if it is not loaded, is faulty, or a type of the standard."""


@dataclass(slots=True)
class Run:
    """A resource held to a profile. `resource` is what `%resource` and `#id` are about; invariants
    are asked only of a resource that `is_sound`, that keeps to the standard otherwise."""

    shelf: Shelf
    around: Around
    resource: dict[str, Any]
    profile: str
    is_sound: bool = True
    found: list[Issue] = field(default_factory=list)
    # What was decided of other resources: a Bundle's entries refer to each other.
    decided: dict[tuple[int, str], bool] = field(default_factory=dict)

    _reach: Reach | None = None

    @property
    def reach(self) -> Reach:
        """What invariants may ask about, beyond the value."""
        if self._reach is None:
            self._reach = Reach(
                resolve=lambda reference: self.around.target(reference, self.resource),
                conforms=self.conforms,
                member=self.shelf.terminology.has,
                zone=self.shelf.zone,
            )
        return self._reach

    def beside(self, resource: dict[str, Any], profile: str) -> Run:
        """A run of its own about another resource or value: what it finds does not count here."""
        return Run(self.shelf, self.around, resource, profile, self.is_sound, decided=self.decided)

    def conforms(self, resource: dict[str, Any], canonical: str) -> bool | None:
        """Whether another resource keeps to the profile; None if the profile is not loaded."""
        held = self.shelf.usable(canonical)
        if held is None:
            return None
        key = (id(resource), held.url)
        if key not in self.decided:
            self.decided[key] = True  # a circle of references is true unless something else fails
            other = self.beside(resource, held.url)
            self.decided[key] = conforms_silently(other, held, resource)
        return self.decided[key]


def conforms_silently(run: Run, held: Held, resource: dict[str, Any]) -> bool:
    """Whether the resource is of the profile's type and has no error by the profile."""
    name = str(resource.get("resourceType"))
    if held.type not in (name, "Resource", "DomainResource"):
        return False
    for check in held.checks(name):
        check(resource, name, run)
    return all(issue.severity not in ("error", "fatal") for issue in run.found)


def shown(place: Place) -> str:
    """The location as text: `Patient.name[0].family`."""
    if isinstance(place, str):
        return place
    before, name, at = place
    return f"{shown(before)}.{name}" if at is None else f"{shown(before)}.{name}[{at}]"
