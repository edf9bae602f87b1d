"""Whose records somebody may see as their own: theirs, and those of the children they care for.

https://hl7.org/fhir/R4/relatedperson.html. A RelatedPerson says who is a child's parent or
guardian, and by whose number that is known (docs/explanation/identity.md): the caller is that
person where their own Patient holds the same personal number. At 18 a child is of age (Civil Code
91/2015, article 20); where the day of birth is not known, the first it can be counts.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, tzinfo
from typing import Any

from ehr_server.access.caller import LOOPBACK
from ehr_server.access.find import at_most
from ehr_server.access.principal import Principal
from ehr_server.fhir import json
from ehr_server.fhir.dates import period
from ehr_server.fhir.references import parse as parse_reference
from ehr_server.hashing import person_comp
from ehr_server.identity.forms import single
from ehr_server.identity.kinds import PERSONAL, kind_named
from ehr_server.search.parse import parse
from ehr_server.search.rules import Rules
from ehr_server.store import merged
from ehr_server.store.connect import Connection, Store
from ehr_server.store.read import DELETE, newest, places

OF_AGE = 18  # years
CHILDREN_MAX = 100  # RelatedPersons of one number that are looked at

_CARES = {
    "http://terminology.hl7.org/CodeSystem/v3-RoleCode": frozenset(
        ("GUARD", "PRN", "MTH", "FTH", "NMTH", "NFTH", "ADOPTP", "ADOPTM", "ADOPTF")
    ),
    "http://terminology.hl7.org/CodeSystem/v3-RoleClass": frozenset(("GUARD",)),
}

Resource = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Reading:
    """What is read from: the record, a connection to it, and how searches are understood."""

    store: Store
    connection: Connection
    rules: Rules


def records_of(reading: Reading, principal: Principal, today: date) -> tuple[str, ...]:
    """The ids of the Patients whose records the principal may see as their own, sorted; `today` is
    that of the country. () for who is nobody's patient or guardian."""
    type_name, _, id_ = (principal.user or "").partition("/")
    own = _own(reading, principal)
    carers = list(_named(reading, "RelatedPerson", [id_])) if type_name == "RelatedPerson" else []
    for number in sorted(_personal_numbers(own.values(), reading.rules.zone, today)):
        carers += _carers(reading, number)
    children: set[str] = set()
    for carer in carers:
        child = _cared_for(carer, reading.rules.zone, today)
        group = _records(reading, [child] if child else [])
        if group and all(is_minor(one.get("birthDate", ""), today) for one in group.values()):
            children |= set(group)
    return tuple(sorted({*own, *children}))


def own_of(reading: Reading, principal: Principal) -> tuple[str, ...]:
    """The ids of the records of the Patient in whose context the principal calls, and of no child:
    a launch for one is for that one."""
    return tuple(sorted(_own(reading, principal)))


def is_minor(birth: str, today: date) -> bool:
    """Whether somebody born then, a FHIR date perhaps of a year or month alone, is surely not of
    age; "" is not known. Who is born on 29 February comes of age on the 28th."""
    parts = [int(part) for part in birth.split("-")] if birth else []
    if not parts:
        return False
    year, month, day = (*parts, 1, 1)[:3] if len(parts) < 3 else parts
    if (month, day) == (2, 29):
        day = 28
    return (today.year - OF_AGE, today.month, today.day) < (year, month, day)


def _own(reading: Reading, principal: Principal) -> dict[str, Resource]:
    """The records of the Patient that the principal is, or calls for."""
    type_name, _, id_ = (principal.user or "").partition("/")
    patient = principal.patient or (id_ if type_name == "Patient" else None)
    return _records(reading, [patient] if patient else [])


def _records(reading: Reading, ids: Iterable[str]) -> dict[str, Resource]:
    """All records that there are of the persons, by id."""
    known = set(ids)
    group = merged.records(reading.connection, [person_comp(id_) for id_ in known])
    return {one["id"]: one for one in _named(reading, "Patient", {*known, *(m.id for m in group)})}


def _named(reading: Reading, type_name: str, ids: Iterable[str]) -> Iterator[Resource]:
    """Those of the resources that are there."""
    at = places(reading.connection, [(type_name, id_) for id_ in ids])
    versions = newest(reading.store, reading.connection, type_name, list(at.values())) if at else {}
    for one in versions.values():
        if one.deed != DELETE:
            yield json.read_stored(one.content)


def _personal_numbers(people: Iterable[Resource], zone: tzinfo, today: date) -> set[str]:
    """Those in force: a number that was taken out of use may be another's mistake."""
    return {
        number.number[1]
        for person in people
        for identifier in person.get("identifier", ())
        if identifier.get("use") != "old" and _is_current(identifier, zone, today)
        for number in single(identifier)
        if number.number[0] == PERSONAL
    }


def _carers(reading: Reading, number: str) -> list[Resource]:
    """The RelatedPersons that hold the number now, however it is spelt and in whichever system."""
    value = f"{kind_named(PERSONAL).system}|{number}"
    query = parse("RelatedPerson", [("identifier", value)], reading.rules)
    found = at_most(reading.store, reading.connection, query, LOOPBACK, CHILDREN_MAX)
    return [
        one
        for one in (json.read_stored(match.content) for match in found)
        if any(
            held.number == (PERSONAL, number)
            for identifier in one.get("identifier", ())
            if identifier.get("use") != "old"
            for held in single(identifier)
        )
    ]


def _cared_for(carer: Resource, zone: tzinfo, today: date) -> str | None:
    """The id of the Patient whom a RelatedPerson is a parent or guardian of at present."""
    codings = [one for kind in carer.get("relationship", ()) for one in kind.get("coding", ())]
    cares = any(one.get("code") in _CARES.get(one.get("system", ""), ()) for one in codings)
    if not cares or carer.get("active") is False or not _is_current(carer, zone, today):
        return None
    reference = parse_reference(carer["patient"].get("reference", ""), "")
    return reference.id if (reference.kind, reference.type) == ("local", "Patient") else None


def _is_current(held: Mapping[str, Any], zone: tzinfo, today: date) -> bool:
    given = held.get("period", {})
    lo, hi = period(given.get("start"), given.get("end"), zone)
    return (
        lo <= datetime.combine(today, time.max, zone)
        and datetime.combine(today, time.min, zone) < hi
    )
