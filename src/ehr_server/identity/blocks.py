"""Where to look for another record of the same person: hashes of what such records share.

To compare everyone with everyone is out of question. A Patient is kept under about six keys in the
array of its narrow row (`search.index`); what shares one is worth comparing. Each key survives what
another does not: a slip in the given name, a wrong year, a lost middle name, a changed ward.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal

from ehr_server.hashing import hash64
from ehr_server.identity.names import Name
from ehr_server.identity.traits import Outline, outline

# The most selective first: where there is a limit, they are asked first.
Kind = Literal[
    "mother-birth", "birth-given", "birth-name", "name-year", "name-ward", "given-year-ward"
]
KINDS: tuple[Kind, ...] = (
    "mother-birth",
    "birth-given",
    "birth-name",
    "name-year",
    "name-ward",
    "given-year-ward",
)
KEPT_MAX = 24  # keys of a Patient with several names and addresses

Key = tuple[Kind, int]


def kept(patient: Mapping[str, Any]) -> list[int]:
    """The keys under which a Patient is found."""
    found = outline(patient)
    return list(dict.fromkeys(hash_ for _, hash_ in _keys(found, (found.day,))))[:KEPT_MAX]


def sought(person: Outline) -> list[Key]:
    """The keys under which the same person may be kept: with day and month exchanged too."""
    days = (person.day, _swapped(person.day))
    found = dict.fromkeys(_keys(person, days))
    return sorted(found, key=lambda key: KINDS.index(key[0]))[: 2 * KEPT_MAX]


def shared(one: Outline, other: Outline) -> set[Kind]:
    """The kinds of keys by which the one is found under the other's."""
    there = set(_keys(other, (other.day,)))
    return {key[0] for key in sought(one) if key in there}


def _keys(person: Outline, days: Iterable[str]) -> Iterator[Key]:
    wards = sorted(person.wards)[:2]
    for name in person.names:
        for day in filter(None, days):
            yield _key("birth-given", day, name.given)
            if len(name.words) > 1:
                yield _key("birth-name", day, *sorted(name.words[:-1]))
        if person.year:
            yield _key("name-year", person.year, _whole(name))
        for ward in wards:
            yield _key("name-ward", ward, _whole(name))
            if person.year:
                yield _key("given-year-ward", ward, person.year, name.given)
    for mother in person.mothers:
        for day in filter(None, days):
            yield _key("mother-birth", day, _whole(mother))


def _whole(name: Name) -> str:
    """The words in an order of their own, since senders have several."""
    return "".join(sorted(name.words))


def _key(kind: Kind, *parts: str) -> Key:
    return kind, hash64("block", kind, *parts)


def _swapped(day: str) -> str:
    """The date with day and month exchanged; "" where that is none."""
    year, _, rest = day.partition("-")
    month, _, of_month = rest.partition("-")
    return f"{year}-{of_month}-{month}" if of_month and of_month <= "12" else ""
