"""Questions that find Patients: https://hl7.org/fhir/R4/patient.html#search."""

from __future__ import annotations

from typing import TYPE_CHECKING

from campaign import systems
from growth import planted
from growth.question import Question
from growth.reading import Hit, born, family, hits, number_of, plain, words

if TYPE_CHECKING:
    from collections.abc import Callable

    from growth.person import Person
    from growth.record import Record

_RARE_PLAIN = plain(planted.FAMILY)


def _when(holds: Callable[[Record, Person], bool]) -> Callable[[Record, Person], list[Hit]]:
    """The record's Patient where the condition holds, in no order."""
    return lambda record, person: hits([record.patient]) if holds(record, person) else []


def _begins(record: Record, start: str) -> bool:
    return any(word.startswith(start) for word in words(record.patient))


def _has_birth(record: Record, person: Person) -> bool:
    return bool(record.patient["birthDate"] == person.born)


def _is_rare(record: Record) -> bool:
    return family(record.patient) == _RARE_PLAIN


def _born_in_january(record: Record, _: Person) -> list[Hit]:
    patient = record.patient
    if patient["gender"] == "female" and patient["birthDate"].startswith("1990-01-"):
        return [((born(patient),), patient["id"])]
    return []


ONE = (
    Question(
        "identity card, system and number",
        f"Patient?identifier={systems.CCCD}|{{cccd}}",
        _when(lambda record, person: number_of(record.patient, person.cccd)),
    ),
    Question(
        "insurance card, number alone",
        "Patient?identifier={bhyt}",
        _when(lambda record, person: number_of(record.patient, person.bhyt)),
    ),
    Question(
        "id",
        "Patient?_id={id}",
        _when(lambda record, person: record.patient["id"] == person.id),
    ),
    Question(
        "whole name, birth date, gender",
        "Patient?name={name}&birthdate={born}&gender={gender}",
        _when(
            lambda record, person: (
                _has_birth(record, person)
                and record.patient["gender"] == person.gender
                and words(record.patient) == plain(person.name).split()
            )
        ),
    ),
    Question(
        "words of the name back to front, birth date",
        "Patient?name={reversed}&birthdate={born}",
        _when(
            lambda record, person: (
                _has_birth(record, person)
                and sorted(words(record.patient)) == sorted(plain(person.name).split())
            )
        ),
    ),
    Question(
        "telephone",
        "Patient?phone={phone}",
        _when(
            lambda record, person: any(
                one["value"] == person.phone for one in record.patient.get("telecom", ())
            )
        ),
    ),
)

MANY = (
    Question(
        "common name",
        "Patient?name=nguyen&_count=20",
        _when(lambda record, _: _begins(record, "nguyen")),
    ),
    Question("rare name", f"Patient?name={_RARE_PLAIN}", _when(lambda record, _: _is_rare(record))),
    Question(
        "rare family name, :exact",
        f"Patient?family:exact={planted.FAMILY}",
        _when(lambda record, _: record.patient["name"][0].get("family") == planted.FAMILY),
    ),
    Question(
        "inside of a rare name, :contains",
        f"Patient?name:contains={_RARE_PLAIN[1:]}",
        _when(lambda record, _: _RARE_PLAIN[1:] in " ".join(words(record.patient))),
    ),
    Question(
        "rare address",
        f"Patient?address={planted.HAMLET}",
        _when(lambda record, _: record.patient["address"][0]["line"] == [planted.HAMLET]),
    ),
    Question(
        "women born in a month",
        "Patient?birthdate=ge1990-01-01&birthdate=lt1990-02-01&gender=female"
        "&_sort=birthdate&_count=20",
        _born_in_january,
        is_ordered=True,
    ),
    Question(
        "rare name, without a telephone",
        f"Patient?family={_RARE_PLAIN}&phone:missing=true",
        _when(lambda record, _: _is_rare(record) and "telecom" not in record.patient),
    ),
    Question(
        "rare name, :not a gender",
        f"Patient?family={_RARE_PLAIN}&gender:not=female",
        _when(lambda record, _: _is_rare(record) and record.patient["gender"] != "female"),
    ),
)
