"""What a request has looked at and done, for the access log: gathered where it happens."""

from collections.abc import Iterable
from dataclasses import dataclass, field


@dataclass(slots=True)
class Trail:
    """`persons`: the compartments of the people of whom something was disclosed or written (odd,
    see `hashing.person_comp`); `count`: how many resources."""

    persons: set[int] = field(default_factory=set)
    count: int = 0

    def saw(self, comps: Iterable[int]) -> None:
        """Resources that lie in the compartments, one for each, are told to the caller."""
        for comp in comps:
            self.count += 1
            if comp & 1:
                self.persons.add(comp)
