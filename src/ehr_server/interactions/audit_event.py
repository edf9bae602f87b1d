"""read and search of AuditEvents: those of the access log, and those that others have stored.

https://hl7.org/fhir/R4/auditevent.html#search. What the server has logged is no stored resource:
AuditEvents are made of the rows of the log when they are read (`access.audit_event`). A search by
the parameters below finds both kinds, the newest first; one by any other parameter finds those
alone that were stored, as any search does. `purpose` is of R5, and of the log alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from ehr_server import sealing
from ehr_server.access.audit_event import action, audit_event, key_of
from ehr_server.access.find import find
from ehr_server.access.looks import (
    Look,
    Sought,
    comps_of,
    comps_told,
    deeds_known,
    look,
    looks,
    patients_of,
)
from ehr_server.call import Answer
from ehr_server.errors import Invalid, NotFound
from ehr_server.fhir import bundle, json
from ehr_server.fhir.dates import span
from ehr_server.interactions.read import read as read_stored
from ehr_server.interactions.search import search as search_stored
from ehr_server.redact import holds_number, id_without_number
from ehr_server.search.parse import PRESENTATION, parse
from ehr_server.search.private import shown
from ehr_server.store.access_log import first_id

if TYPE_CHECKING:
    from ehr_server.call import Call
    from ehr_server.search.query import Query
    from ehr_server.store.connect import Connection

TYPE = "AuditEvent"

_RESULT = ("_count", "_page", "_sort", "_total")
_LOGGED = ("patient", "date", "action", "outcome", "agent", "subtype", "entity", "purpose")
_STATUSES = {"0": (0, 399), "4": (400, 499), "8": (500, 999)}
_PREFIXES = ("eq", "ge", "gt", "sa", "le", "lt", "eb")
_PURPOSE = b"access log "

Pair = tuple[str, str]


def read(call: Call) -> Answer:
    """200 with the AuditEvent, of the log or stored; else as `interactions.read`."""
    key = key_of(call.parts["id"])
    if key is None:
        return read_stored(call)
    with call.store.connection() as connection:
        found, told_of = look(connection, key), comps_told(call.caller)
        if found is None or (told_of is not None and found.comp not in told_of):
            told = f"{TYPE}/{id_without_number(call.parts['id'])}"
            raise NotFound(f"There is no {told}.", vi=f"Không có {told}.")
        call.caller.trail.saw([found.comp])
        return Answer(200, _contents(call, connection, [found])[0])


def search(call: Call) -> Answer:
    """200 with a searchset, the newest first; every fault of the parameters is named."""
    asked = [pair for pair in call.request.query if pair[0] not in PRESENTATION]
    order = dict(asked).get("_sort", "-date")
    if order != "-date" or any(name not in (*_LOGGED, *_RESULT) for name, _ in asked):
        return search_stored(call)
    _check(asked)
    criteria = [pair for pair in asked if pair[0] not in _RESULT]
    count = _count(call, asked)
    key = call.store.secret(sealing.KEY)
    with call.store.connection() as connection:
        place = _place(asked, criteria, key)
        page = _page(call, connection, _Asked(criteria, count), place)
    links = _links(call, [pair for pair in asked if pair[0] != "_page"], criteria, page)
    entries = (bundle.search_entry(call.base_url, one, "match") for one in page.contents)
    return Answer(200, bundle.bundle("searchset", entries, links))


def sought(call: Call, connection: Connection, criteria: Sequence[Pair]) -> Sought:
    """Which rows of the log the parameters mean; several of one name must all hold, as far as
    the log knows both. Raises `Invalid`."""
    found = Sought(comps=comps_told(call.caller))
    for name, value in criteria:
        values = value.split(",")
        if name == "patient":
            ids = [_patient(one) for one in values]
            comps = comps_of(connection, ids)
            found = replace(found, comps=comps if found.comps is None else comps & {*found.comps})
        elif name == "date":
            found = _dated(call, found, value)
        elif name == "action":
            deeds = [one for one in deeds_known(connection) if action(one) in values]
            found = replace(found, deeds=_both(found.deeds, deeds))
        elif name == "subtype":
            codes = [one.rpartition("|")[2] for one in values]
            found = replace(found, deeds=_both(found.deeds, codes))
        elif name == "outcome":
            codes = [one.rpartition("|")[2] for one in values]
            found = replace(found, statuses=[_STATUSES.get(one, (-1, -1)) for one in codes])
        elif name == "agent":
            found = replace(found, agents=_both(found.agents, values))
        elif name == "purpose":
            found = replace(found, purposes=[one.rpartition("|")[2] for one in values])
        elif name == "entity":
            found = replace(found, whats=_both(found.whats, values))
    return found


@dataclass(frozen=True, slots=True)
class _Asked:
    criteria: Sequence[Pair]
    count: int


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a page begins: after a row of the log, and after so many of a page of what is stored
    (None: that is at its end)."""

    after: tuple[int, int] | None = None
    stored: str | None = ""
    skip: int = 0


@dataclass(slots=True)
class _Page:
    contents: list[bytes] = field(default_factory=list)
    next: _Place | None = None


