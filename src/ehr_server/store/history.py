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
class Span:
    """Which part of a history: versions `since` an instant, `count` of them, after a page."""

    count: int
    since: datetime | None = None
    before: tuple[int, int] | None = None  # (tx, key), for an instance (0, ver)


def of_instance(
    store: Store, connection: Connection, type_name: str, at: Place, span: Span
) -> tuple[list[Version], tuple[int, int] | None]:
    """The versions of one resource, and where the next page begins."""
    rows = connection.execute(
        f"select {COLUMNS} from version_{leaf(type_name)} v where v.comp = %s and v.key = %s"
        " and (%s::timestamptz is null or v.at >= %s) and v.ver < %s"
        " order by v.ver desc limit %s",
        (
            at.comp,
            at.key,
            span.since,
            span.since,
            span.before[1] if span.before else 2**31 - 1,
            span.count + 1,
        ),
    ).fetchall()
    versions = [version_of(store, row) for row in rows[: span.count]]
    more = len(rows) > span.count and bool(versions)
    return versions, (0, versions[-1].ver) if more else None


def of_type(
    store: Store, connection: Connection, type_name: str | None, span: Span
) -> tuple[list[Version], tuple[int, int] | None]:
    """The versions of one type, or of all (None), and where the next page begins."""
    table = "version" if type_name is None else f"version_{leaf(type_name)}"
    number = None if type_name is None else definitions().type_number[type_name]
    tx, key = span.before or (store.horizon(connection), -(2**63))
    rows = connection.execute(
        f"select {COLUMNS}, v.tx from {table} v where (v.tx, v.key) < (%s, %s)"
        " and (%s::smallint is null or v.type = %s)"
        " and (%s::timestamptz is null or v.at >= %s)"
        " order by v.tx desc, v.key desc limit %s",
        (tx, key, number, number, span.since, span.since, span.count + 1),
    ).fetchall()
    page = rows[: span.count]
    versions = [version_of(store, row) for row in page]
    more = len(rows) > span.count and bool(page)
    return versions, (page[-1][7], page[-1][1]) if more else None


def count_of_instance(connection: Connection, type_name: str, at: Place) -> int:
    """How many versions a resource has."""
    row = connection.execute(
        f"select count(*) from version_{leaf(type_name)} where comp = %s and key = %s",
        (at.comp, at.key),
    ).fetchone()
    return int(row[0]) if row else 0
