"""What is asked of the directories before a statement can be made, and what they answered.

Two hops instead of one join, because the directories are distributed otherwise than the record.
"""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ehr_server.search.sql import Sql

UNITS = "units"  # the fact: the codes of all units that quantities are stored in
LOOKED_UP_MAX = 10_000  # rows that a directory may answer

Rows = Sequence[tuple[Any, ...]]
Facts = Mapping[Hashable, Any]  # what is asked about -> rows, or `search.where.Reached`


@dataclass(frozen=True, slots=True)
class Lookup:
    """A statement whose rows are the fact `about`; more than `LOOKED_UP_MAX` are too many."""

    about: Hashable
    statement: Sql


def limited(text: str, params: tuple[Any, ...]) -> Sql:
    """A look-up that tells whether there are too many."""
    return Sql(f"{text} limit {LOOKED_UP_MAX + 1}", params)
