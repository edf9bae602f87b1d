"""Rows that refer to a resource, and the locks that keep a target where it is while one looks.

Who adds a reference holds the lock of its target shared, who deletes the target holds it alone,
both until the commit. There are 512 locks, by hash: so the largest Bundle needs no more, and two
targets that share one make a delete wait, no more. They are taken in one statement and in order,
after those of `store.connect`, so that nobody waits in a circle. They live in the two-number space
of advisory locks, apart from those.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ehr_server.hashing import own_comp
from ehr_server.store.connect import Connection, piped

_SPACE = 2  # the first of the two numbers
_LOCKS = 512
_AT_ONCE = 200  # hashes


@dataclass(frozen=True, slots=True)
class Candidate:
    """A live row that holds one of the hashes asked for."""

    comp: int
    key: int
    ver: int
    type: int


def hold(
    connection: Connection, kept: Iterable[tuple[str, str]], gone: Iterable[tuple[str, str]]
) -> None:
    """Hold what is referred to as it is, and what is deleted for oneself, until the commit."""
    alone = {own_comp(*identity) // 2 % _LOCKS for identity in gone}
    shared = {own_comp(*identity) // 2 % _LOCKS for identity in kept} - alone
    if alone or shared:
        connection.execute(
            "select count(case when is_alone then pg_advisory_xact_lock(%s, at)::text"
            " else pg_advisory_xact_lock_shared(%s, at)::text end)"
            " from (select at, at = any(%s::int[]) as is_alone from unnest(%s::int[]) at"
            "  order by at) sorted",
            (_SPACE, _SPACE, sorted(alone), sorted(alone | shared)),
        )


def candidates(
    connection: Connection,
    hashes: Mapping[str, Sequence[int]],
    most: int,
    *,
    beside: int | None = None,
) -> list[Candidate]:
    """The rows that hold one of the hashes of their leaf, so many of a leaf at most; none of the
    compartment `beside`."""
    with piped(connection):
        asked = [
            connection.execute(
                _statement(leaf_name, len(wanted)),
                {"wanted": list(wanted), "beside": beside, "most": most},
            )
            for leaf_name, wanted in sorted(hashes.items())
        ]
        return [Candidate(*row) for one in asked for row in one.fetchall()]


def _statement(leaf_name: str, count: int) -> str:
    """Few hashes are looked up at once. Many are looked up one by one: against an array of
    thousands each row costs as much as the array is long (23 s for 8,500 targets)."""
    table, columns = f"resource_{leaf_name}", "r.comp, r.key, r.ver, r.type"
    elsewhere = "r.comp is distinct from %(beside)s::bigint"
    if count <= _AT_ONCE:
        return (
            f"select {columns} from {table} r where r.refs && %(wanted)s::bigint[]"
            f" and {elsewhere} order by r.comp, r.key limit %(most)s"
        )
    return (
        f"select distinct {columns} from unnest(%(wanted)s::bigint[]) h cross join lateral"
        f" (select {columns} from {table} r where r.refs @> array[h] and {elsewhere}"
        f"  limit %(most)s) r order by r.comp, r.key limit %(most)s"
    )
