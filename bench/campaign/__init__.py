"""Campaigns of health checkups in a commune, made up but believable, equal for equal seeds.

`bundles(Plan(residents=1000, seed=1))` yields transaction Bundles one after another: first the
commune's facilities and staff, then one Bundle per resident and year. Nothing reads the clock or
global randomness, and only the Bundle at hand is kept in memory.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from campaign import checkup as checkups
from campaign import places, registration, systems
from campaign.people import Resident, residents

if TYPE_CHECKING:
    from collections.abc import Iterator

    from campaign.checkup import Size
    from campaign.parts import Resource
    from campaign.places import Commune

__all__ = ["Plan", "Resident", "bundles", "facilities", "residents"]


@dataclass(frozen=True, slots=True)
class Plan:
    """What to make: `years` checkups a resident, the last in `last_year`.

    `dirty` is the share of Patients whose name is written as bad feeds write it.
    """

    residents: int
    seed: int = 1
    years: int = 1
    last_year: int = 2026
    size: Size = "full"
    dirty: float = 0.0
    commune: Commune = places.TIEN_THANG


def bundles(plan: Plan) -> Iterator[Resource]:
    """The transaction Bundles of a campaign, in the order in which they can be loaded."""
    yield facilities(plan.commune)
    for year in range(plan.last_year - plan.years + 1, plan.last_year + 1):
        for resident in residents(plan.residents, plan.seed, plan.commune):
            entries = checkups.checkup(
                resident, plan.commune, (year, plan.seed), plan.size, plan.dirty
            )
            if entries:
                yield _transaction(entries)


def facilities(commune: Commune) -> Resource:
    """The Bundle that makes the facilities and the staff, where they are not there yet."""
    made = [
        (registration.organization(commune.hospital), systems.FACILITY),
        (registration.organization(commune.station), systems.FACILITY),
        *((registration.practitioner(member), systems.LICENCE) for member in commune.staff),
    ]
    return _transaction([_absent(resource, system) for resource, system in made])


def _absent(resource: Resource, system: str) -> Resource:
    number = resource["identifier"][0]["value"]
    return {
        "resource": resource,
        "request": {
            "method": "POST",
            "url": resource["resourceType"],
            "ifNoneExist": f"identifier={system}|{number}",
        },
    }


def _transaction(entries: list[Resource]) -> Resource:
    return {"resourceType": "Bundle", "type": "transaction", "entry": entries}
