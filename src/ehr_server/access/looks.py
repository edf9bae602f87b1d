"""What the access log says: who looked at whose record, the newest first.

A page is read by a keyset on the id, which is the moment: of one person in the order of the primary
key, of all by an index. Whoever may ask is told by `access` as of all else; here only the log is
read.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ehr_server.fhir import bundle, json
from ehr_server.hashing import person_comp
from ehr_server.search.sql import Sql, all_of
from ehr_server.store.access_log import moment
from ehr_server.store.merged import records

if TYPE_CHECKING:
    from datetime import datetime

    from ehr_server.access.caller import Caller
    from ehr_server.store.connect import Connection, Store

DEED, WHO = "deed ", "who "
_COLUMNS = (
    "a.comp, a.id, w.word, d.word, a.status, a.count, a.request, a.what"
    " from access_log a join access_word w on w.id = a.who join access_word d on d.id = a.deed"
)
# By which names a caller is found.
_AGENT = (
    "array[j ->> 'name', j ->> 'client', j ->> 'subject', j ->> 'user',"
    " 'Organization/' || (j ->> 'facility'), j ->> 'facility']"
)
_WHO = "(select id, substr(word, 5)::jsonb as j from access_word where word like 'who %%') who"
_WHO_OF_ROW = "(select substr(w.word, 5)::jsonb as j) who"


@dataclass(frozen=True, slots=True)
class Look:
    """A row of the log, in words: `who` has what is known of the caller (`access.log`)."""

    comp: int
    id: int
    who: Mapping[str, str]
    deed: str
    status: int
    resources: int
    request: str
    what: str

    @property
    def at(self) -> datetime:
        """When it was."""
        return moment(self.id)

    @property
    def is_of_a_person(self) -> bool:
        """Whether it tells of a person."""
        return bool(self.comp & 1)


Key = tuple[int, int]  # id and comp of a row


@dataclass(frozen=True, slots=True)
class Sought:
    """Which looks are meant; None for any. `comps`: of the persons whose compartments these are.
    `begin` and `end`: ids, the first that is meant and the first that is not. `statuses`: spans of
    HTTP's. `agents`: names of callers, `Type/id` of users and facilities. `purposes`: codes, with
    `is_other` all but these. `deeds`, `whats`: as the log has them."""

    comps: Collection[int] | None = None
    begin: int | None = None
    end: int | None = None
    statuses: Sequence[tuple[int, int]] | None = None
    deeds: Sequence[str] | None = None
    agents: Sequence[str] | None = None
    purposes: Sequence[str] | None = None
    is_other: bool = False
    whats: Sequence[str] | None = None


def looks(
    connection: Connection, sought: Sought, most: int, after: Key | None = None
) -> list[Look]:
    """The newest of the looks that are meant, so many at most; those after (older than) a row."""
    where = all_of([*_conditions(sought), *_after(after)])
    statement = f"select {_COLUMNS} where {where.text} order by a.id desc, a.comp desc limit %s"
    return [_look(row) for row in connection.execute(statement, (*where.params, most))]


def look(connection: Connection, key: Key) -> Look | None:
    """One row, if it is there."""
    id_, comp = key
    rows = connection.execute(f"select {_COLUMNS} where a.comp = %s and a.id = %s", (comp, id_))
    row = rows.fetchone()
    return None if row is None else _look(row)


def comps_told(caller: Caller) -> frozenset[int] | None:
    """The compartments of those of whom the caller may read who has looked: None: of everybody. Of
    whom a search narrows it is nobody: the log is no index that it could be asked of."""
    rights = caller.narrowing
    if rights is None:
        return None
    reach = rights.reach("AuditEvent", "r")
    if reach is None or reach.is_searched:
        return frozenset()
    return None if reach.patients is None else frozenset(map(person_comp, reach.patients))


def deeds_known(connection: Connection) -> list[str]:
    """All that was ever done, by the names of interactions and operations."""
    rows = connection.execute("select word from access_word where word like 'deed %'")
    return [word.removeprefix(DEED) for (word,) in rows]


def comps_of(connection: Connection, patients: Iterable[str]) -> set[int]:
    """The compartments of the persons whom ids of Patients name, by all their records."""
    comps = {person_comp(id_) for id_ in patients}
    return comps | {one.comp for one in records(connection, comps)}


def patients_of(store: Store, connection: Connection, comps: Iterable[int]) -> dict[int, str]:
    """By compartment the id of the Patient; none of who was purged."""
    asked = sorted({comp for comp in comps if comp & 1})
    if not asked:
        return {}
    rows = connection.execute(
        "select distinct on (comp) comp, enc, content from version_patient"
        " where comp = any(%s::bigint[]) order by comp, ver desc",
        (asked,),
    ).fetchall()
    return {
        comp: bundle.identity(store.contents.unpack(enc, content))[1] for comp, enc, content in rows
    }


def _conditions(sought: Sought) -> list[Sql]:
    found = [Sql("true")]
    if sought.comps is not None:
        found.append(Sql("a.comp = any(%s::bigint[])", (sorted(sought.comps),)))
    if sought.begin is not None:
        found.append(Sql("a.id >= %s", (sought.begin,)))
    if sought.end is not None:
        found.append(Sql("a.id < %s", (sought.end,)))
    if sought.statuses is not None:
        spans = " or ".join("a.status between %s and %s" for _ in sought.statuses)
        found.append(Sql(f"({spans})", tuple(n for span in sought.statuses for n in span)))
    if sought.deeds is not None:
        words = [DEED + deed for deed in sought.deeds]
        text = "a.deed = any(array(select id from access_word where word = any(%s::text[])))"
        found.append(Sql(text, (words,)))
    if sought.agents is not None:
        found.append(_of_callers(sought, f"{_AGENT} && %s::text[]", sought.agents))
    if sought.purposes is not None:
        one = "coalesce(j ->> 'purpose', '') = any(%s::text[])"
        condition = f"not {one}" if sought.is_other else one
        found.append(_of_callers(sought, condition, sought.purposes))
    if sought.whats is not None:
        found.append(Sql("a.what = any(%s::text[])", (list(sought.whats),)))
    return found


def _of_callers(sought: Sought, condition: str, values: Sequence[str]) -> Sql:
    """Of some persons each row is looked at: they are few, and callers as many as ever came. Of
    all, those who are meant are looked for first."""
    if sought.comps is not None:
        return Sql(f"(select {condition} from {_WHO_OF_ROW})", (list(values),))
    return Sql(f"a.who = any(array(select id from {_WHO} where {condition}))", (list(values),))


def _after(after: Key | None) -> list[Sql]:
    return [] if after is None else [Sql("(a.id, a.comp) < (%s, %s)", after)]


def _look(row: Sequence[Any]) -> Look:
    comp, id_, who, deed, status, resources, request, what = row
    known: Mapping[str, str] = json.read_own(who.removeprefix(WHO).encode())
    return Look(comp, id_, known, deed.removeprefix(DEED), status, resources, request, what)
