"""From files to the record, through the one write path, many resources to a transaction."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from ehr_server.changes.apply import apply
from ehr_server.changes.change import Change, Means
from ehr_server.errors import Invalid, Refusal
from ehr_server.fhir import json
from ehr_server.fhir.outcome import issues_of
from ehr_server.operations.import_.sources import Item

_TOGETHER = 500  # lines to a transaction

Told = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Refused:
    """One finding of the report: where, and what is wrong."""

    item: Item
    expression: str
    text: str


@dataclass(slots=True)
class Report:
    """What an import did: resources stored, and what was refused and why, by line."""

    stored: int = 0
    refused: list[Refused] = field(default_factory=list)


def load(means: Means, items: Iterable[Item], told: Told) -> Report:
    """Store what the items hold; `told` hears how many more are stored.

    A Bundle is stored whole or not at all. Single resources are stored though a neighbour is
    refused; their references are not checked, since the order of files is free.
    """
    report = Report()
    free = replace(means, check_references=False)
    for group in _groups(items, report):
        before = report.stored
        is_bundle = len(group) == 1 and len(group[0][1]) != 1
        if is_bundle:
            _apply(means, group, report)
        elif not _apply(free, group, report, is_last=len(group) == 1):
            for one in group if len(group) > 1 else ():
                _apply(free, [one], report)
        told(report.stored - before)
    return report


Group = list[tuple[Item, list[Change]]]


def _apply(means: Means, group: Group, report: Report, *, is_last: bool = True) -> bool:
    try:
        report.stored += len(apply(means, [change for _, some in group for change in some]))
    except Refusal as refusal:
        if is_last:
            _refuse(report, group[0][0], refusal)
        return False
    return True


def _groups(items: Iterable[Item], report: Report) -> Iterator[Group]:
    """Bundles alone, single resources together, none twice in one group."""
    group: Group = []
    ids: set[tuple[str, str]] = set()
    for item in items:
        try:
            changes = list(_changes(json.read(item.data)))
        except Refusal as refusal:
            _refuse(report, item, refusal)
            continue
        if len(changes) != 1 or changes[0].id is None:
            if changes:
                yield [(item, changes)]
            continue
        if len(group) == _TOGETHER or changes[0].identity in ids:
            yield group
            group, ids = [], set()
        group.append((item, changes))
        ids.add(changes[0].identity)
    if group:
        yield group


def _changes(value: Any) -> Iterator[Change]:
    if not isinstance(value, dict) or not isinstance(value.get("resourceType"), str):
        raise Invalid("Not a FHIR resource: an object with resourceType is expected.")
    if value["resourceType"] == "Bundle" and value.get("type") in _OPENED:
        entries = value.get("entry", [])
        if not isinstance(entries, list):
            raise Invalid("The entries of a Bundle are a JSON array.", expression=("Bundle.entry",))
        for index, entry in enumerate(entries):
            yield _entry(index, entry)
    else:
        yield _kept(value, value["resourceType"])


_OPENED = ("transaction", "batch", "collection", "searchset")


def _entry(index: int, entry: dict[str, Any]) -> Change:
    resource = entry.get("resource") if isinstance(entry, dict) else None
    if not isinstance(resource, dict) or not isinstance(resource.get("resourceType"), str):
        raise Invalid("An entry without a resource.", expression=(f"Bundle.entry[{index}]",))
    full_url, request = entry.get("fullUrl", ""), entry.get("request", {})
    criteria = request.get("ifNoneExist") if isinstance(request, dict) else 0
    if not isinstance(full_url, str) or not isinstance(criteria, str | None):
        raise Invalid(
            "fullUrl and request.ifNoneExist are texts.", expression=(f"Bundle.entry[{index}]",)
        )
    if "id" not in resource and full_url.startswith("urn:uuid:"):
        resource = {**resource, "id": full_url.removeprefix("urn:uuid:")}
    change = _kept(resource, f"Bundle.entry[{index}].resource")
    change.full_url = full_url
    change.if_none_exist = criteria
    if criteria is not None:
        change.deed = "create"
        change.id = None
    return change


def _kept(resource: dict[str, Any], where: str) -> Change:
    """A resource under the id it has. Raises `Invalid` when it has none."""
    id_ = resource.get("id")
    if not isinstance(id_, str):
        raise Invalid("A resource to import needs its id.", expression=(f"{where}.id",))
    return Change("update", resource["resourceType"], id_, resource, where)


def _refuse(report: Report, item: Item, refusal: Refusal) -> None:
    for issue in issues_of(refusal):
        place = issue.expression[0] if issue.expression else ""
        report.refused.append(Refused(item, place, issue.text))
