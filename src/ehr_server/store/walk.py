"""Going through all live resources, to index them again: leaf by leaf, by compartment and key."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ehr_server.definitions import definitions
from ehr_server.layout import leaf

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ehr_server.store.connect import Connection

At = tuple[int, int]  # compartment and key of a resource
START: At = (-(2**63), -(2**63))


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


def looked_at(
    connection: Connection, stretch: Stretch, after: At, count: int
) -> tuple[list[At], At | None]:
    """Those of the next `count` rows of the leaf that belong to the stretch, and where the look
    ended; None at the end of the leaf.

    The rows are counted, not what belongs: few may, and a statement must not search for long.
    """
    older = "true" if stretch.below is None else f"fmt < {stretch.below:d}"
    rows = connection.execute(
        f"select comp, key, type = any(%s) and {older} from resource_{stretch.leaf}"
        " where (comp, key) > (%s, %s) order by comp, key limit %s",
        (_numbers(stretch), *after, count),
    ).fetchall()
    until = (rows[-1][0], rows[-1][1]) if rows else None
    return [(comp, key) for comp, key, belongs in rows if belongs], until


def indexed_at(connection: Connection, stretch: Stretch, at: Sequence[At]) -> list[tuple[Any, ...]]:
    """The resources at the places that are still live there: rows of comp, key, tx, at, ver, type,
    enc and content."""
    comps, keys = [comp for comp, _ in at], [key for _, key in at]
    return connection.execute(
        "select r.comp, r.key, r.tx, r.at, r.ver, r.type, v.enc, v.content"
        f" from resource_{stretch.leaf} r join version_{stretch.leaf} v"
        " on v.comp = r.comp and v.key = r.key and v.ver = r.ver"
        " where r.type = any(%s) and r.comp = any(%s) and v.comp = any(%s) and r.key = any(%s)",
        (_numbers(stretch), comps, comps, keys),
    ).fetchall()


def _numbers(stretch: Stretch) -> list[int]:
    return [definitions().type_number[type_name] for type_name in stretch.types]
