"""$everything: all there is about a patient, or about an encounter.

https://hl7.org/fhir/R4/patient-operation-everything.html,
https://hl7.org/fhir/R4/encounter-operation-everything.html

First comes the Patient or Encounter itself, then what lies in its compartment, the newest first by
the number that a resource keeps for ever: so pages put together are the whole, each resource once,
whatever is written meanwhile. Last come, as includes, the resources outside that all of this refers
to ("linked practitioners, medications, locations, organizations etc."), and what those refer to in
turn. Nothing comes from the compartment of another patient, and nothing from another server.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from urllib.parse import quote

from ehr_server import sealing
from ehr_server.access.find import Found, Match, at_most, find_types
from ehr_server.access.include import Reader
from ehr_server.access.referred import is_of_a_person, named, referred
from ehr_server.access.seen import readable
from ehr_server.call import Answer, Call, Route
from ehr_server.definitions import definitions
from ehr_server.errors import Gone, Invalid, NotFound, NotSupported
from ehr_server.fhir import bundle, json
from ehr_server.fhir.bundle import identity
from ehr_server.fhir.dates import LATEST
from ehr_server.fhir.parameters import Given, Known
from ehr_server.fhir.references import parse
from ehr_server.operations.given import asked, moment
from ehr_server.redact import id_without_number, without_numbers
from ehr_server.search import compartment
from ehr_server.search.criteria import criterion
from ehr_server.search.page import Keyset, seal
from ehr_server.search.query import (
    At,
    Conjunction,
    Criterion,
    Disjunction,
    Missing,
    Negation,
    Query,
    SortKey,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ehr_server.search.rules import Rules
    from ehr_server.store.connect import Connection

WHOLE_MAX = 10_000  # resources of one Bundle where the client wants no pages
REFERRED_MAX = 10_000  # resources that come along with the last page

_KEY_MAX = 2**63 - 1
_OF_A_PAGE = ("_page", "_count")
_NOT_OF_CARE = ("birthdate",)  # main dates that tell of no care
_OF_PATIENT = "http://hl7.org/fhir/OperationDefinition/Patient-everything"
_OF_ENCOUNTER = "http://hl7.org/fhir/OperationDefinition/Encounter-everything"
_KNOWN = {
    "_since": Known("instant"),
    "_type": Known("code", is_list=True),
    "_count": Known("integer"),
    "_page": Known("string"),
}
_DATES = {"start": Known("dateTime"), "end": Known("dateTime")}


def everything_of_patient(call: Call) -> Answer:
    """200 with a searchset of a patient's record.

    `start` and `end` are dates of care: a resource without such a date stays. Raises `NotFound`,
    `Gone`; `Invalid` for a parameter that is not understood.
    """
    return _everything(call, "Patient", _KNOWN | _DATES)


def everything_of_encounter(call: Call) -> Answer:
    """200 with a searchset of what belongs to an encounter; refusals as above."""
    return _everything(call, "Encounter", _KNOWN)


def everything_of_all(call: Call) -> Answer:  # noqa: ARG001
    """501: the records of everyone are for `$export`, which writes files in the background."""
    raise NotSupported(
        "The records of all patients do not fit into one answer: ask for Patient/ID/$everything,"
        " or export them all by Patient/$export.",
        vi="Hồ sơ của mọi người bệnh không vừa một câu trả lời: hãy hỏi Patient/ID/$everything,"
        " hoặc xuất tất cả bằng Patient/$export.",
    )


@dataclass(frozen=True, slots=True)
class _Record:
    """What is asked about: the Patient or Encounter `kind`/`id` that lies at `place`; `patient` is
    the one in whose compartment all of it lies, None for an encounter of nobody. `focus` is the
    resource itself, unless it is too old to be wanted."""

    call: Call
    sent: Given
    kind: str
    id: str
    place: tuple[int, int]
    patient: str | None
    types: tuple[str, ...]
    focus: tuple[Match, ...]

    @property
    def rules(self) -> Rules:
        return replace(self.call.means.rules, base=self.call.base_url)

    @property
    def count(self) -> int:
        """The size of a page, the focus included."""
        wanted: int = self.sent.one("_count", WHOLE_MAX)
        return min(wanted, self.rules.count_max) if "_count" in self.sent else WHOLE_MAX

    @property
    def shown(self) -> tuple[Match, ...]:
        """The focus, where its type is wanted."""
        return self.focus if not self.types or self.kind in self.types else ()

    @property
    def is_first_page(self) -> bool:
        return "_page" not in self.sent


def _everything(call: Call, kind: str, known: dict[str, Known]) -> Answer:
    sent = asked(call, known)
    types = _types(sent)
    for name in ("_since", "start", "end"):
        moment(call, sent, name)
    with call.store.connection() as connection:
        record = _record(call, connection, kind, sent, types)
        found = _page(record, connection)
        along = (
            [] if found.next is not None or not record.count else _along(record, connection, found)
        )
    return Answer(200, _bundle(record, found, along))


def _types(sent: Given) -> tuple[str, ...]:
    types = tuple(name for text in sent.all("_type") for name in text.split(","))
    unknown = [name for name in types if name not in definitions().type_number]
    if unknown:
        told = without_numbers(unknown[0])[:64]
        raise Invalid(
            f"_type names {told or 'nothing'}, which is no resource type of FHIR R4.",
            vi=f"_type nêu {told or 'trống'}, không phải loại tài nguyên của FHIR R4.",
            expression=("_type",),
        )
    return types


def _record(
    call: Call, connection: Connection, kind: str, sent: Given, types: tuple[str, ...]
) -> _Record:
    id_ = call.parts["id"]
    at = readable(call.store, connection, call.caller, kind, id_)
    told = f"{kind}/{id_without_number(id_)}"
    if at is not None and not at.live:
        raise Gone(f"{told} was deleted.", vi=f"{told} đã bị xóa.")
    here = (At(((at.comp, at.key),)),) if at is not None else ()
    found = _first(call, connection, Query(kind, here)) if here else ()
    if at is None or not found:
        raise NotFound(f"There is no {told}.", vi=f"Không có {told}.")
    call.caller.trail.saw([at.comp])
    patient = id_ if kind == "Patient" else _subject(call, found[0])
    record = _Record(call, sent, kind, id_, (at.comp, at.key), patient, types, ())
    if "_since" in sent:
        found = _first(call, connection, Query(kind, (*here, *_since(record, kind))))
    return replace(record, focus=found)


def _first(call: Call, connection: Connection, query: Query) -> tuple[Match, ...]:
    return at_most(call.store, connection, query, call.caller, 1)


def _subject(call: Call, encounter: Match) -> str | None:
    """The Patient that the encounter is of."""
    subject = json.read_stored(encounter.content).get("subject", {})
    found = parse(subject.get("reference", ""), call.base_url)
    return found.id if found.kind == "local" and found.type == "Patient" else None


def _page(record: _Record, connection: Connection) -> Found:
    """What lies in the compartment; on the first page the focus takes the place of one."""
    count = record.count
    rest = count - len(record.shown) if count and record.is_first_page else count
    inside = compartment.members(record.kind)
    types = [name for name in inside if not record.types or name in record.types]
    if not types:
        return Found((), 0)
    store, caller = record.call.store, record.call.caller
    key = store.secret(sealing.KEY)
    queries = [_query(record, name, rest) for name in types]
    found = find_types(store, connection, queries, caller, key)
    if count and not rest and found.total:
        return replace(found, next=_start(queries, found.total, key))
    return found


def _query(record: _Record, type_name: str, count: int) -> Query:
    """What is wanted of one type in the compartment: by key where it lies in one patient's."""
    criteria = (*_since(record, type_name), *_dates(record, type_name))
    if type_name == record.kind:
        criteria = (*criteria, Negation(At((record.place,))))
    told = tuple(
        (name, str(value))
        for name in ("_since", "_type", "start", "end")
        for value in record.sent.all(name)
    )
    told = (("$everything", f"{record.kind}/{record.id}"), *told)
    page = record.sent.one("_page")
    query = Query(type_name, criteria, told, count=count, page=page, total="accurate")
    if record.kind != "Patient":
        query = compartment.narrowed(query, record.kind, record.id, record.rules)
    if record.patient is not None:
        return replace(query, compartment=(record.patient,))
    updated = record.rules.parameters.of(type_name).by_code["_lastUpdated"][0].parameter
    return replace(query, order=(SortKey(updated, True),))


