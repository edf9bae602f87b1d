"""Which Patients are records of one person, and the compartments that are that person's.

A person is a list of compartments: one until a merge. The table (`store.tables`) is a forest: a
record points to the one that it was merged into, and each to the root, which is the record that
survives. It is small, and has no row for who was never merged.
"""

from collections.abc import Collection
from dataclasses import dataclass

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
    """All records of the persons whose compartments these are; nothing of who was never merged."""
    rows = connection.execute(
        "select distinct p.comp, p.id, p.target, p.person, p.provenance"
        " from merged m join merged p on p.person = m.person where m.comp = any(%s::bigint[])",
        (sorted(comps),),
    )
    return [Record(*row) for row in rows]
