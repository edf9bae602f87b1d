"""What becomes of two records of one person when they are merged, and when that is taken back.

https://hl7.org/fhir/R5/patient-operation-merge.html, https://hl7.org/fhir/R4/patient.html#links.
Pure: Patients go in and come out as dicts, those given are not changed.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ehr_server.identity.forms import Key, keys, single

Patient = dict[str, Any]

REPLACES, REPLACED_BY = "replaces", "replaced-by"
_OF_VERSION = ("versionId", "lastUpdated")
_OF_A_LIST = 3  # parts of a key that is a number of a known list


def source_of(source: Patient, target_id: str) -> Patient:
    """The record that is merged away: no longer active, and it says what replaces it."""
    return {**source, "active": False, "link": _linked(source, target_id, REPLACED_BY)}


def target_of(target: Patient, source: Patient) -> Patient:
    """The record that survives: it has the identifiers of both, and says what it replaces."""
    found = {**target, "link": _linked(target, source["id"], REPLACES)}
    further = list(_carried(target.get("identifier", ()), source.get("identifier", ())))
    if further:
        found["identifier"] = [*target.get("identifier", ()), *further]
    return found


def is_active(patient: Mapping[str, Any]) -> bool:
    """Whether the record is in use: so if nothing is said.
    https://hl7.org/fhir/R4/patient-definitions.html#Patient.active"""
    return patient.get("active") is not False


def has_link(patient: Mapping[str, Any], to: str, kind: str) -> bool:
    """Whether the Patient has a link of the kind to `Patient/<to>`."""
    return any(
        one.get("type") == kind and one.get("other", {}).get("reference") == f"Patient/{to}"
        for one in patient.get("link", ())
    )


def undone(before: Patient, after: Patient, now: Patient) -> Patient:
    """A record without what a change from `before` to `after` did to it: exactly as before, if it
    is as it was after; else what was done since then stays. A number that came goes in whatever
    form it is by now, so that nobody keeps the number of another."""
    before, after, now = _plain(before), _plain(after), _plain(now)
    if now == after:
        return before
    found = {}
    for name in dict.fromkeys((*now, *before)):
        undo = _identifiers_undone if name == "identifier" else _undone
        value = undo(before.get(name), after.get(name), now.get(name))
        if value not in (None, [], {}):
            found[name] = value
    return found


def taken(before: Patient, after: Patient) -> frozenset[Key]:
    """The numbers that a record has lost from one content to the other."""
    lost = _of_several(before.get("identifier", ())) - _of_several(after.get("identifier", ()))
    return frozenset(lost)


def without(now: Patient, before: Patient, after: Patient, numbers: frozenset[Key]) -> Patient:
    """A record without those identifiers of the numbers that came with the change from `before` to
    `after`."""
    was, became = before.get("identifier", ()), after.get("identifier", ())
    identifiers = [
        one
        for one in now.get("identifier", ())
        if numbers.isdisjoint(_numbers(one)) or not _came(one, was, became)
    ]
    rest = {name: value for name, value in now.items() if name != "identifier"}
    return {**now, "identifier": identifiers} if identifiers else rest


def share_number(one: Patient, other: Patient) -> bool:
    """Whether both hold a number that cannot be two people's."""
    here, there = (
        [held for identifier in patient.get("identifier", ()) for held in single(identifier)]
        for patient in (one, other)
    )
    return any(mine.is_same(theirs) for mine in here for theirs in there)


def _linked(patient: Patient, to: str, kind: str) -> list[Any]:
    links: list[Any] = patient.get("link", [])
    if has_link(patient, to, kind):
        return links
    return [*links, {"other": {"reference": f"Patient/{to}"}, "type": kind}]


def _carried(here: Sequence[Patient], there: Sequence[Patient]) -> Iterator[Patient]:
    """The identifiers of the record merged away that the other is to have: as old, but of a kind of
    which it has none that is in use. So the person keeps a number to be known by."""
    in_use = [one for one in here if one.get("use") != "old"]
    kinds = {kind for one in in_use for kind in _kinds(one)}
    for one in there:
        is_known = any(_is_same(one, other) for other in in_use)
        was_known = any(_is_same(one, other) for other in here)
        has_kind = not kinds.isdisjoint(_kinds(one))
        if is_known or (was_known and (has_kind or one.get("use") == "old")):
            continue
        yield {**one, "use": "old"} if has_kind else one


def _is_same(one: Patient, other: Patient) -> bool:
    numbers = _numbers(one)
    return not numbers.isdisjoint(_numbers(other)) if numbers else one == other


def _kinds(identifier: Patient) -> set[str]:
    """The lists that an identifier is a number of, else its naming system."""
    lists = {key[1] for key in _numbers(identifier) if len(key) == _OF_A_LIST}
    return lists or {identifier.get("system", "")}


def _numbers(identifier: Patient) -> set[Key]:
    """What tells the identifier from those of others: not the bare value, which says nothing
    without its naming system."""
    value = identifier.get("value")
    found = keys(identifier.get("system"), value) if value else ()
    return {key for key in found if len(key) > 1}


def _of_several(identifiers: Sequence[Patient]) -> set[Key]:
    return {key for one in identifiers for key in _numbers(one)}


def _plain(patient: Patient) -> Patient:
    """The content without what each version has of its own."""
    meta = {name: one for name, one in patient.get("meta", {}).items() if name not in _OF_VERSION}
    rest = {name: one for name, one in patient.items() if name != "meta"}
    return {**rest, "meta": meta} if meta else rest


def _came(one: Patient, was: Sequence[Patient], became: Sequence[Patient]) -> bool:
    """Whether the identifier came with a change, whatever was added to it since: a `period`, say.
    Not one of a number that was there before."""
    if one in was or one in became:
        return one not in was
    numbers = _numbers(one)
    return not numbers.isdisjoint(_of_several(became)) and numbers.isdisjoint(_of_several(was))


def _identifiers_undone(before: Any, after: Any, now: Any) -> list[Patient]:
    """As `_undone`, told apart by their numbers."""
    if now == after:
        return before or []
    was, became = before or [], after or []
    kept = [one for one in now or [] if not _came(one, was, became)]
    gone = [one for one in was if one not in became]
    return kept + [one for one in gone if not any(_is_same(one, other) for other in kept)]


def _undone(before: Any, after: Any, now: Any) -> Any:
    """One element: what was not touched since is as before; of a list, what was added goes and what
    was taken comes back."""
    if now == after:
        return before
    if before == after:
        return now
    if not all(isinstance(one, list) for one in (before or [], after or [], now or [])):
        return now
    was, became, there = before or [], after or [], now or []
    kept = [one for one in there if one in was or one not in became]
    return kept + [one for one in was if one not in became and one not in there]