def _since(record: _Record, type_name: str) -> tuple[Criterion, ...]:
    """What was stored since then, that instant included."""
    since = record.sent.one("_since")
    if since is None:
        return ()
    return (criterion(type_name, "_lastUpdated", f"ge{since}", record.rules),)


def _dates(record: _Record, type_name: str) -> tuple[Criterion, ...]:
    """The range "relates to care dates": what has no such date is not left out."""
    main_date = record.rules.parameters.of(type_name).main_date
    bounds = [
        f"{prefix}{record.sent.one(name)}"
        for name, prefix in (("start", "ge"), ("end", "le"))
        if name in record.sent
    ]
    if main_date is None or main_date.code in _NOT_OF_CARE or not bounds:
        return ()
    within = [criterion(type_name, main_date.code, bound, record.rules) for bound in bounds]
    sources = record.rules.parameters.of(type_name).by_code[main_date.code]
    return (Disjunction((Missing(sources, is_missing=True), Conjunction(tuple(within)))),)


def _start(queries: Sequence[Query], total: int, key: bytes) -> str:
    """The token of a page that begins before all there is in the compartment."""
    whole = replace(queries[0], type=",".join(query.type for query in queries), page=None)
    first = LATEST if whole.order else _KEY_MAX
    return seal(Keyset((first,), _KEY_MAX, total, is_many=True), whole, key)


