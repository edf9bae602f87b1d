"""Provenances that come along with a write and are stored with it, in the same transaction.

https://hl7.org/fhir/R4/provenance.html#header: the server "fills out the target, and then stores
the provenance information as it normally would". The target is the versions that were written; of
what was deleted the last version before (https://hl7.org/fhir/R4/provenance.html#removal). Where
nothing was written, as for the same content once more, there is nothing to tell of.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ehr_server import clock
from ehr_server.changes.change import Change
from ehr_server.changes.rows import is_unchanged

TYPE = "Provenance"


@dataclass(frozen=True, slots=True)
class Told:
    """A Provenance without its target, and where it stands: `X-Provenance`, or `Bundle` for one
    that is made of a signature."""

    resource: Mapping[str, Any]
    where: str


def intended(told: Sequence[Told], changes: Sequence[Change]) -> list[Change]:
    """The creates, to be checked as every resource is: with a target that stands for those that
    are not known before the locks are held. `recorded`, when it was recorded, is now, unless the
    sender says otherwise."""
    if not changes:
        return []
    target = [{"reference": f"{one.type}/{one.id or 'new'}/_history/1"} for one in changes]
    is_linked = any(one.full_url is not None for one in changes)
    made = []
    for one in told:
        resource = {"resourceType": TYPE, "target": target, "recorded": clock.instant(clock.now())}
        change = Change("create", TYPE, where=one.where, full_url="" if is_linked else None)
        change.resource, change.tells = {**resource, **one.resource}, True
        made.append(change)
    return made


def untargeted(changes: Sequence[Change]) -> None:
    """Take out of those that were checked what stood for the target: it leads nowhere."""
    for one in changes:
        if one.tells and one.resource is not None:
            del one.resource["target"]


def settle(changes: Sequence[Change], sent: int) -> list[Change]:
    """The changes, with the targets of the Provenances: what was sent and is written."""
    tells = [one for one in changes if one.tells]
    if not tells:
        return list(changes)
    references = list(_written(changes[:sent]))
    for one in tells:
        target = [{"reference": reference} for reference in references]
        one.resource = {**(one.resource or {}), "target": target}
        one.references = (*one.references, *target)
    return [one for one in changes if references or not one.tells]


def _written(changes: Sequence[Change]) -> Iterator[str]:
    for change in changes:
        before = (change.place, change.now) if change.place and change.now else None
        ver = before[1].ver if before else 0
        if change.resource is not None:
            if change.matched is not None or (
                before is not None and is_unchanged(change, change.resource, before)
            ):
                continue
            ver += 1
        elif before is None or not before[0].live:
            continue
        yield f"{change.type}/{change.identity[1]}/_history/{ver}"
