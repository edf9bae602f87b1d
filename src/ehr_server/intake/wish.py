"""What an import is asked for, as data that a job keeps and a process is given."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

Ids = Literal["keep", "assign"]
Match = Literal["id", "identifier"]
Dangling = Literal["keep", "remove"]

IDS: tuple[Ids, ...] = ("keep", "assign")
MATCHES: tuple[Match, ...] = ("id", "identifier")
DANGLINGS: tuple[Dangling, ...] = ("keep", "remove")


@dataclass(frozen=True, slots=True)
class Wish:
    """How to import.

    `ids`: those that resources have are kept, or all are assigned anew, the same ones each time.
    `match`: an update is of the resource with the id, or of the one that holds the identifiers.
    `dangling`: what becomes of a reference to nothing, which is told in any case. `stops` at the
    first line that is refused, or goes on. `source` names where all of it comes from: ids that
    are assigned, and what a source calls a resource that has another id here, are by source.
    """

    ids: Ids = "keep"
    match: Match = "id"
    dangling: Dangling = "keep"
    stops: bool = False
    source: str = ""

    @property
    def defers(self) -> bool:
        """Whether lines wait whose references lead to nothing yet: until all else is stored, and
        it is known what they mean or that they mean nothing."""
        return self.match == "identifier" or self.dangling == "remove"

    def as_json(self) -> dict[str, Any]:
        """As a job keeps it; `wish_of` reads it."""
        return asdict(self)


def wish_of(value: dict[str, Any]) -> Wish:
    """The wish that `as_json` wrote."""
    return Wish(**value)
