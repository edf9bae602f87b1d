"""Reading single resources and their versions: the directory first, then the bytes.

Two hops instead of a join, because `rid` is distributed by id and the record by compartment.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ehr_server.definitions import definitions
from ehr_server.layout import leaf
from ehr_server.store.connect import Connection, Store

CREATE, UPDATE, DELETE, UPSERT = 1, 2, 3, 4  # an upsert creates at the client's id


@dataclass(frozen=True, slots=True)
class Place:
    """Where a resource lies; not `live` once it is deleted."""

    comp: int
    key: int
    live: bool


@dataclass(frozen=True, slots=True)
class Version:
    """One version of a resource: `content` as served, `deed` CREATE or one of its like."""

    comp: int
    key: int
    ver: int
    at: datetime
    deed: int
    content: bytes


def places(connection: Connection, ids: Iterable[tuple[str, str]]) -> dict[tuple[str, str], Place]:
    """Where the resources `(type, id)` lie, those that were ever there."""
    wanted = set(ids)
    if not wanted:
        return {}
    numbers, names = definitions().type_number, definitions().type_name
    rows = connection.execute(
        "select type, id, comp, key, live from rid where type = any(%s) and id = any(%s)",
        (sorted({numbers[type_name] for type_name, _ in wanted}), [id_ for _, id_ in wanted]),
    ).fetchall()
    found = {(names[row[0]], row[1]): Place(row[2], row[3], row[4]) for row in rows}
    return {identity: place for identity, place in found.items() if identity in wanted}


def any_places(
    connection: Connection, type_names: Sequence[str], most: int
) -> dict[tuple[str, str], Place]:
    """Where live resources `(type, id)` of the types lie, so many at most, in no order."""
    numbers, names = definitions().type_number, definitions().type_name
    rows = connection.execute(
        "select type, id, comp, key from rid where type = any(%s::smallint[]) and live limit %s",
        ([numbers[name] for name in type_names], most),
    ).fetchall()
    return {(names[row[0]], row[1]): Place(row[2], row[3], live=True) for row in rows}


def place(connection: Connection, type_name: str, id_: str) -> Place | None:
    """Where the resource lies, or None if there never was one."""
    row = connection.execute(
        "select comp, key, live from rid where type = %s and id = %s",
        (definitions().type_number[type_name], id_),
    ).fetchone()
    return None if row is None else Place(row[0], row[1], row[2])


def current(store: Store, connection: Connection, type_name: str, at: Place) -> Version | None:
    """The live version at a place; None if it was deleted meanwhile."""
    suffix = leaf(type_name)
    row = connection.execute(
        f"select {COLUMNS} from resource_{suffix} r join version_{suffix} v"
        " on v.comp = r.comp and v.key = r.key and v.ver = r.ver"
        " where r.comp = %s and r.key = %s and v.comp = %s and v.key = %s",
        (at.comp, at.key, at.comp, at.key),
    ).fetchone()
    return None if row is None else version_of(store, row)


def newest(
    store: Store, connection: Connection, type_name: str, at: Sequence[Place]
) -> dict[int, Version]:
    """The newest version at each place, by key; deleted resources give their deletion."""
    rows = connection.execute(
        f"select distinct on (v.comp, v.key) {COLUMNS} from version_{leaf(type_name)} v"
        " where v.comp = any(%s) and v.key = any(%s) order by v.comp, v.key, v.ver desc",
        ([place.comp for place in at], [place.key for place in at]),
    ).fetchall()
    return {row[1]: version_of(store, row) for row in rows}


def makers(connection: Connection, type_name: str, at: Sequence[Place]) -> dict[int, str]:
    """The sender of the first version at each place, by key."""
    rows = connection.execute(
        f"select v.key, s.name from version_{leaf(type_name)} v join sender s on s.id = v.sender"
        " where v.comp = any(%s) and v.key = any(%s) and v.ver = 1",
        ([place.comp for place in at], [place.key for place in at]),
    ).fetchall()
    return dict(rows)


def vread(
    store: Store, connection: Connection, type_name: str, at: Place, ver: int
) -> Version | None:
    """One version at a place, or None."""
    row = connection.execute(
        f"select {COLUMNS} from version_{leaf(type_name)} v"
        " where v.comp = %s and v.key = %s and v.ver = %s",
        (at.comp, at.key, ver),
    ).fetchone()
    return None if row is None else version_of(store, row)


def versions_there(
    connection: Connection, asked: Iterable[tuple[str, Place, int]]
) -> set[tuple[int, str]]:
    """Which of the versions (type, place, number) are there and no deletions: (key, number)."""
    by_leaf: dict[str, list[tuple[int, int, int]]] = {}
    for type_name, at, ver in asked:
        by_leaf.setdefault(leaf(type_name), []).append((at.comp, at.key, ver))
    found: set[tuple[int, str]] = set()
    for suffix, several in by_leaf.items():
        comps, keys, vers = (list(column) for column in zip(*several, strict=True))
        rows = connection.execute(
            f"select key, ver from version_{suffix}"
            " where comp = any(%s) and key = any(%s) and ver = any(%s) and deed <> %s",
            (comps, keys, vers, DELETE),
        ).fetchall()
        found |= {(key, str(ver)) for key, ver in rows}
    return found


def contents_of(
    store: Store, connection: Connection, versions: Sequence[tuple[int, int, int, int]]
) -> dict[int, bytes]:
    """The contents of versions (comp, key, ver, number of the type), by key; one statement for
    each leaf."""
    by_leaf: dict[str, list[tuple[int, int, int]]] = {}
    for comp, key, ver, number in versions:
        by_leaf.setdefault(leaf(definitions().type_name[number]), []).append((comp, key, ver))
    found: dict[int, bytes] = {}
    for suffix, several in by_leaf.items():
        comps, keys, vers = (list(column) for column in zip(*several, strict=True))
        rows = connection.execute(
            f"select v.key, v.ver, v.enc, v.content from version_{suffix} v"
            " where v.comp = any(%s) and v.key = any(%s) and v.ver = any(%s)",
            (comps, keys, vers),
        ).fetchall()
        wanted = {(key, ver) for _, key, ver in several}
        for key, ver, enc, stored in rows:
            if (key, ver) in wanted:
                found[key] = store.contents.unpack(enc, stored)
    return found


def version_of(store: Store, row: Sequence[Any]) -> Version:
    """A row of the columns comp, key, ver, at, deed, enc, content."""
    comp, key, ver, at, deed, enc, stored = row[:7]
    return Version(comp, key, ver, at, deed, store.contents.unpack(enc, stored))


COLUMNS = "v.comp, v.key, v.ver, v.at, v.deed, v.enc, v.content"
