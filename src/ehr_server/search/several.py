"""A search of several types at once: of the whole system, or of all in a compartment.

https://hl7.org/fhir/R4/http.html#search. The rows of all types are put together in one order, which
can only be one that all have: by when they were stored.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ehr_server.layout import leaf
from ehr_server.search import sort
from ehr_server.search.page import Keyset
from ehr_server.search.plan import Plan, limited, union
from ehr_server.search.sort import Stage
from ehr_server.search.sql import Sql

_NAME = "s0"  # the one value sorted by


@dataclass(frozen=True, slots=True)
class Several:
    """Plans of the same search, of one leaf each; `stage` is the order of all."""

    plans: tuple[Plan, ...]
    stage: Stage

    @property
    def is_pinned(self) -> bool:
        """Whether one plan of the database fits all values."""
        return all(one.is_pinned for one in self.plans)

    @property
    def is_misjudged(self) -> bool:
        """Whether the database cannot judge how many there are of one of them."""
        return any(one.is_misjudged for one in self.plans)

    @property
    def is_many(self) -> bool:
        """As of the plans."""
        return self.plans[0].is_many

    def page(self, limit: int, stage: Stage, keyset: Keyset | None) -> Sql:
        """Rows of (comp, key, ver, type, then the value sorted by), in order."""
        what = "r.comp, r.key, r.ver, r.type"
        parts = [one.narrow(limit, stage, keyset, [_NAME], what) for one in self.plans]
        whole = union(parts)
        order = sort.order(stage, [_NAME], "key")
        return limited(Sql(f"select * from ({whole.text}) w order by {order}", whole.params), limit)

    def count(self, limit: int | None) -> Sql:
        """How many there are; of each plan no more than the limit are counted."""
        parts = [one.count(limit) for one in self.plans]
        whole = union(parts)
        return Sql(f"select sum(count)::bigint from ({whole.text}) n", whole.params)

    def all_rows(self) -> Sql:
        """All of the narrow rows, for the database to estimate their number."""
        return union([one.all_rows() for one in self.plans])


def together(plans: Sequence[Plan]) -> Several | None:
    """The plans as one; those that ask the same of types in one leaf become one plan."""
    merged: dict[object, Plan] = {}
    for one in plans:
        same = (leaf(one.types[0]), str(one.rows))
        known = merged.get(same)
        merged[same] = replace(known, types=(*known.types, *one.types)) if known else one
    if not merged:
        return None
    (stage,) = plans[0].stages
    return Several(tuple(merged.values()), stage)
