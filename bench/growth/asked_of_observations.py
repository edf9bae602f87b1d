"""Questions that find Observations: https://hl7.org/fhir/R4/observation.html#search."""

from __future__ import annotations

from typing import TYPE_CHECKING

from campaign import systems
from growth.planted import GLUCOSE, HAEMOGLOBIN, PANEL, RARE, RARE_CODE, SYSTOLIC
from growth.question import Question
from growth.reading import (
    Hit,
    codes,
    component_above,
    day,
    hits,
    is_above,
    is_category,
    newest,
    value,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from growth.person import Person
    from growth.record import Record, Resource

    Taken = Callable[[Record], Iterable[Resource]]
    Shown = Callable[[Iterable[Resource]], list[Hit]]

LOINC, UCUM = systems.LOINC, systems.UCUM
_WEIGHT, _ANTIGEN, _POSITIVE = "29463-7", "5196-1", "10828004"


def all_of(record: Record) -> list[Resource]:
    return record.by_type["Observation"]


def coded(code: str) -> Taken:
    """Those whose first coding has the code."""
    return lambda record: record.by_code.get(code, ())


def of_one(taken: Taken, shown: Shown = newest) -> Callable[[Record, Person], list[Hit]]:
    """Of what is taken, that of the person who is asked about."""
    return lambda record, person: shown(taken(record)) if record.patient["id"] == person.id else []


def of_all(taken: Taken, shown: Shown = hits) -> Callable[[Record, Person], list[Hit]]:
    """Of what is taken, that of everyone."""
    return lambda record, _: shown(taken(record))


def where(taken: Taken, holds: Callable[[Resource], bool]) -> Taken:
    return lambda record: [one for one in taken(record) if holds(one)]


def greatest(observations: Iterable[Resource]) -> list[Hit]:
    """By value, the greatest first."""
    return [((-value(one),), one["id"]) for one in observations]


OF_ONE = (
    Question(
        "one code of a person, newest first",
        f"Observation?patient={{id}}&code={LOINC}|{_WEIGHT}&_sort=-date&_count=10",
        of_one(coded(_WEIGHT)),
        is_ordered=True,
    ),
    Question(
        "category since a day",
        "Observation?subject=Patient/{id}&category=laboratory&date=ge2026-01-01",
        of_one(where(all_of, lambda one: is_category(one, "laboratory")), hits),
    ),
    Question(
        "combo-code, a part of a panel",
        f"Observation?patient={{id}}&combo-code={LOINC}|{SYSTOLIC}",
        of_one(
            where(
                coded(PANEL),
                lambda one: any(SYSTOLIC in codes(c["code"]) for c in one["component"]),
            ),
            hits,
        ),
    ),
    Question(
        "value-quantity, any code",
        f"Observation?patient={{id}}&value-quantity=gt5|{UCUM}|mmol/L",
        of_one(where(all_of, lambda one: is_above(one, 5, "mmol/L")), hits),
    ),
    Question(
        ":not a status",
        "Observation?patient={id}&status:not=final",
        of_one(where(all_of, lambda one: one["status"] != "final"), hits),
    ),
    Question(
        "in the compartment, one code",
        f"Patient/{{id}}/Observation?code={LOINC}|{PANEL}",
        of_one(coded(PANEL), hits),
    ),
    Question(
        "everything, second page",
        "Observation?patient={id}&_sort=-date&_count=10",
        of_one(all_of),
        is_ordered=True,
        pages=2,
    ),
)

OF_ALL = (
    Question(
        "one code, newest first",
        f"Observation?code={LOINC}|{HAEMOGLOBIN}&_sort=-date&_count=20",
        of_all(coded(HAEMOGLOBIN), newest),
        is_ordered=True,
    ),
    Question(
        "one code, newest first, second page",
        f"Observation?code={LOINC}|{HAEMOGLOBIN}&_sort=-date&_count=20",
        of_all(coded(HAEMOGLOBIN), newest),
        is_ordered=True,
        pages=2,
    ),
    Question(
        "one code, newest first, not counted",
        f"Observation?code={LOINC}|{HAEMOGLOBIN}&_sort=-date&_count=20&_total=none",
        of_all(coded(HAEMOGLOBIN), newest),
        is_ordered=True,
    ),
    Question(
        "code and day",
        f"Observation?code={LOINC}|{HAEMOGLOBIN}&date=2026-08-01&_sort=-date&_count=20",
        of_all(where(coded(HAEMOGLOBIN), lambda one: day(one) == "2026-08-01"), newest),
        is_ordered=True,
    ),
    Question(
        "rare code",
        f"Observation?code={RARE}|{RARE_CODE}&_sort=-date",
        of_all(coded(RARE_CODE), newest),
        is_ordered=True,
    ),
    Question("code system alone", f"Observation?code={RARE}|", of_all(coded(RARE_CODE))),
    Question("words of a code, :text", "Observation?code:text=cortisol", of_all(coded(RARE_CODE))),
    Question("rare status", "Observation?status=amended", of_all(coded(RARE_CODE))),
    Question(
        "category since a day, newest first",
        "Observation?category=vital-signs&date=ge2026-09-01&_sort=-date&_count=20",
        of_all(
            where(all_of, lambda one: is_category(one, "vital-signs") and day(one) >= "2026-09-01"),
            newest,
        ),
        is_ordered=True,
    ),
    Question(
        "code-value-quantity, rare",
        f"Observation?code-value-quantity={LOINC}|{GLUCOSE}$gt90",
        of_all(where(coded(GLUCOSE), lambda one: value(one) > 90)),
    ),
    Question(
        "code and value-quantity, rare",
        f"Observation?code={LOINC}|{GLUCOSE}&value-quantity=gt90",
        of_all(where(coded(GLUCOSE), lambda one: value(one) > 90)),
    ),
    Question(
        "value-quantity in a unit, rare",
        f"Observation?value-quantity=gt90|{UCUM}|mmol/L",
        of_all(where(all_of, lambda one: is_above(one, 90, "mmol/L"))),
    ),
    Question(
        "value-quantity, stored in another unit",
        f"Observation?code={LOINC}|{HAEMOGLOBIN}&value-quantity=gt250|{UCUM}|g/L",
        of_all(where(coded(HAEMOGLOBIN), lambda one: is_above(one, 25, "g/dL"))),
    ),
    Question(
        "component-code-value-quantity, rare",
        f"Observation?component-code-value-quantity={LOINC}|{SYSTOLIC}$gt240",
        of_all(where(coded(PANEL), lambda one: component_above(one, SYSTOLIC, 240))),
    ),
    Question(
        "combo-code-value-quantity, rare",
        f"Observation?combo-code-value-quantity={LOINC}|{SYSTOLIC}$gt240",
        of_all(where(coded(PANEL), lambda one: component_above(one, SYSTOLIC, 240))),
    ),
    Question(
        "code and value-concept, newest first",
        f"Observation?code={LOINC}|{_ANTIGEN}&value-concept={systems.SNOMED}|{_POSITIVE}"
        "&_sort=-date&_count=20",
        of_all(
            where(coded(_ANTIGEN), lambda one: _POSITIVE in codes(one["valueCodeableConcept"])),
            newest,
        ),
        is_ordered=True,
    ),
    Question(
        "code, :missing a performer",
        f"Observation?code={LOINC}|{GLUCOSE}&performer:missing=true",
        of_all(where(coded(GLUCOSE), lambda one: "performer" not in one)),
    ),
)
