"""One checkup while it is written: what all its resources repeat, and its Bundle entries."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import UUID

from campaign import systems
from campaign.parts import Resource, concept, instant, reference
from campaign.registration import practitioner_of

if TYPE_CHECKING:
    from datetime import datetime
    from random import Random

    from campaign.health import Health
    from campaign.people import Resident
    from campaign.places import Commune

_VITAL = concept(systems.OBSERVATION_CATEGORY, "vital-signs", "Vital Signs")
_LABORATORY = concept(systems.OBSERVATION_CATEGORY, "laboratory", "Laboratory")
_EXAM = concept(systems.OBSERVATION_CATEGORY, "exam", "Exam")
_HISTORY = concept(systems.OBSERVATION_CATEGORY, "social-history", "Social History")
CATEGORIES = {
    "vital-signs": _VITAL, "laboratory": _LABORATORY, "exam": _EXAM, "social-history": _HISTORY,
}  # fmt: skip


@dataclass(slots=True)
class Visit:
    """A resident at one checkup. `entries` are those of the transaction, in order of writing."""

    resident: Resident
    health: Health
    commune: Commune
    random: Random
    start: datetime
    key: str  # the visit's key (MA_LK)
    patient: str = ""
    encounter: str = ""
    entries: list[Resource] = field(default_factory=list)
    sections: dict[str, list[str]] = field(default_factory=dict)
    findings: dict[str, str] = field(default_factory=dict)  # ICD-10 code -> text

    @property
    def age(self) -> int:
        return self.resident.age(self.start.date())

    def add(self, resource: Resource, if_none_exist: str | None = None) -> str:
        """Adds an entry that creates the resource; its fullUrl."""
        url = UUID(int=self.random.getrandbits(128), version=4).urn
        request: Resource = {"method": "POST", "url": resource["resourceType"]}
        if if_none_exist is not None:
            request["ifNoneExist"] = if_none_exist
        self.entries.append({"fullUrl": url, "resource": resource, "request": request})
        return url

    def file(self, section: str, url: str) -> str:
        """Puts a resource into a section of the Composition; its fullUrl."""
        self.sections.setdefault(section, []).append(url)
        return url

    def when(self, minutes: int) -> str:
        """The instant so many minutes after the checkup began."""
        return instant(self.start + timedelta(minutes=minutes))

    def observation(
        self, category: str, code: Resource, minutes: int, specialty: str, **value: object
    ) -> Resource:
        """A final Observation of this visit; `value` holds its value[x] and what else it has."""
        return {
            "resourceType": "Observation",
            "status": "final",
            "category": [CATEGORIES[category]],
            "code": code,
            "subject": {"reference": self.patient},
            "encounter": {"reference": self.encounter},
            "effectiveDateTime": self.when(minutes),
            "performer": [self.doctor(specialty)],
            **value,
        }

    def doctor(self, specialty: str) -> Resource:
        """The reference to the member of the staff of that specialty."""
        member = next(one for one in self.commune.staff if one.specialty == specialty)
        return reference(practitioner_of(member), member.text)
