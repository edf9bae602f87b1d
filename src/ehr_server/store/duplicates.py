"""How far the search for duplicates has come: Patients as they were written, by (tx, key).

Below the horizon nothing appears any more, so whoever goes on from a place misses nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ehr_server.layout import leaf
from ehr_server.store import export, marks
from ehr_server.store.export import Ask, Stretch

if TYPE_CHECKING:
    from ehr_server.store.connect import Connection, Store

KIND = "duplicates"  # of the jobs that do it
TYPE = "Patient"

Until = tuple[int, int]  # tx and key: all before was looked at

_SETTING = "duplicates_until"


def until(connection: Connection) -> Until:
    """Where the last look ended; before everything, if there was none."""
    row = connection.execute("select value from setting where name = %s", (_SETTING,)).fetchone()
    if row is None:
        return marks.BEGINNING, marks.BEGINNING
    tx, _, key = str(row[0]).partition(" ")
    return int(tx), int(key)


def set_until(connection: Connection, place: Until) -> None:
    """A look ended here."""
    connection.execute(
        "insert into setting (name, value) values (%s, %s)"
        " on conflict (name) do update set value = excluded.value",
        (_SETTING, f"{place[0]} {place[1]}"),
    )


def is_behind(connection: Connection, place: Until, below: int) -> bool:
    """Whether Patients were written since, that is below the number."""
    row = connection.execute(
        f"select exists (select from version_{leaf(TYPE)}"
        " where (tx, key) > (%s::bigint, %s::bigint) and tx < %s)",
        (*place, below),
    ).fetchone()
    return row is not None and bool(row[0])


def is_under_way(connection: Connection) -> bool:
    """Whether a job waits or runs."""
    row = connection.execute(
        "select exists (select from job where kind = %s and state in ('queued', 'running'))",
        (KIND,),
    ).fetchone()
    return row is not None and bool(row[0])


def changed(
    store: Store, connection: Connection, after: Until, below: int, count: int
) -> tuple[list[bytes], Until]:
    """The next Patients as they are now, so many at most, and where they end: at the number once
    there are no more, past those that were deleted or changed again too."""
    columns = ("v.tx", "v.key", "v.enc", "v.content")
    text, values = export.statement(Ask(below, (TYPE,)), Stretch(leaf(TYPE), after), columns)
    with connection.transaction():
        export.prepare(connection)
        rows = connection.execute(f"{text} limit %s", [*values, count]).fetchall()
    end = (rows[-1][0], rows[-1][1]) if len(rows) == count else (below, marks.BEGINNING)
    return [store.contents.unpack(row[2], row[3]) for row in rows], end
