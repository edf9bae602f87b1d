"""A question of the benchmark: the address, and what it must find."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from growth.person import Person
from growth.reading import Hit
from growth.record import Record

Truth = Callable[[Record, Person], Iterable[Hit]]


@dataclass(frozen=True, slots=True)
class Question:
    """`address` has the fields of a `Person` in braces. `truth` tells what a record has of the
    answer; `included` the same of what comes with the matches.

    `is_ordered`: the address has a `_sort`, and truth the values it goes by; else only the set is
    compared, or that the page is part of it. `pages`: as many are read, the last one is measured.
    """

    name: str
    address: str
    truth: Truth
    is_ordered: bool = False
    pages: int = 1
    included: Truth | None = None

    @property
    def is_personal(self) -> bool:
        """Whether it is about one person, and so asked for several."""
        return "{" in self.address

    def address_for(self, person: Person) -> str:
        fields = {name: getattr(person, name) for name in Person.__dataclass_fields__}
        return self.address.format(**fields)
