"""What an identifier is found by: one number, whatever its spelling and its naming system.

https://hl7.org/fhir/R4/search.html#token. An identifier has keys, and a search asks for keys; where
they share one, it is found. The index holds hashes of the keys, and what it leads to is held
against the keys themselves, so both tell the same. A key is one of

    (value,)                    the value as it is, but for case
    (system, value)             so, within its naming system; "" for none
    ("number", list, value)     a number of a known list in its normal form
    ("passport", country, value)    so, of one country alone; "" where the naming system names none
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ehr_server.identity.kinds import (
    KINDS,
    PASSPORT,
    PERSONAL,
    Kind,
    Number,
    country_of,
    kind_of,
)

Key = tuple[str, ...]

_NUMBER = "number"
_BARE = tuple(kind for kind in KINDS if not kind.is_free)  # whose values tell their kind
_SINGLE = frozenset((PERSONAL, PASSPORT))


@dataclass(frozen=True, slots=True)
class Single:
    """A number of which a person has one, and nobody else the same; the country that gave it, None
    where the naming system does not tell."""

    number: Number
    country: str | None = None

    def is_same(self, other: "Single") -> bool:
        """Whether both cannot be of two people: passports of two countries can."""
        return self.number == other.number and (
            self.country == other.country or None in (self.country, other.country)
        )


def keys(system: str | None, value: str) -> tuple[Key, ...]:
    """All that an identifier is found by."""
    kind = kind_of(system) if system else None
    numbers = () if kind is None else tuple(_keys_of(kind, value))
    if kind is None or not numbers:
        return (*_bare(value), (system or "", value.casefold()))
    numbers += tuple(_passports(numbers, country_of(system or "") or ""))
    return (*_bare(value), *numbers) if kind.is_free else numbers


def sought(system: str | None, value: str, *, of_person: bool) -> tuple[Key, ...]:
    """All that a search for a value asks for; `system` None is any, "" is none.

    A card stands for the person who holds it, so a person is found by any card with the same last
    ten digits. Cards themselves (a Coverage) are told apart.
    """
    kinds = _BARE if system is None else (kind_of(system),)
    numbers = [key for kind in kinds if kind is not None for key in _keys_of(kind, value)]
    if not of_person and any(key[1] == "bhyt" for key in numbers):
        numbers = [key for key in numbers if key[1] == "bhyt"]
    if system is None:
        return (*_bare(value), *numbers)
    if country := country_of(system):  # two countries may give one number
        numbers = [key for of in (country, "") for key in _passports(numbers, of)]
    known = kind_of(system)
    systems = (system,) if known is None or system not in known.systems else known.systems
    return (*((one, value.casefold()) for one in systems), *numbers)


def same_systems(system: str) -> str:
    """The one naming system that stands for all of the same kind."""
    kind = kind_of(system)
    return system if kind is None else kind.system


def single(identifier: Mapping[str, Any]) -> Iterator[Single]:
    """The numbers of an identifier of which a person has one: personal numbers and passports."""
    system, value = identifier.get("system"), identifier.get("value")
    kind = kind_of(system) if isinstance(system, str) else None
    if kind is None or not isinstance(system, str) or not isinstance(value, str):
        return
    for key in _keys_of(kind, value):
        if key[1] in _SINGLE:
            yield Single((key[1], key[2]), country_of(system))


def _bare(value: str) -> tuple[Key, ...]:
    as_it_is, closed = value.casefold(), "".join(value.split()).casefold()
    return ((as_it_is,),) if closed == as_it_is else ((as_it_is,), (closed,))


def _passports(numbers: Iterable[Key], country: str) -> Iterator[Key]:
    return ((PASSPORT, country, key[2]) for key in numbers if key[1] == PASSPORT)


def _keys_of(kind: Kind, value: str) -> Iterator[Key]:
    normal = kind.normal(value)
    if kind.has_shape(normal):
        for number in kind.numbers_of(normal):
            yield (_NUMBER, *number)
