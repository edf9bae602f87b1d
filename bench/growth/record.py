"""One resident's resources as they are stored: with ids, and references that lead to ids."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any

from campaign import Plan, facilities, residents
from campaign.checkup import checkup
from ehr_server.changes.links import scan
from growth.planted import SMALL_STATION, plant

if TYPE_CHECKING:
    from collections.abc import Iterator

    from campaign.checkup import Size

Resource = dict[str, Any]

START = datetime(2026, 10, 1, tzinfo=UTC)  # when the first resident was stored
TOGETHER = 50  # residents of a block: a transaction, and what processes share work by


@dataclass(frozen=True, slots=True)
class Part:
    """The residents from `first` to below `last`, of these the blocks of one of `shares`.

    With `visits`, of every so-many-th resident a short checkup, of the others what the reception
    writes; else of each the full checkup.
    """

    first: int
    last: int
    seed: int = 1
    share: int = 0
    shares: int = 1
    visits: int = 0

    def has(self, number: int) -> bool:
        is_mine = number // TOGETHER % self.shares == self.share
        return self.first <= number < self.last and is_mine

    def stored_at(self, number: int) -> datetime:
        """A minute after the one before; with visits, where there may be a million, a second."""
        return START + timedelta(**{"seconds" if self.visits else "minutes": number})

    def size(self, number: int) -> Size:
        if not self.visits:
            return "full"
        return "reception" if number % self.visits else "short"


class Record:
    """What is known of one resident: every resource with its id, and `at`, when it was stored."""

    def __init__(self, number: int, at: datetime, resources: list[Resource]) -> None:
        self.number = number
        self.at = at
        self.resources = resources
        self.patient = resources[0]

    @cached_property
    def by_type(self) -> dict[str, list[Resource]]:
        found: dict[str, list[Resource]] = {}
        for resource in self.resources:
            found.setdefault(resource["resourceType"], []).append(resource)
        return found

    @cached_property
    def by_code(self) -> dict[str, list[Resource]]:
        """The Observations by the code of their first coding."""
        found: dict[str, list[Resource]] = {}
        for one in self.by_type["Observation"]:
            found.setdefault(one["code"]["coding"][0]["code"], []).append(one)
        return found

    @property
    def encounter(self) -> Resource:
        return self.by_type["Encounter"][0]


def places() -> list[Resource]:
    """The facilities and the staff, who belong to no resident, each with an id."""
    entries = facilities(Plan(0).commune)["entry"]
    found = [entry["resource"] for entry in entries] + [SMALL_STATION]
    counted: dict[str, int] = {}
    for resource in found:
        name = resource["resourceType"]
        counted[name] = counted.get(name, 0) + 1
        resource["id"] = f"{name.lower()}-{counted[name]}"
    return found


def records(part: Part) -> Iterator[Record]:
    """The records of a part, in order of number. Equal parts give equal records."""
    plan = Plan(part.last, part.seed)
    known = _conditional(places())
    for resident in residents(part.last, part.seed, plan.commune):
        if part.has(resident.number):
            size = part.size(resident.number)
            entries = checkup(resident, plan.commune, (plan.last_year, plan.seed), size)
            if entries:
                at = part.stored_at(resident.number)
                yield Record(resident.number, at, _linked(resident.number, entries, known))


def _linked(number: int, entries: list[Resource], known: dict[str, str]) -> list[Resource]:
    """The resources with their ids, and references that lead to ids."""
    links = dict(known)
    for entry in entries:
        resource = entry["resource"]
        # As long as the server's own ids, and growing with time as they do.
        resource["id"] = f"{number:08x}{entry['fullUrl'].replace('-', '')[-18:]}"
        links[entry["fullUrl"]] = f"{resource['resourceType']}/{resource['id']}"
    resources = [entry["resource"] for entry in entries]
    for resource in resources:
        for reference in scan(resource, {})[0]:
            reference["reference"] = links[reference["reference"]]
    plant(number, resources)
    return resources


def _conditional(resources: list[Resource]) -> dict[str, str]:
    """Conditional references to the places, and what they lead to."""
    found = {}
    for resource in resources:
        name, number = resource["resourceType"], resource["identifier"][0]
        criteria = f"{name}?identifier={number['system']}|{number['value']}"
        found[criteria] = f"{name}/{resource['id']}"
    return found
