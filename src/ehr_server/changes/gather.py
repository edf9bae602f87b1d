"""The facts a transaction is decided by: what is there now, and whether references lead anywhere.

For a whole Bundle one statement asks where the ids lie, and one for each type that is changed for
the newest versions.
"""

import re
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ehr_server.access.seen import seen
from ehr_server.changes import permits, referring, replaced
from ehr_server.changes.change import Change, Means
from ehr_server.changes.links import place_of
from ehr_server.definitions import definitions
from ehr_server.errors import Unprocessable
from ehr_server.fhir.references import parse
from ehr_server.issue import Issue
from ehr_server.redact import id_without_number
from ehr_server.store.connect import Connection
from ehr_server.store.read import Place, newest, places, versions_there
from ehr_server.store.referring import hold

Identity = tuple[str, str]

_VERSION = re.compile("[1-9][0-9]{0,8}")


def facts(means: Means, connection: Connection, changes: Sequence[Change]) -> None:
    """Fill in `place` and `now` of each change. Raises `Unprocessable` for a dangling reference,
    `Conflict` for what others refer to, or for a merged record that would be brought back."""
    targets, versions_named = _targets(means, changes) if means.check_references else ({}, [])
    own = {change.identity for change in changes if change.deed != "delete"}
    gone = {change.identity for change in changes if change.deed == "delete"}
    existing = [change for change in changes if change.deed != "create"]
    elsewhere = (targets.keys() | {one.identity for one in versions_named}) - own
    if means.check_references:
        hold(connection, elsewhere, gone)
    found = places(connection, {change.identity for change in existing} | elsewhere)
    _fill(means, connection, existing, found)
    permits.may_change(means, connection, changes)
    found = _known(means, connection, found, elsewhere)
    live = {identity for identity, place in found.items() if place.live}
    _refuse_dangling(targets, (own | live) - gone)
    if versions_named:
        _refuse_no_versions(connection, changes, versions_named, found)
    if means.check_references:
        referring.refuse(means, connection, changes)
    replaced.refuse(connection, changes)


def _fill(
    means: Means,
    connection: Connection,
    existing: Sequence[Change],
    found: Mapping[Identity, Place],
) -> None:
    """`place` and `now` of the changes of what may be there; a statement for each type."""
    by_type: dict[str, list[Place]] = defaultdict(list)
    for change in existing:
        change.place = found.get(change.identity)
        if change.place is not None:
            by_type[change.type].append(change.place)
    for type_name, at in by_type.items():
        versions = newest(means.store, connection, type_name, at)
        for change in existing:
            if change.type == type_name and change.place is not None:
                change.now = versions.get(change.place.key)


def _known(
    means: Means,
    connection: Connection,
    found: dict[Identity, Place],
    elsewhere: Collection[Identity],
) -> dict[Identity, Place]:
    """What is there without what is referred to and the caller may not read: for them it is not."""
    by_type: dict[str, list[Place]] = defaultdict(list)
    for identity in elsewhere & found.keys():
        if not means.caller.sees_all(identity[0]):
            by_type[identity[0]].append(found[identity])
    hidden: set[int] = set()
    for type_name, at in by_type.items():
        readable = seen(means.store, connection, means.caller, type_name, at)
        hidden |= {one.key for one in at} - readable
    return {one: at for one, at in found.items() if at.key not in hidden or one not in elsewhere}


@dataclass(frozen=True, slots=True)
class _Named:
    """A reference that names a version."""

    identity: Identity
    version: str
    where: tuple[Change, Mapping[str, Any]]


def _targets(
    means: Means, changes: Sequence[Change]
) -> tuple[dict[Identity, tuple[Change, Mapping[str, Any]]], list[_Named]]:
    """What the references on this server lead to, and those to a version."""
    types = definitions().type_number
    found: dict[Identity, tuple[Change, Mapping[str, Any]]] = {}
    versions: list[_Named] = []
    for change in changes:
        for reference in change.references:
            target = parse(reference["reference"], means.base_url)
            if target.kind == "local" and target.type and target.id and target.type in types:
                if target.version is None:
                    found[target.type, target.id] = (change, reference)
                else:
                    identity = (target.type, target.id)
                    versions.append(_Named(identity, target.version, (change, reference)))
    return found, versions


def _refuse_no_versions(
    connection: Connection,
    changes: Sequence[Change],
    named: Sequence[_Named],
    found: Mapping[Identity, Place],
) -> None:
    """A version that is named must be there, or be written now; what became of the resource later
    is no matter, as the version stays readable."""
    written = {
        (*one.identity, str(one.now.ver + 1 if one.now else 1))
        for one in changes
        if one.resource is not None
    }
    lie = {**found} | {one.identity: one.place for one in changes if one.place is not None}
    asked = [
        (one.identity[0], lie[one.identity], int(one.version))
        for one in named
        if one.identity in lie and _VERSION.fullmatch(one.version)
    ]
    there = versions_there(connection, asked)
    issues = []
    for one in named:
        place = lie.get(one.identity)
        if (*one.identity, one.version) in written:
            continue
        if place is None or (place.key, one.version) not in there:
            what = f"{_told(one.identity)}/_history/{id_without_number(one.version)}"
            issues.append(
                Issue(
                    "error",
                    "not-found",
                    f"There is no {what} on this server; name a version that is there, or none.",
                    (place_of(*one.where),),
                    vi=f"Không có {what} trên máy chủ này; xin nêu phiên bản có thật, hoặc bỏ "
                    "phiên bản.",
                )
            )
    if issues:
        raise Unprocessable(issues=issues)


def _refuse_dangling(
    targets: Mapping[Identity, tuple[Change, Mapping[str, Any]]], there: set[Identity]
) -> None:
    issues = [
        Issue(
            "error",
            "not-found",
            f"There is no {_told(target)} on this server; create it first, or in the same "
            "transaction.",
            (place_of(*where),),
            vi=f"Không có {_told(target)} trên máy chủ này; xin tạo trước, hoặc trong cùng "
            "giao dịch.",
        )
        for target, where in targets.items()
        if target not in there
    ]
    if issues:
        raise Unprocessable(issues=issues)


def _told(target: Identity) -> str:
    type_name, id_ = target
    return f"{type_name}/{id_without_number(id_)}"
