"""The live resources of a type, page by page, each page a statement of its own.

For whoever goes through all of them while a client reads: no connection and no transaction is held
between two pages. A resource that stays is met once; one that is written meanwhile may be met as it
was or as it is. What must be of one moment is an export (`store.export`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ehr_server.definitions import definitions
from ehr_server.layout import leaf
from ehr_server.store.walk import START, At

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from ehr_server.store.connect import Connection, Store

_PAGE_ROWS = 1_000

# Left to itself the planner may hash all versions for a page.
_SETTINGS = "set local enable_hashjoin = off; set local enable_mergejoin = off"


@dataclass(frozen=True, slots=True)
class Wanted:
    """Resources of a type: those in some compartments alone, or stored after an instant, or those
    whose narrow row `r` meets the condition `chosen`, SQL and its parameters."""

    type: str
    comps: Sequence[int] | None = None
    since: datetime | None = None
    chosen: tuple[str, Sequence[Any]] | None = None


def contents(store: Store, wanted: Wanted) -> Iterator[bytes]:
    """The contents of what is wanted, in the order of compartments."""
    after: At | None = START
    while after is not None:
        with store.connection() as connection:
            page, after = _page(store, connection, wanted, after)
        yield from page


def _page(
    store: Store, connection: Connection, wanted: Wanted, after: At
) -> tuple[list[bytes], At | None]:
    """The next page, and the place where it ends; None at the end of the leaf.

    The rows looked at are counted, not those that are wanted: few may be, and a statement must
    not search for long.
    """
    suffix = leaf(wanted.type)
    chosen, params = wanted.chosen or ("true", ())
    inside = "" if wanted.comps is None else " and r.comp = any(%s::bigint[])"
    later = "" if wanted.since is None else " and l.at > %s"
    with connection.transaction():
        connection.execute(_SETTINGS)
        rows = connection.execute(
            "with looked as materialized ("
            f"select r.comp, r.key, r.ver, r.type, r.at, ({chosen}) chosen from resource_{suffix} r"
            f" where (r.comp, r.key) > (%s, %s){inside} order by r.comp, r.key limit {_PAGE_ROWS})"
            " select l.comp, l.key, v.enc, v.content from looked l"
            f" left join version_{suffix} v on v.comp = l.comp and v.key = l.key and v.ver = l.ver"
            f" and v.type = l.type and l.type = %s and l.chosen{later} order by l.comp, l.key",
            (
                *params,
                *after,
                *(() if wanted.comps is None else (list(wanted.comps),)),
                definitions().type_number[wanted.type],
                *(() if wanted.since is None else (wanted.since,)),
            ),
            binary=True,
        ).fetchall()
    unpack = store.contents.unpack
    page = [unpack(enc, content) for _, _, enc, content in rows if content is not None]
    return page, (rows[-1][0], rows[-1][1]) if len(rows) == _PAGE_ROWS else None
