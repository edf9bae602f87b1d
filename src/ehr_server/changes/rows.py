"""From changes to rows: contents rendered, index entries extracted, compartments found."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache
from typing import Any, NamedTuple

from ehr_server import clock
from ehr_server.changes.binary import TYPE
from ehr_server.changes.change import Change, Done, Means
from ehr_server.changes.uploads import patient_of
from ehr_server.consent.rule import Rule
from ehr_server.definitions import definitions
from ehr_server.fhir import json
from ehr_server.hashing import own_comp, person_comp
from ehr_server.search.index import index, patients
from ehr_server.search.referring import unsearched
from ehr_server.search.rows import FORMAT, Rows
from ehr_server.search.rules import Rules
from ehr_server.store.directives import row as directive
from ehr_server.store.findings import OF_ONE_MAX, finding_kind
from ehr_server.store.read import CREATE, DELETE, UPDATE, UPSERT, Place, Version
from ehr_server.store.vectors import vector
from ehr_server.store.words import UNIT
from ehr_server.store.write import Batch

Before = tuple[Place, Version]

# With what it tells of it lies in a person's record, and goes with it: `changes.provenance`.
PROVENANCE = "Provenance"

_DEED = 8  # the place of the deed in a row of `version`
_DEEDS = {CREATE: "create", UPSERT: "create", UPDATE: "update", DELETE: "delete"}


@dataclass(frozen=True, slots=True)
class Stamp:
    """What all rows of a transaction share."""

    tx: int
    at: datetime
    sender: int


class Spot(NamedTuple):
    """Where the rows of one resource lie, and which version they are of."""

    comp: int
    key: int
    type_number: int
    ver: int
    own: int


def rows(means: Means, changes: Sequence[Change], stamp: Stamp) -> tuple[Batch, list[Done]]:
    """The batch to write and, in the order of the changes, what to answer."""
    batch = Batch()
    keys = iter(means.store.new_keys(sum(change.place is None for change in changes)))
    done = []
    for change in changes:
        before = (change.place, change.now) if change.place and change.now else None
        if change.matched is not None:
            done.append(_as_it_is(change, change.matched))
        elif change.resource is None:
            done.append(_deleted(means, change, before, batch, stamp))
        elif before is not None and is_unchanged(change, change.resource, before):
            done.append(replace(_as_it_is(change, before[1]), findings=change.findings))
        else:
            ver = before[1].ver + 1 if before else 1
            content = _render(change.resource, change.identity[1], ver, stamp.at)
            found = index(change.resource, means.rules)
            add_unsearched(found, change.type, change.references, means.rules.base)
            key = before[0].key if before else next(keys)
            number = definitions().type_number[change.type]
            own = own_comp(*change.identity)
            spot = Spot(_home(change, found.patients), key, number, ver, own)
            _version(means, batch, stamp, spot, (_deed(change, before), content))
            index_rows(means, batch, stamp, spot, found)
            if change.findings:
                _note(change, batch, spot)
            if change.blob is not None:
                batch.blobs.append((spot.comp, change.blob))
            done.append(_stored(change, before, batch, spot, (stamp.at, content)))
    batch.rows["finding"] = [
        (comp, stamp.tx, stamp.at, stamp.sender, *of_comp) for comp, of_comp in batch.noted.items()
    ]
    return batch, done


def deeds(batch: Batch) -> list[str]:
    """What was done to get each version of the batch: create, update or delete."""
    return [_DEEDS[row[_DEED]] for row in batch.rows["version"]]


def is_unchanged(change: Change, resource: dict[str, Any], before: Before) -> bool:
    """Whether the very same content is stored already: sent again, it makes no new version."""
    place, now = before
    return place.live and _render(resource, change.identity[1], now.ver, now.at) == now.content


def home(change: Change, rules: Rules) -> int:
    """The compartment in which a change that is written will lie."""
    if change.resource is None and change.place is not None:
        return change.place.comp
    return _home(change, patients(change.resource or {}, rules))


def add_unsearched(
    found: Rows, type_name: str, references: Iterable[Mapping[str, Any]], base: str
) -> None:
    """Add what the literal references of a resource lead to that no search parameter reads."""
    texts = (one["reference"] for one in references)
    added = unsearched(type_name, found.refs, texts, base)
    if added:
        found.refs = sorted((*found.refs, *added))


def index_rows(means: Means, batch: Batch, stamp: Stamp, spot: Spot, found: Rows) -> None:
    """Add to the batch what a resource adds to the search index."""
    comp, key = spot.comp, spot.key
    main = (found.d1, found.d1e, found.c1, found.q1)
    numbers = (spot.ver, spot.type_number, FORMAT)
    arrays = (means.store.tokens(found.toks) + found.marks, found.refs)
    batch.rows["resource"].append(
        (comp, key, stamp.tx, stamp.at, *main, *numbers, *arrays, spot.own, found.has)
    )
    batch.words.update(found.texts)
    batch.words.update((UNIT, code) for code in found.units)
    batch.rows["string"].extend((comp, key, *row) for row in found.strings)
    batch.rows["date"].extend((comp, key, *row) for row in found.dates)
    batch.rows["quantity"].extend((comp, key, *row) for row in found.quantities)
    if found.words:
        words = vector(found.words)
        batch.rows["full_text"].append((comp, key, spot.type_number, words))
    if found.identifiers:
        keyed = means.store.tokens(found.identifiers)
        batch.rows["ident"].extend((h, comp, key) for h in keyed)
    batch.rows["directive"].extend(
        directive(comp, key, _held(means, rule)) for rule in found.directives
    )
    others = {person_comp(patient) for patient in found.patients} - {comp}
    batch.rows["member"].extend((other, key, spot.type_number, comp) for other in others)


def _held(means: Means, rule: Rule) -> Rule:
    """The rule, with what it says of tokens as the index holds these too: rows are held against it,
    and resources in memory."""
    labels, codes = (
        tuple(dict.fromkeys((*some, *means.store.tokens(some))))
        for some in (rule.labels, rule.codes)
    )
    return replace(rule, labels=labels, codes=codes)


def _note(change: Change, batch: Batch, spot: Spot) -> None:
    """Keep the findings that do not stand in the way, to be counted."""
    keys, kinds = batch.noted.setdefault(spot.comp, ([], []))
    for issue in change.findings[:OF_ONE_MAX]:
        kind = finding_kind(change.type, change.where, issue)
        number = kind.number
        batch.kinds[number] = kind
        keys.append(spot.key)
        kinds.append(number)


def _deed(change: Change, before: Before | None) -> int:
    if change.deed == "create":
        return CREATE
    return UPDATE if before is not None and before[0].live else UPSERT


def _stored(
    change: Change, before: Before | None, batch: Batch, spot: Spot, new: tuple[datetime, bytes]
) -> Done:
    """Tell the directory: a new id, or one that lives again or lies elsewhere from now on."""
    type_name, id_ = change.identity
    is_new = before is None or not before[0].live
    if before is None:
        batch.rows["rid"].append((spot.comp, spot.key, spot.type_number, True, id_))
    else:
        old = before[0].comp
        batch.replaced.append((type_name, old, spot.key))
        if spot.comp != old:
            batch.moved.append((type_name, spot.key, old, spot.comp))
        if spot.comp != old or is_new:
            batch.lives.append((spot.type_number, id_, spot.comp, True))
    return Done(201 if is_new else 200, type_name, id_, spot.ver, *new, change.findings)


def _deleted(
    means: Means, change: Change, before: Before | None, batch: Batch, stamp: Stamp
) -> Done:
    """A deletion is a version of its own; deleting what is not there changes nothing."""
    type_name, id_ = change.identity
    if before is None:
        return Done(204, type_name, id_, 0, stamp.at, None)
    place, now = before
    if not place.live:
        return Done(204, type_name, id_, now.ver, now.at, None)
    number = definitions().type_number[type_name]
    spot = Spot(place.comp, place.key, number, now.ver + 1, own_comp(type_name, id_))
    content = _render({"resourceType": type_name}, id_, spot.ver, stamp.at)
    _version(means, batch, stamp, spot, (DELETE, content))
    batch.replaced.append((type_name, spot.comp, spot.key))
    batch.lives.append((number, id_, spot.comp, False))
    return Done(204, type_name, id_, spot.ver, stamp.at, None)


def _as_it_is(change: Change, version: Version) -> Done:
    return Done(200, *change.identity, version.ver, version.at, version.content)


def _home(change: Change, patients_: Sequence[str]) -> int:
    type_name, id_ = change.identity
    if type_name == "Patient":
        return person_comp(id_)
    patient = patient_of(change.resource or {}) if type_name == TYPE else None
    if patient is None and patients_:
        patient = patients_[0]
    if patient is not None:
        return person_comp(patient)
    if type_name == PROVENANCE:  # where it came along, and stays when it is corrected
        at = change.home or (change.place.comp if change.place is not None else 0)
        if at & 1:
            return at
    return own_comp(type_name, id_)


def _version(
    means: Means, batch: Batch, stamp: Stamp, spot: Spot, written: tuple[int, bytes]
) -> None:
    deed, content = written
    enc, stored = means.store.contents.pack(content)
    when = (stamp.tx, stamp.at, spot.ver, stamp.sender)
    batch.rows["version"].append((spot.comp, spot.key, *when, spot.type_number, enc, deed, stored))


def _render(resource: dict[str, Any], id_: str, ver: int, at: datetime) -> bytes:
    """The content as stored and served. Type, id and version come first, so that they can be cut
    from the bytes without parsing."""
    meta = {"versionId": str(ver), "lastUpdated": _instant(at)}
    meta = {**meta, **resource["meta"], **meta} if "meta" in resource else meta
    head = {"resourceType": resource["resourceType"], "id": id_, "meta": meta}
    return json.write({**head, **resource, **head})  # a name keeps its first place


# All resources of a transaction are of one instant.
_instant = lru_cache(maxsize=16)(clock.instant)
