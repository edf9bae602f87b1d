"""Which records may be of the same person: looked up by blocks and identifiers, then compared.

https://hl7.org/fhir/R4/patient-operation-match.html. Nobody is compared with everybody: the blocks
(`identity.blocks`) name places, so does the directory of identifiers, and what lies there is read
by an ordinary query, which access narrows. Several Patients are looked for together, by the same
number of statements.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING, Any

from ehr_server import clock
from ehr_server.access.directories import run
from ehr_server.access.find import Match, at_most
from ehr_server.errors import Invalid
from ehr_server.fhir import json
from ehr_server.hashing import hash64
from ehr_server.identity.blocks import sought
from ehr_server.identity.match import LEAST, Likeness, compared, has_number_of
from ehr_server.identity.merging import is_active
from ehr_server.identity.traits import Person, person
from ehr_server.identity.weights import Weights, weights
from ehr_server.search.escapes import escape
from ehr_server.search.parameters import STANDARD
from ehr_server.search.parse import parse
from ehr_server.search.query import At, Query
from ehr_server.search.sql import Sql
from ehr_server.store.connect import Connection, Store, asked, by_index, snapshot
from ehr_server.store.merged import persons
from ehr_server.store.weights import stored

if TYPE_CHECKING:
    from ehr_server.access.caller import Caller
    from ehr_server.search.rules import Rules

OF_A_KEY_MAX = 40  # records under one key that are looked at: the rest of a common name is not
PLACES_MAX = 200  # of one person

# One look into the index for each key, which stops at so many: a key that many share costs no
# more than another.
_UNDER_KEYS = (
    "select k.h, r.comp, r.key from unnest(%s::bigint[], %s::bigint[]) k(h, held)"
    " cross join lateral"
    " (select comp, key from resource_patient p where p.toks @> array[k.held]"
    f" limit {OF_A_KEY_MAX}) r"
)

_OF_COMPS = "select comp, key from resource_patient where comp = any(%s::bigint[])"


@dataclass(frozen=True, slots=True)
class Look:
    """What a look is made with. `today` is a FHIR date: numbers may be out of force."""

    store: Store
    caller: Caller
    rules: Rules
    today: str


@dataclass(frozen=True, slots=True)
class Record:
    """A Patient of the record, and what it is compared by."""

    id: str
    comp: int
    key: int
    content: bytes
    person: Person
    is_active: bool
    is_replaced: bool  # merged into another


@dataclass(frozen=True, slots=True)
class Sought:
    """Who is looked for: a Patient, and its traits."""

    patient: dict[str, Any]
    person: Person
    places: set[tuple[int, int]] = field(default_factory=set)


def today(rules: Rules) -> str:
    """The day it is where the record is kept, as a FHIR date."""
    return f"{clock.now().astimezone(rules.zone):%Y-%m-%d}"


def in_use(connection: Connection) -> Weights:
    """The weights of this site."""
    return weights(stored(connection))


def someone(patient: dict[str, Any], today: str) -> Sought:
    """Who a Patient is, to be looked for."""
    return Sought(patient, person(patient, today))


def alike(
    look: Look, connection: Connection, several: Sequence[Sought]
) -> list[list[tuple[Record, Likeness]]]:
    """For each of them the records that are possibly of the same person, best first. What access
    withholds is not among them; of what was merged the record that survives is, once."""
    table = in_use(connection)
    lists = candidates(look, connection, several)
    survivors = _survivors(look, connection, chain.from_iterable(lists))
    found = []
    for one, records in zip(several, lists, strict=True):
        best: dict[str, tuple[Record, Likeness]] = {}
        for record in records:
            likeness = compared(one.person, record.person, table)
            shown = survivors.get(record.comp, record)
            pair = shown, likeness
            if likeness.score >= LEAST["possible"] and not shown.is_replaced:
                best[shown.id] = min(best.get(shown.id, pair), pair, key=_best_first)
        found.append(sorted(best.values(), key=_best_first))
    return found


def candidates(look: Look, connection: Connection, several: Sequence[Sought]) -> list[list[Record]]:
    """For each of them the records that are worth comparing, those that were merged too."""
    with snapshot(connection), by_index(connection):
        _look_under_keys(connection, several)
        carriers = _carriers(look, connection, several)
        wanted = set(chain.from_iterable(one.places for one in several))
        read = {(match.comp, match.key): match for match in carriers}
        places = sorted(wanted - read.keys())
        for match in _at(look, connection, places):
            read[match.comp, match.key] = match
    records = {place: _record(match, look.today) for place, match in read.items()}
    held = [records[match.comp, match.key] for match in carriers]
    return [_of(one, records, held) for one in several]


def _of(
    one: Sought, records: dict[tuple[int, int], Record], held: Iterable[Record]
) -> list[Record]:
    own = {place: records[place] for place in sorted(one.places) if place in records}
    found = {record.id: record for record in own.values()}
    for record in held:
        if has_number_of(one.person, record.person):
            found[record.id] = record
    return list(found.values())


def _survivors(look: Look, connection: Connection, records: Iterable[Record]) -> dict[int, Record]:
    """For the compartments of those that were merged the record that survives."""
    merged = {record.comp for record in records if record.is_replaced}
    if not merged:
        return {}
    person = persons(connection, merged)
    rows = run(connection, Sql(_OF_COMPS, (sorted(set(person.values())),)), True)
    found = {
        match.comp: _record(match, look.today)
        for match in _at(look, connection, [(comp, key) for comp, key in rows])
    }
    return {comp: found[person[comp]] for comp in merged if person[comp] in found}


def _look_under_keys(connection: Connection, several: Sequence[Sought]) -> None:
    """Note for each the places that share a key with it, those of selective keys first."""
    keys = [_keys(one.person) for one in several]
    hashes = sorted(set(chain.from_iterable(keys)))
    if not hashes:
        return
    under: dict[int, list[tuple[int, int]]] = {}
    pairs = asked(connection, hashes)
    both = ([hash_ for hash_, _ in pairs], [held for _, held in pairs])
    for hash_, comp, key in run(connection, Sql(_UNDER_KEYS, both), True):
        under.setdefault(hash_, []).append((comp, key))
    for one, own in zip(several, keys, strict=True):
        for hash_ in own:
            if len(one.places) < PLACES_MAX:
                one.places.update(under.get(hash_, ()))


def _keys(one: Person) -> list[int]:
    """Those of the blocks, then the telephone numbers as the search has them."""
    return [*(hash_ for _, hash_ in sought(one)), *_phones(one.phones)]


def _phones(phones: Iterable[str]) -> list[int]:
    """Telephone numbers as they may have been sent: 0912..., 84912..., +84912...."""
    return [
        hash64(_TELECOM, f"{prefix}{phone[1:]}" if phone[0] == "0" else phone)
        for phone in sorted(phones)
        for prefix in ("0", "84", "+84")
    ]


_TELECOM = STANDARD.of("Patient").by_code["telecom"][0].parameter.name


def _carriers(look: Look, connection: Connection, several: Sequence[Sought]) -> list[Match]:
    """Who carries an identifier of theirs: all asked for together, or, where one of them leads to
    too many, each by itself."""
    values = list(dict.fromkeys(chain.from_iterable(_identifiers(one) for one in several)))
    found = _with_identifier(look, connection, values) if values else []
    if found is None:
        each = [_with_identifier(look, connection, [value]) for value in values]
        found = [match for matches in each if matches for match in matches]
    return list({match.key: match for match in found}.values())


def _identifiers(one: Sought) -> list[str]:
    """The identifiers as a search writes them."""
    given = one.patient.get("identifier")
    found = []
    for identifier in given[:_IDENTIFIERS_MAX] if isinstance(given, list) else ():
        system, value = identifier.get("system"), identifier.get("value")
        if isinstance(system, str) and isinstance(value, str) and value.strip():
            found.append(f"{escape(system)}|{escape(value)}")
    return found


_IDENTIFIERS_MAX = 8
_CARRIERS_MAX = 20  # of one identifier


def _with_identifier(
    look: Look, connection: Connection, values: Sequence[str]
) -> list[Match] | None:
    """Who carries one of them; None where they lead to too many."""
    try:
        query = parse("Patient", [("identifier", ",".join(values))], look.rules)
        most = _CARRIERS_MAX * len(values)
        return list(at_most(look.store, connection, query, look.caller, most))
    except Invalid:
        return None


def _at(look: Look, connection: Connection, places: Sequence[tuple[int, int]]) -> Sequence[Match]:
    if not places:
        return ()
    query = Query("Patient", (At(tuple(places)),))
    return at_most(look.store, connection, query, look.caller, len(places))


def _record(match: Match, today: str) -> Record:
    patient = json.read_stored(match.content)
    links = patient.get("link", ())
    return Record(
        patient["id"],
        match.comp,
        match.key,
        match.content,
        person(patient, today),
        is_active(patient),
        any(link.get("type") == "replaced-by" for link in links),
    )


def _best_first(pair: tuple[Record, Likeness]) -> tuple[float, float, str]:
    record, likeness = pair
    return -likeness.score, -likeness.bits, record.id
