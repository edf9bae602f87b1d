"""The facts a transaction is decided by: what is there now, and whether references lead anywhere.

For a whole Bundle one statement asks where the ids lie, and one for each type that is changed for
the newest versions.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ehr_server.changes.change import Change, Means
from ehr_server.changes.links import place_of
from ehr_server.definitions import definitions
from ehr_server.errors import Unprocessable
from ehr_server.fhir.references import parse
from ehr_server.issue import Issue
from ehr_server.store.connect import Connection
from ehr_server.store.read import Place, newest, places

Identity = tuple[str, str]


def facts(means: Means, connection: Connection, changes: Sequence[Change]) -> None:
    """Fill in `place` and `now` of each change. Raises `Unprocessable` for a dangling reference."""
    targets = dict(_targets(means, changes)) if means.check_references else {}
    own = {change.identity for change in changes if change.deed != "delete"}
    gone = {change.identity for change in changes if change.deed == "delete"}
    existing = [change for change in changes if change.deed != "create"]
    found = places(connection, {change.identity for change in existing} | (targets.keys() - own))
    live = {identity for identity, place in found.items() if place.live} - gone
    _refuse_dangling(targets, own | live)
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


def _targets(
    means: Means, changes: Sequence[Change]
) -> Iterator[tuple[Identity, tuple[Change, Mapping[str, Any]]]]:
    types = definitions().type_number
    for change in changes:
        for reference in change.references:
            target = parse(reference["reference"], means.base_url)
            if target.kind == "local" and target.type and target.id and target.type in types:
                yield (target.type, target.id), (change, reference)


def _refuse_dangling(
    targets: Mapping[Identity, tuple[Change, Mapping[str, Any]]], there: set[Identity]
) -> None:
    issues = [
        Issue(
            "error",
            "not-found",
            f"There is no {type_name}/{id_} on this server; create it first, or in the same "
            "transaction.",
            (place_of(*where),),
            vi=f"Không có {type_name}/{id_} trên máy chủ này; xin tạo trước, hoặc trong cùng "
            "giao dịch.",
        )
        for (type_name, id_), where in targets.items()
        if (type_name, id_) not in there
    ]
    if issues:
        raise Unprocessable(issues=issues)
