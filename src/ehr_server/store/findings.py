"""Findings about what was stored all the same: written with it, counted by who sent it.

A finding is of a kind (what is wrong, where, by which profile), and there are few kinds: a row of
`finding` holds their numbers, all that one transaction leaves in one compartment. Nothing is
counted while writing: a row of counts for each sender would make its requests wait for each other.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ehr_server.definitions import definitions
from ehr_server.hashing import hash64

if TYPE_CHECKING:
    from datetime import datetime

    from ehr_server.issue import Issue
    from ehr_server.store.connect import Connection, Store

OF_ONE_MAX = 100  # findings about one version that are kept
_PATH_MAX = 400  # characters
_INDEX = re.compile(r"\[\d+\]")


@dataclass(frozen=True, slots=True)
class Kind:
    """What findings that count as the same have in common. `path` is without indices, from the
    resource on; `profile` "" stands for the standard itself."""

    type: str
    severity: str
    rule: str
    profile: str
    path: str

    @property
    def number(self) -> int:
        """The number that stands for the kind, the same in every database."""
        return hash64("finding", self.type, self.severity, self.rule, self.profile, self.path)


@dataclass(frozen=True, slots=True)
class Sought:
    """Which findings: written from `since` on and before `until`, of one sender, one type."""

    since: datetime | None = None
    until: datetime | None = None
    sender: str | None = None
    type: str | None = None


@dataclass(frozen=True, slots=True)
class Count:
    """How often a sender caused findings of a kind."""

    sender: str
    kind: Kind
    count: int


def finding_kind(type_name: str, where: str, issue: Issue) -> Kind:
    """The kind of a finding about a resource that stood at `where` in what was sent."""
    place = issue.expression[0] if issue.expression else type_name
    path = type_name + place.removeprefix(where) if where and place.startswith(where) else place
    rule = issue.rule or issue.code
    return Kind(type_name, issue.severity, rule, issue.profile, _INDEX.sub("", path)[:_PATH_MAX])


def learn(store: Store, connection: Connection, kinds: Mapping[int, Kind]) -> None:
    """Write down what the numbers stand for, where this process has not yet seen it written."""
    unknown = sorted(kinds.keys() - store.kinds_known)
    if not unknown:
        return
    rows = connection.execute("select kind from finding_kind where kind = any(%s)", (unknown,))
    there = {row[0] for row in rows.fetchall()}
    store.kinds_known |= there  # the others may be rolled back yet
    for number in unknown:  # sorted, so that two transactions cannot wait for each other
        if number not in there:
            kind = kinds[number]
            connection.execute(
                "insert into finding_kind (kind, type, severity, rule, profile, path)"
                " values (%s, %s, %s, %s, %s, %s) on conflict do nothing",
                (number, definitions().type_number[kind.type], kind.severity, kind.rule,
                 kind.profile, kind.path),
            )  # fmt: skip


def counts(connection: Connection, sought: Sought, most: int) -> list[Count]:
    """The kinds of findings by sender, the most frequent first, `most` at most."""
    conditions, values = _where(sought)
    number = None if sought.type is None else definitions().type_number[sought.type]
    rows = connection.execute(
        "select s.name, k.type, k.severity, k.rule, k.profile, k.path, c.count from"
        " (select f.sender, u.kind, count(*) as count from finding f, unnest(f.kinds) u (kind)"
        f" where {conditions} group by f.sender, u.kind) c"
        " join finding_kind k on k.kind = c.kind join sender s on s.id = c.sender"
        " where %s::smallint is null or k.type = %s"
        " order by c.count desc, s.name, k.type, k.path, k.rule, k.profile, k.severity limit %s",
        (*values, number, number, most),
    ).fetchall()
    names = definitions().type_name
    return [Count(row[0], Kind(names[row[1]], *row[2:6]), row[6]) for row in rows]


def _where(sought: Sought) -> tuple[str, Sequence[object]]:
    conditions: list[str] = []
    values: list[object] = []
    if sought.sender is not None:
        conditions.append("f.sender = (select id from sender where name = %s)")
        values.append(sought.sender)
    for compared, instant in ((">=", sought.since), ("<", sought.until)):
        if instant is not None:
            conditions.append(f"f.at {compared} %s")
            values.append(instant)
    return " and ".join(conditions) or "true", values
