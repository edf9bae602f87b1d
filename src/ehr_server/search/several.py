"""A search of several types at once: of the whole system, or of all in a compartment.

https://hl7.org/fhir/R4/http.html#search. The rows of all types are put together in one order, which
can only be one that all have: by when they were stored.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ehr_server.layout import leaf
from ehr_server.search import sort
from ehr_server.search.page import Keyset
from ehr_server.search.plan import Plan, first, gathered_first, union
from ehr_server.search.sort import Stage
from ehr_server.search.sql import TRUE, Sql

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
        """As of the plans."""
        return any(one.is_misjudged for one in self.plans)

    begins_first = is_correlated = False  # types have neither texts nor values in common

    def page(self, limit: int, stage: Stage, keyset: Keyset | None) -> Sql:
        """Rows of (comp, key, ver, type, then the value sorted by), in order."""
        what = "r.comp, r.key, r.ver, r.type"
        parts = [one.narrow(limit, stage, keyset, [_NAME], what) for one in self.plans]
        whole = union(parts)
        order = sort.order(stage, [_NAME], "key")
        return first(Sql(f"select * from ({whole.text}) w", whole.params), order, limit)

    def few(self, limit: int, keyset: Keyset | None, most: int) -> Sql:
        """As `Plan.few`: rows of (number found, comp, key, ver, type, then the value)."""
        found = self.gathered("r.comp, r.key, r.ver, r.type, r.at")
        is_back = keyset is not None and keyset.is_back
        ordered = self.stage.turned() if is_back else self.stage
        column = replace(ordered.columns[0], text="at")
        stage = Stage((column,), key="key")
        later = sort.after(stage, keyset.values, keyset.key) if keyset else TRUE
        return Sql(
            f"{gathered_first(found, most)}"
            " select n.n, p.comp, p.key, p.ver, p.type, p.at from n left join (select * from few"
            f" where (select n from n) <= {most} and {later.text}"
            f" order by {sort.order(stage, ['at'], 'key')} limit {limit}) p on true"
            f" order by {sort.order(stage, ['p.at'], 'p.key')}",
            (*found.params, *later.params),
        )

    def gathered(self, what: str) -> Sql:
        """As `Plan.gathered`, of all types."""
        return union([one.gathered(what) for one in self.plans])

    def count(self) -> Sql:
        """How many there are."""
        rows = self.gathered("1")
        return Sql(f"select count(*) from ({rows.text}) n", rows.params)


def together(plans: Sequence[Plan]) -> Several | None:
    """The plans as one; those that ask the same of types in one leaf become one plan."""
    merged: dict[object, Plan] = {}
    for one in plans:
        same = (leaf(one.types[0]), str(one.branches))
        known = merged.get(same)
        merged[same] = replace(known, types=(*known.types, *one.types)) if known else one
    if not merged:
        return None
    (stage,) = plans[0].stages
    return Several(tuple(merged.values()), stage)