def _along(record: _Record, connection: Connection, last: Found) -> list[Match]:
    """What lies outside and is referred to by what was found, on all its pages."""
    inside = {*compartment.members(record.kind)}
    if record.types and inside.issuperset(record.types):
        return []
    call = record.call
    reader = Reader(call.store, connection, call.caller, record.rules)
    wanted, known = dict.fromkeys(named(reader, record.focus)), {(record.kind, record.id)}
    for matches in _pages(record, connection, last):
        wanted.update(dict.fromkeys(named(reader, matches)))
        known.update(identity(match.content) for match in matches)
    home = record.place[0]
    is_encounter = record.kind == "Encounter"

    def may_come(number: int, comp: int) -> bool:
        """Of the same patient's record, what the encounter itself is about."""
        return not is_of_a_person(comp) or (is_encounter and not number and comp == home)

    found = referred(reader, list(wanted), known, may_come, REFERRED_MAX)
    return [
        match for match in found if not record.types or identity(match.content)[0] in record.types
    ]


def _pages(record: _Record, connection: Connection, last: Found) -> Iterator[Sequence[Match]]:
    """All there is in the compartment, of whatever type: the last page alone, if it is all."""
    if record.is_first_page and not record.types:
        yield last.matches
        return
    kept = {name: v for name, v in record.sent.values.items() if name not in _OF_A_PAGE}
    whole = replace(record, sent=Given(kept), types=())
    while True:
        found = _page(whole, connection)
        yield found.matches
        if found.next is None:
            return
        whole = replace(whole, sent=Given({**kept, "_page": [found.next]}))


def _bundle(record: _Record, found: Found, along: Sequence[Match]) -> bytes:
    call = record.call
    here = "/".join((call.base_url, *(quote(part, safe="$") for part in call.request.path)))
    pairs = [(name, str(v)) for name in record.sent.values for v in record.sent.all(name)]
    links = [("self", bundle.url(here, pairs))]
    if found.next is not None:
        rest = [pair for pair in pairs if pair[0] != "_page"]
        links.append(("next", bundle.url(here, [*rest, ("_page", found.next)])))
    is_focus_here = record.is_first_page and record.count
    matches = [*(record.shown if is_focus_here else ()), *found.matches]
    entries = [
        *(bundle.search_entry(call.base_url, match.content, "match") for match in matches),
        *(bundle.search_entry(call.base_url, match.content, "include") for match in along),
    ]
    total = None if found.total is None else found.total + len(record.shown)
    return bundle.bundle("searchset", entries, links, total)


ROUTES = (
    Route(_OF_PATIENT, "GET", "Patient/$everything", everything_of_all),
    Route(_OF_PATIENT, "POST", "Patient/$everything", everything_of_all),
    Route(_OF_PATIENT, "GET", "Patient/{id}/$everything", everything_of_patient),
    Route(_OF_PATIENT, "POST", "Patient/{id}/$everything", everything_of_patient),
    Route(_OF_ENCOUNTER, "GET", "Encounter/{id}/$everything", everything_of_encounter),
    Route(_OF_ENCOUNTER, "POST", "Encounter/{id}/$everything", everything_of_encounter),
)
