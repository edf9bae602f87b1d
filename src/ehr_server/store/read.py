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


@dataclass(frozen=True, slots=True)
class Stretch:
    """Live resources that lie in one leaf: those of the types, or of these those alone whose index
    rows are of a format below."""

    leaf: str
    types: tuple[str, ...]
    below: int | None = None


def stretches(types: Iterable[str], below: int | None = None) -> list[Stretch]:
    """The resources of the types, leaf by leaf."""
    by_leaf: dict[str, list[str]] = {}
    for type_name in sorted(types):
        by_leaf.setdefault(leaf(type_name), []).append(type_name)
    return [Stretch(suffix, tuple(several), below) for suffix, several in by_leaf.items()]


def sizes(connection: Connection, several: Sequence[Stretch]) -> list[int]:
    """How long the stretches are, for comparison: by what the database believes of their leaves."""
    rows = connection.execute(
        "select relname, reltuples::bigint from pg_class where relname = any(%s)",
        ([f"resource_{one.leaf}" for one in several],),
    ).fetchall()
    believed = {row[0]: int(row[1]) for row in rows}
    return [max(1, believed.get(f"resource_{one.leaf}", 1)) for one in several]


def has_resources(connection: Connection) -> bool:
    """Whether there is any live resource."""
    row = connection.execute("select exists (select from resource)").fetchone()
    return row is not None and bool(row[0])


def indexed_after(
    connection: Connection, stretch: Stretch, after: tuple[int, int], count: int
) -> list[tuple[Any, ...]]:
    """The next resources of the stretch from a place `(comp, key)` on: rows of comp, key, tx, at,
    ver, type, enc and content, as `indexed_at` gives them."""
    older = "" if stretch.below is None else f" and r.fmt < {stretch.below:d}"
    return connection.execute(
        f"{_indexed(stretch)}{older} and (r.comp, r.key) > (%s, %s)"
        " order by r.comp, r.key limit %s",
        (_numbers(stretch), *after, count),
    ).fetchall()


def indexed_at(
    connection: Connection, stretch: Stretch, at: Sequence[tuple[int, int]]
) -> list[tuple[Any, ...]]:
    """Those of the resources at the places `(comp, key)` that are still live there."""
    comps, keys = [comp for comp, _ in at], [key for _, key in at]
    return connection.execute(
        f"{_indexed(stretch)} and r.comp = any(%s) and v.comp = any(%s) and r.key = any(%s)",
        (_numbers(stretch), comps, comps, keys),
    ).fetchall()


def version_of(store: Store, row: Sequence[Any]) -> Version:
    """A row of the columns comp, key, ver, at, deed, enc, content."""
    comp, key, ver, at, deed, enc, stored = row[:7]
    return Version(comp, key, ver, at, deed, store.contents.unpack(enc, stored))


COLUMNS = "v.comp, v.key, v.ver, v.at, v.deed, v.enc, v.content"


def _numbers(stretch: Stretch) -> list[int]:
    return [definitions().type_number[type_name] for type_name in stretch.types]


def _indexed(stretch: Stretch) -> str:
    return (
        "select r.comp, r.key, r.tx, r.at, r.ver, r.type, v.enc, v.content"
        f" from resource_{stretch.leaf} r join version_{stretch.leaf} v"
        " on v.comp = r.comp and v.key = r.key and v.ver = r.ver where r.type = any(%s)"
    )
