"""Versions in the order they were written, newest first.

https://hl7.org/fhir/R4/http.html#history. The history of a type or of the system stops at the
horizon: below it nothing can still appear, so a reader who goes on from there misses nothing.
"""

from dataclasses import dataclass
from datetime import datetime

from ehr_server.definitions import definitions
from ehr_server.layout import leaf
from ehr_server.store.connect import Connection, Store
from ehr_server.store.read import COLUMNS, Place, Version, version_of


@dataclass(frozen=True, slots=True)
class Excerpt:
    """Which part of a history: versions `since` an instant, `count` of them, after a page."""

    count: int
    since: datetime | None = None
    before: tuple[int, int] | None = None  # (tx, key), for an instance (0, ver)


def of_instance(
    store: Store, connection: Connection, type_name: str, at: Place, wanted: Excerpt
) -> tuple[list[Version], tuple[int, int] | None, int]:
    """The versions of one resource, where the next page begins, and how many there are in all:
    0 only where it does not lie. One statement, so that all are of one moment.
    """
    table, here = f"version_{leaf(type_name)}", (at.comp, at.key)
    last = wanted.before[1] if wanted.before else 2**31 - 1
    rows = connection.execute(
        f"select page.*, every.total from"
        f" (select count(*) as total from {table} where comp = %s and key = %s) every"
        f" left join lateral (select {COLUMNS} from {table} v where v.comp = %s and v.key = %s"
        " and (%s::timestamptz is null or v.at >= %s) and v.ver < %s"
        " order by v.ver desc limit %s) page on true order by page.ver desc",
        (*here, *here, wanted.since, wanted.since, last, wanted.count + 1),
    ).fetchall()
    found = [row for row in rows if row[0] is not None]
    versions = [version_of(store, row) for row in found[: wanted.count]]
    more = len(found) > wanted.count and bool(versions)
    return versions, (0, versions[-1].ver) if more else None, rows[0][-1]


def of_type(
    store: Store, connection: Connection, type_name: str | None, wanted: Excerpt
) -> tuple[list[Version], tuple[int, int] | None]:
    """The versions of one type, or of all (None), and where the next page begins."""
    table = "version" if type_name is None else f"version_{leaf(type_name)}"
    number = None if type_name is None else definitions().type_number[type_name]
    tx, key = wanted.before or (store.horizon(connection), -(2**63))
    rows = connection.execute(
        f"select {COLUMNS}, v.tx from {table} v where (v.tx, v.key) < (%s, %s)"
        " and (%s::smallint is null or v.type = %s)"
        " and (%s::timestamptz is null or v.at >= %s)"
        " order by v.tx desc, v.key desc limit %s",
        (tx, key, number, number, wanted.since, wanted.since, wanted.count + 1),
    ).fetchall()
    page = rows[: wanted.count]
    versions = [version_of(store, row) for row in page]
    more = len(rows) > wanted.count and bool(page)
    return versions, (page[-1][7], page[-1][1]) if more else None
