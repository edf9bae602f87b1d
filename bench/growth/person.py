"""The residents that questions about one person ask for: a few adults with every number."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from campaign import systems
from growth.record import Part, Record, records

if TYPE_CHECKING:
    from collections.abc import Iterator

_PERSONS = 8
_AMONG = 50  # residents: all of them are there at the smallest size


@dataclass(frozen=True, slots=True)
class Person:
    """What an address says of a person, `reversed` being the words of the name back to front."""

    id: str
    cccd: str
    bhyt: str
    name: str
    reversed: str
    born: str
    gender: str
    phone: str


def persons(seed: int = 1) -> list[Person]:
    """Adults with an identity card, an exact birth date and a telephone."""
    return list(islice(_adults(seed), _PERSONS))


def _adults(seed: int) -> Iterator[Person]:
    for record in records(Part(0, _AMONG, seed)):
        patient = record.patient
        if len(patient["identifier"]) == 2 and "telecom" in patient and _is_adult(record):
            text = patient["name"][0]["text"]
            numbers = {one["system"]: one["value"] for one in patient["identifier"]}
            yield Person(
                patient["id"], numbers[systems.CCCD], numbers[systems.BHYT], text,
                " ".join(reversed(text.split())), patient["birthDate"], patient["gender"],
                patient["telecom"][0]["value"],
            )  # fmt: skip


def _is_adult(record: Record) -> bool:
    born = record.patient["birthDate"]
    return len(born) == 10 and born < "2000"
