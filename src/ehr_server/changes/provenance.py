"""Provenances that come along with a write and are stored with it, in the same transaction.

https://hl7.org/fhir/R4/provenance.html#header: the server "fills out the target, and then stores
the provenance information as it normally would". The target is the versions that were written; of
what was deleted the last version before (https://hl7.org/fhir/R4/provenance.html#removal). Where
nothing was written, as for the same content once more, there is nothing to tell of.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ehr_server import clock
from ehr_server.changes import rows
from ehr_server.changes.change import Change, Means
from ehr_server.changes.rows import PROVENANCE


@dataclass(frozen=True, slots=True)
class Told:
    """A Provenance without its target, and where it stands: `X-Provenance`, or `Bundle` for one
    that is made of a signature."""

    resource: Mapping[str, Any]
    where: str


def intended(told: Sequence[Told], changes: Sequence[Change]) -> list[Change]:
    """The creates, to be checked as every resource is: with a target that stands for all, which
    are not known before the locks are held. `recorded`, when it was recorded, is now, unless the
    sender says otherwise."""
    if not changes:
        return []
    target = [{"reference": f"{changes[0].type}/{changes[0].id or 'new'}/_history/1"}]
    is_linked = any(one.full_url is not None for one in changes)
    made = []
    for one in told:
        resource = {
            "resourceType": PROVENANCE,
            "target": target,
            "recorded": clock.instant(clock.now()),
        }
        change = Change("create", PROVENANCE, where=one.where, full_url="" if is_linked else None)
        change.resource, change.tells = {**resource, **one.resource}, True
        made.append(change)
    return made


def untargeted(changes: Sequence[Change]) -> None:
    """Take out of those that were checked what stood for the target: it leads nowhere."""
    for one in changes:
        if one.tells and one.resource is not None:
            del one.resource["target"]


def settle(means: Means, changes: Sequence[Change], sent: int) -> list[Change]:
    """The changes, with the targets of the Provenances: what was sent and is written.

    Where that is of several persons, each has a Provenance of its own, and so has what is nobody's:
    https://hl7.org/fhir/R4/provenance.html#patients, "one for each Patient/Subject".
    """
    if not any(one.tells for one in changes):
        return list(changes)
    by_home = _by_home(means, changes[:sent])
    return [
        each for one in changes for each in ([one] if not one.tells else _of_each(one, by_home))
    ]


def _by_home(means: Means, changes: Sequence[Change]) -> dict[int, list[str]]:
    """References to the versions that are written, by the person's compartment, 0 for nobody's,
    which go with those of a person who is the only one."""
    found: dict[int, list[tuple[int, str]]] = {}
    for at, change in enumerate(changes):
        reference = _written(change)
        if reference is not None:
            comp = rows.home(change, means.rules)
            found.setdefault(comp if comp & 1 else 0, []).append((at, reference))
    if len(found) == 2 and 0 in found:
        nobodys = found.pop(0)
        (only,) = found
        found[only] = sorted(found[only] + nobodys)
    return {comp: [reference for _, reference in several] for comp, several in found.items()}


def _of_each(one: Change, by_home: Mapping[int, Sequence[str]]) -> Iterator[Change]:
    for comp, references in by_home.items():
        target = [{"reference": reference} for reference in references]
        yield replace(
            one,
            id=clock.new_id(),
            resource={**(one.resource or {}), "target": target},
            references=(*one.references, *target),
            home=comp or None,
        )


def _written(change: Change) -> str | None:
    """A reference to the version that the change makes, or takes away; None where it is as it
    was."""
    before = (change.place, change.now) if change.place and change.now else None
    ver = before[1].ver if before else 0
    if change.resource is None:
        is_written = before is not None and before[0].live
    else:
        is_written = change.matched is None and not (
            before is not None and rows.is_unchanged(change, change.resource, before)
        )
        ver += 1
    return f"{change.type}/{change.identity[1]}/_history/{ver}" if is_written else None