def _page(call: Call, connection: Connection, asked: _Asked, place: _Place) -> _Page:
    """What comes next of both, by time."""
    most = asked.count + 1
    rows = looks(connection, sought(call, connection, asked.criteria), most, place.after)
    call.caller.trail.saw([one.comp for one in rows[: asked.count]])
    contents = _contents(call, connection, rows)
    ours = [(one.at.timestamp(), one, made) for one, made in zip(rows, contents, strict=True)]
    others = _stored(call, connection, asked, place)
    page, at, now = _Page(), 0, place
    other = next(others, None)
    while len(page.contents) < asked.count and (at < len(ours) or other is not None):
        if other is None or (at < len(ours) and ours[at][0] >= other[0]):
            one = ours[at][1]
            page.contents.append(ours[at][2])
            now, at = replace(now, after=(one.id, one.comp)), at + 1
        else:
            page.contents.append(other[1])
            now = replace(now, stored=other[2].stored, skip=other[2].skip)
            other = next(others, None)
    if at < len(ours) or other is not None:
        page.next = now
    return page


def _stored(
    call: Call, connection: Connection, asked: _Asked, place: _Place
) -> Iterator[tuple[float, bytes, _Place]]:
    """AuditEvents of others that are meant, the newest first: when, the content, and where what
    comes after it begins."""
    token, skip = place.stored, place.skip
    if any(name == "purpose" for name, _ in asked.criteria):
        return
    while token is not None:
        query = _query(call, asked, token)
        key = call.store.secret(sealing.KEY)
        found = find(call.store, connection, query, call.caller, key)
        for number, match in enumerate(found.matches[skip:], skip + 1):
            is_last = number == len(found.matches)
            after = _Place(None, found.next, 0) if is_last else _Place(None, token, number)
            recorded = json.read_stored(match.content)["recorded"]
            begin, _ = span(recorded, call.means.rules.zone)
            yield begin.timestamp(), match.content, after
        token, skip = found.next, 0


def _query(call: Call, asked: _Asked, token: str) -> Query:
    pairs = [*asked.criteria, ("_sort", "-date"), ("_count", str(asked.count))]
    rules = replace(call.means.rules, base=call.base_url)
    return parse(TYPE, [*pairs, ("_page", token)] if token else pairs, rules)


def _contents(call: Call, connection: Connection, found: Sequence[Look]) -> list[bytes]:
    patients = patients_of(call.store, connection, [one.comp for one in found])
    return [json.write(audit_event(one, patients.get(one.comp), call.base_url)) for one in found]


def _links(
    call: Call, asked: Sequence[Pair], criteria: Sequence[Pair], page: _Page
) -> list[bundle.Link]:
    """self, and next where there is more; what no address may show is sealed in both."""
    here = f"{call.base_url}/{TYPE}"
    key = call.store.secret(sealing.KEY)
    private = {pair for pair in asked if holds_number(pair[1])} | {*call.request.private}
    told = shown(asked, private, call.request.path, key)
    links = [("self", bundle.url(here, told))]
    if page.next is not None:
        place = [page.next.after, page.next.stored, page.next.skip]
        token = sealing.seal(json.write(place), _purpose(criteria), key)
        links.append(("next", bundle.url(here, [*told, ("_page", token)])))
    return links


def _place(asked: Sequence[Pair], criteria: Sequence[Pair], key: bytes) -> _Place:
    token = dict(asked).get("_page")
    if token is None:
        return _Place()
    try:
        after, stored, skip = json.read_own(sealing.unseal(token, _purpose(criteria), key))
    except ValueError:
        raise Invalid(
            "_page is not a page of this search; begin again without it.",
            vi="_page không phải trang của lần tìm này; xin tìm lại từ đầu.",
        ) from None
    return _Place(None if after is None else (after[0], after[1]), stored, skip)


def _purpose(criteria: Sequence[Pair]) -> bytes:
    return _PURPOSE + json.write(criteria)


def _check(asked: Sequence[Pair]) -> None:
    for name, value in asked:
        if not value:
            raise Invalid(f"{name} is empty.", vi=f"{name} để trống.", expression=(name,))


def _count(call: Call, asked: Sequence[Pair]) -> int:
    text = dict(asked).get("_count", str(call.settings.count_default))
    if not text.isascii() or not text.isdigit() or not int(text[:9]) > 0:
        raise Invalid(
            "_count must be a whole number above 0.",
            vi="_count phải là số nguyên lớn hơn 0.",
            expression=("_count",),
        )
    return min(int(text[:9]), call.settings.count_max)


def _patient(text: str) -> str:
    """`Patient/1`, an address of it, or the id alone."""
    return text.rpartition("/")[2]


def _dated(call: Call, found: Sought, value: str) -> Sought:
    prefix, text = (value[:2], value[2:]) if value[:2] in _PREFIXES else ("eq", value)
    try:
        lo, hi = (first_id(at) for at in span(text, call.means.rules.zone))
    except ValueError as error:
        raise Invalid(
            f"date {error}.",
            vi="date phải là ngày hoặc thời điểm, như 2026-05-31 hay ge2026-05-31T08:00:00+07:00.",
            expression=("date",),
        ) from None
    begins = {"eq": lo, "ge": lo, "gt": hi, "sa": hi}
    ends = {"eq": hi, "le": hi, "lt": lo, "eb": lo}
    if prefix in begins:
        found = replace(found, begin=max(begins[prefix], found.begin or 0))
    if prefix in ends:
        end = ends[prefix]
        found = replace(found, end=end if found.end is None else min(end, found.end))
    return found


def _both(before: Sequence[str] | None, now: Sequence[str]) -> Sequence[str]:
    return now if before is None else [one for one in now if one in before]
