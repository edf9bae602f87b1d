"""Questions that lead from one resource to others, and what shapes the answer.

https://hl7.org/fhir/R4/search.html#chaining, #has, #revinclude, #sort
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from campaign import systems
from ehr_server.clock import instant
from growth import planted
from growth.asked_of_observations import LOINC, all_of, coded, greatest, of_all, of_one, where
from growth.planted import GLUCOSE, PLAGUE, RARE, RARE_CODE, SMALL_CODE, SMALL_ID
from growth.question import Question
from growth.reading import (
    Hit,
    born,
    codes,
    day,
    family,
    hits,
    newest,
    plain,
    provider,
    value,
)
from growth.record import START

if TYPE_CHECKING:
    from collections.abc import Iterable

    from growth.record import Record, Resource

_WEIGHT = "29463-7"
_FAMILY = plain(planted.FAMILY)
_EARLY = 40  # minutes: the residents that were stored by then


def _visits(record: Record) -> list[Resource]:
    return record.by_type["Encounter"]


def _small_visits(record: Record) -> list[Resource]:
    return [record.encounter] if provider(record) == SMALL_ID else []


def _plague(record: Record) -> list[Resource]:
    every = record.by_type.get("Condition", ())
    return [one for one in every if PLAGUE in codes(one["code"])]


def _patient_if(found: Iterable[Resource], record: Record) -> list[Hit]:
    return hits([record.patient]) if list(found) else []


def _glucose(record: Record) -> list[Resource]:
    return [one for one in coded(GLUCOSE)(record) if value(one) > 90]


def _is_early(record: Record) -> bool:
    return record.number < _EARLY


VISITS = (
    Question(
        "visits of a day, newest first",
        "Encounter?date=ge2026-08-01&date=lt2026-08-02&_sort=-date&_count=20",
        of_all(where(_visits, lambda one: day(one) == "2026-08-01"), newest),
        is_ordered=True,
    ),
    Question(
        "visits of a small station",
        f"Encounter?service-provider=Organization/{SMALL_ID}&_count=100",
        of_all(_small_visits),
    ),
    Question(
        "visits by a form, newest first",
        f"Encounter?type={systems.CHECKUP_FORM}|child-2-6&_sort=-date&_count=20",
        of_all(
            where(_visits, lambda one: any("child-2-6" in codes(form) for form in one["type"])),
            newest,
        ),
        is_ordered=True,
    ),
    Question("rare diagnosis", f"Condition?code={systems.ICD10}|{PLAGUE}", of_all(_plague)),
    Question(
        "rare diagnosis, category :in a value set",
        f"Condition?code={PLAGUE}&category:in=http://hl7.org/fhir/ValueSet/condition-category",
        of_all(_plague),
    ),
)

CHAINS = (
    Question(
        "Observations by identity card",
        f"Observation?subject:Patient.identifier={systems.CCCD}|{{cccd}}&code={LOINC}|{_WEIGHT}",
        of_one(coded(_WEIGHT), hits),
    ),
    Question(
        "Observations by a rare name",
        f"Observation?patient.name={_FAMILY}&code={LOINC}|{_WEIGHT}",
        lambda record, _: hits(coded(_WEIGHT)(record)) if family(record.patient) == _FAMILY else [],
    ),
    Question(
        "visits by the number of a facility",
        f"Encounter?service-provider.identifier={systems.FACILITY}|{SMALL_CODE}&_count=100",
        of_all(_small_visits),
    ),
    Question(
        "diagnoses by the number of a facility, two steps",
        "Condition?encounter:Encounter.service-provider:Organization.identifier="
        f"{systems.FACILITY}|{SMALL_CODE}&code={PLAGUE}",
        lambda record, _: hits(_plague(record)) if _small_visits(record) else [],
    ),
    Question(
        "patients _has a rare value",
        f"Patient?_has:Observation:patient:code-value-quantity={LOINC}|{GLUCOSE}$gt90",
        lambda record, _: _patient_if(_glucose(record), record),
    ),
    Question(
        "patients _has a rare code",
        f"Patient?_has:Observation:patient:code={RARE}|{RARE_CODE}",
        lambda record, _: _patient_if(coded(RARE_CODE)(record), record),
    ),
    Question(
        "patients _has a visit that _has a rare diagnosis",
        f"Patient?_has:Encounter:patient:_has:Condition:encounter:code={PLAGUE}",
        lambda record, _: _patient_if(_plague(record), record),
    ),
)

INCLUDES = (
    Question(
        "_include the visit of an Observation",
        f"Observation?patient={{id}}&code={LOINC}|{_WEIGHT}&_include=Observation:encounter",
        of_one(coded(_WEIGHT), hits),
        included=of_one(_visits, hits),
    ),
    Question(
        "_revinclude the visits of a person",
        f"Patient?identifier={systems.CCCD}|{{cccd}}&_revinclude=Encounter:patient",
        lambda record, person: hits([record.patient]) if record.patient["id"] == person.id else [],
        included=of_one(_visits, hits),
    ),
    Question(
        "_include the persons of a small station's visits",
        f"Encounter?service-provider=Organization/{SMALL_ID}&_include=Encounter:patient&_count=100",
        of_all(_small_visits),
        included=lambda record, _: _patient_if(_small_visits(record), record),
    ),
    Question(
        "_revinclude the diagnoses of a rare name",
        f"Patient?family={_FAMILY}&_revinclude=Condition:patient",
        lambda record, _: hits([record.patient]) if family(record.patient) == _FAMILY else [],
        included=lambda record, _: (
            hits(record.by_type.get("Condition", ())) if family(record.patient) == _FAMILY else []
        ),
    ),
)


def _by_family(patient: Resource) -> tuple[bool, str]:
    """Those without a family name come last."""
    name = family(patient)
    return not name, name


PAGES = (
    Question(
        "patients by family name",
        "Patient?_sort=family&_count=20",
        lambda record, _: [(_by_family(record.patient), record.patient["id"])],
        is_ordered=True,
    ),
    Question(
        "patients by birth date, third page",
        "Patient?_sort=birthdate&_count=20",
        lambda record, _: [((born(record.patient),), record.patient["id"])],
        is_ordered=True,
        pages=3,
    ),
    Question(
        "women by family name, the youngest first",
        "Patient?gender=female&_sort=family,-birthdate&_count=20",
        lambda record, _: (
            [((*_by_family(record.patient), -born(record.patient)), record.patient["id"])]
            if record.patient["gender"] == "female"
            else []
        ),
        is_ordered=True,
    ),
    Question(
        "one code by value, the greatest first",
        f"Observation?code={LOINC}|{GLUCOSE}&_sort=-value-quantity&_count=20",
        of_all(coded(GLUCOSE), greatest),
        is_ordered=True,
    ),
    Question(
        "visits stored before a moment",
        f"Encounter?_lastUpdated=lt{instant(START.replace(minute=_EARLY))}",
        lambda record, _: hits(_visits(record)) if _is_early(record) else [],
    ),
    Question(
        "Observations as they were stored, newest first",
        "Observation?_sort=-_lastUpdated&_count=20",
        lambda record, _: [((-record.number,), one["id"]) for one in all_of(record)],
        is_ordered=True,
    ),
    Question(
        "the number of a rare code",
        f"Observation?code={RARE}|{RARE_CODE}&_count=0&_total=accurate",
        of_all(coded(RARE_CODE)),
    ),
    Question(
        "several types at once",
        f"?_type=Patient,Encounter&_lastUpdated=lt{instant(START.replace(minute=_EARLY))}"
        "&_count=100",
        lambda record, _: hits([record.patient, record.encounter]) if _is_early(record) else [],
    ),
)
