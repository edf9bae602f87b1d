"""What a request has looked at and done, for the access log: gathered where it happens."""

from collections.abc import Iterable
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Event:
    """What a request asks for, as rows of the log say it (`store.access_log`): the numbers of the
    words for the caller and the deed, X-Request-Id, the address without numbers of persons."""

    who: int
    deed: int
    request: str
    what: str


@dataclass(slots=True)
class Trail:
    """`persons`: the compartments of the people of whom something was disclosed or written (odd,
    see `hashing.person_comp`), each with how many resources; `count`: how many in all. `private`:
    names and values of a search that may be somebody's number. `event`: what is asked for, None
    where nothing is logged. `logged`: those whose rows were written with a change already.
    """

    persons: dict[int, int] = field(default_factory=dict)
    count: int = 0
    private: set[tuple[str, str]] = field(default_factory=set)
    event: Event | None = None
    logged: set[int] = field(default_factory=set)

    def saw(self, comps: Iterable[int]) -> None:
        """Resources that lie in the compartments, one for each, are told to the caller."""
        persons = self.persons
        for comp in comps:
            self.count += 1
            if comp & 1:
                persons[comp] = persons.get(comp, 0) + 1

    def forget(self) -> None:
        """What was seen was not told, or is logged: a deed is run again, or a long one goes on."""
        self.persons.clear()
        self.logged.clear()
        self.count = 0
