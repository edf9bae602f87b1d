"""From changes to rows: contents rendered, index entries extracted, compartments found."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ehr_server import clock
from ehr_server.changes.change import Change, Done, Means
from ehr_server.definitions import definitions
from ehr_server.fhir import json
from ehr_server.hashing import own_comp, person_comp
from ehr_server.search.index import FORMAT, Rows, index
from ehr_server.store.read import CREATE, DELETE, UPDATE
from ehr_server.store.write import Batch


@dataclass(frozen=True, slots=True)
class Stamp:
    """What all rows of a transaction share."""

    tx: int
    at: datetime
    sender: int


@dataclass(frozen=True, slots=True)
class Spot:
    """Where the rows of one resource lie, and which version they are of."""

    comp: int
    key: int
    type_number: int
    ver: int


def rows(means: Means, changes: Sequence[Change], stamp: Stamp) -> tuple[Batch, list[Done]]:
    """The batch to write and, in the order of the changes, what to answer."""
    batch = Batch()
    news = sum(change.place is None for change in changes)
    keys = iter(means.store.new_keys(news))
    done = []
    for change in changes:
        if change.matched is not None:
            done.append(_matched(change))
        elif change.deed == "delete":
            done.append(_deleted(means, change, batch, stamp))
        elif _is_unchanged(change):
            done.append(_unchanged(change))
        else:
            key = next(keys) if change.place is None else change.place.key
            done.append(_stored(means, change, batch, stamp, key))
    return batch, done


def index_rows(batch: Batch, stamp: Stamp, spot: Spot, found: Rows) -> None:
    """Add to the batch what a resource adds to the search index."""
    comp, key = spot.comp, spot.key
    main = (found.d1, found.d1e, found.c1, found.q1)
    batch.rows["resource"].append(
        (comp, key, stamp.tx, stamp.at, *main, spot.ver, spot.type_number, FORMAT)
        + (found.toks, found.refs)
    )
    batch.rows["string"].extend((comp, key, *row) for row in found.strings)
    batch.rows["date"].extend((comp, key, *row) for row in found.dates)
    batch.rows["quantity"].extend((comp, key, *row) for row in found.quantities)
    batch.rows["ident"].extend((h, comp, key) for h in found.identifiers)
    others = {person_comp(patient) for patient in found.patients} - {comp}
    batch.rows["member"].extend((other, key, spot.type_number, comp) for other in others)


def _matched(change: Change) -> Done:
    assert change.matched is not None and change.id is not None
    found = change.matched
    return Done(200, change.type, change.id, found.ver, found.at, found.content)


def _is_unchanged(change: Change) -> bool:
    """Whether the very same content is stored already: sent again, it makes no new version."""
    now, is_live = change.now, change.place is not None and change.place.live
    if now is None or not is_live or change.resource is None or change.id is None:
        return False
    return _render(change.resource, change.id, now.ver, now.at) == now.content


def _unchanged(change: Change) -> Done:
    assert change.now is not None and change.id is not None
    now = change.now
    return Done(200, change.type, change.id, now.ver, now.at, now.content)


def _deleted(means: Means, change: Change, batch: Batch, stamp: Stamp) -> Done:
    """A deletion is a version of its own; deleting what is deleted changes nothing."""
    assert change.place is not None and change.now is not None and change.id is not None
    if not change.place.live:
        return Done(204, change.type, change.id, change.now.ver, change.now.at, None)
    number = definitions().type_number[change.type]
    spot = Spot(change.place.comp, change.place.key, number, change.now.ver + 1)
    content = _render({"resourceType": change.type}, change.id, spot.ver, stamp.at)
    _version(means, batch, stamp, spot, (DELETE, content))
    batch.replaced.append((change.type, spot.comp, spot.key))
    batch.lives.append((number, change.id, spot.comp, False))
    return Done(204, change.type, change.id, spot.ver, stamp.at, None)


def _stored(means: Means, change: Change, batch: Batch, stamp: Stamp, key: int) -> Done:
    assert change.resource is not None and change.id is not None
    ver = change.now.ver + 1 if change.now is not None else 1
    content = _render(change.resource, change.id, ver, stamp.at)
    found = index({**change.resource, "id": change.id}, means.zone)
    comp = _home(change, found)
    spot = Spot(comp, key, definitions().type_number[change.type], ver)
    _version(means, batch, stamp, spot, (CREATE if ver == 1 else UPDATE, content))
    index_rows(batch, stamp, spot, found)
    if change.place is None:
        batch.rows["rid"].append((comp, key, spot.type_number, True, change.id))
    else:
        batch.replaced.append((change.type, change.place.comp, key))
        if comp != change.place.comp:
            batch.moved.append((change.type, key, change.place.comp, comp))
        if comp != change.place.comp or not change.place.live:
            batch.lives.append((spot.type_number, change.id, comp, True))
    is_new = change.place is None or not change.place.live
    return Done(201 if is_new else 200, change.type, change.id, ver, stamp.at, content)


def _home(change: Change, found: Rows) -> int:
    assert change.id is not None
    if change.type == "Patient":
        return person_comp(change.id)
    return person_comp(found.patients[0]) if found.patients else own_comp(change.type, change.id)


def _version(
    means: Means, batch: Batch, stamp: Stamp, spot: Spot, written: tuple[int, bytes]
) -> None:
    deed, content = written
    batch.rows["version"].append(
        (spot.comp, spot.key, stamp.tx, stamp.at, spot.ver, stamp.sender, spot.type_number)
        + _packed(means, deed, content)
    )


def _packed(means: Means, deed: int, content: bytes) -> tuple[int, int, bytes]:
    enc, stored = means.store.contents.pack(content)
    return enc, deed, stored


def _render(resource: dict[str, Any], id_: str, ver: int, at: datetime) -> bytes:
    """The content as stored and served. Type, id and version come first, so that they can be cut
    from the bytes without parsing."""
    meta = {"versionId": str(ver), "lastUpdated": clock.instant(at)}
    meta.update((name, value) for name, value in resource.get("meta", {}).items() if name not in meta)
    return json.write(
        {
            "resourceType": resource["resourceType"],
            "id": id_,
            "meta": meta,
            **{
                name: value
                for name, value in resource.items()
                if name not in ("resourceType", "id", "meta")
            },
        }
    )
