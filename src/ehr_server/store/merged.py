"""Which Patients are records of one person, and the compartments that are that person's.

A person is a list of compartments: one until a merge. The table (`store.tables`) is a forest: a
record points to the one that it was merged into, and each to the root, which is the record that
survives. It is small, and has no row for who was never merged.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from ehr_server.hashing import person_comp
from ehr_server.store import directives
from ehr_server.store.connect import Connection


@dataclass(frozen=True, slots=True)
class Record:
    """One record of a person: `Patient/<id>`, its compartment, the Patient that it was merged
    into (None for the one that survives), the compartment of that one, and the Provenance of the
    merge."""

    comp: int
    id: str
    target: str | None
    person: int
    provenance: str | None


def persons(connection: Connection, comps: Collection[int]) -> dict[int, int]:
    """For each compartment of a Patient the one of the record that survives: itself, where it was
    not merged. Two that have the same are records of one person."""
    found = {comp: comp for comp in comps}
    if found:
        statement = "select comp, person from merged where comp = any(%s::bigint[])"
        found |= dict(connection.execute(statement, (sorted(found),)).fetchall())
    return found


def records(connection: Connection, comps: Collection[int]) -> list[Record]:
    """All records of the persons whose compartments these are; nothing of who was never merged.

    Two plain statements and not one with a join: nearly always the first says that there is
    nothing, and it costs a third of the other.
    """
    if not comps:
        return []
    found = "select person from merged where comp = any(%s::bigint[])"
    people = {person for (person,) in connection.execute(found, (sorted(comps),)).fetchall()}
    if not people:
        return []
    rows = connection.execute(
        "select comp, id, target, person, provenance from merged where person = any(%s::bigint[])",
        (sorted(people),),
    )
    return [Record(*row) for row in rows]


def survivors(connection: Connection) -> dict[int, int]:
    """By the compartment of each record that was merged that of the one that survives: of a record
    of a million, some 10,000."""
    rows = connection.execute("select comp, person from merged where comp <> person")
    return dict(rows.fetchall())


def targets(connection: Connection, comps: Collection[int]) -> dict[int, str]:
    """By the compartment of a record that was merged, the id of the one it was merged into."""
    if not comps:
        return {}
    statement = (
        "select comp, target from merged where comp = any(%s::bigint[]) and target is not null"
    )
    return dict(connection.execute(statement, (sorted(comps),)).fetchall())


def with_below(group: Sequence[Record], source: str) -> set[str]:
    """The id of a record of the person, and of all that were merged into it."""
    below = {source}
    for _ in group:  # a level at a time
        below |= {one.id for one in group if one.target in below}
    return below


def lock(connection: Connection) -> None:
    """No other merge is made or taken back until the commit."""
    connection.execute("lock table merged in share row exclusive mode")


def join(connection: Connection, source: str, target: str, provenance: str) -> None:
    """Put the record, and all that were merged into it, under the target. Both are roots."""
    here, there = person_comp(source), person_comp(target)
    connection.execute(
        "insert into merged (comp, id, person) values (%(there)s, %(target)s, %(there)s)"
        " on conflict do nothing",
        {"there": there, "target": target},
    )
    connection.execute(
        "insert into merged (comp, id, person) values (%(here)s, %(source)s, %(here)s)"
        " on conflict do nothing",
        {"here": here, "source": source},
    )
    connection.execute("update merged set person = %s where person = %s", (there, here))
    connection.execute(
        "update merged set target = %s, provenance = %s where comp = %s and id = %s",
        (target, provenance, here, source),
    )
    directives.spread(connection, [one.comp for one in records(connection, [here])])


def part(connection: Connection, source: str) -> None:
    """Make the record a root again, with all that were merged into it. Those that stand alone then
    go: they are as if never merged."""
    here = person_comp(source)
    group = records(connection, [here])
    below = with_below(group, source)
    connection.execute(
        "update merged set person = %s where comp = any(%s::bigint[])",
        (here, sorted(one.comp for one in group if one.id in below)),
    )
    connection.execute(
        "update merged set target = null, provenance = null where comp = %s and id = %s",
        (here, source),
    )
    forget_single(connection, [one.comp for one in group])
    directives.part(connection, [one.comp for one in group])


def forget_single(connection: Connection, comps: Collection[int]) -> None:
    """Remove those of the records that were merged into none and that none was merged into."""
    connection.execute(
        "delete from merged m where comp = any(%s::bigint[]) and target is null"
        " and not exists (select from merged s where s.person = m.person and s.target = m.id)",
        (sorted(comps),),
    )
