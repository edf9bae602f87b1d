"""From a request to rows of the access log: who asked, what for, and of whom something was told.

One row for each person of whom a request tells or writes something; one that names nobody for a
request that tells of nobody: a refusal, a search without hits. What no address may show stands in
no row either: numbers of persons are struck out of addresses, of searches and of reasons.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from ehr_server.access.trail import Event, Trail
from ehr_server.fhir import json
from ehr_server.redact import LEFT_OUT, id_without_number, without_numbers
from ehr_server.search.private import SEALED, struck
from ehr_server.store.access_log import Row, Words, clean, insert, nobody, rows_of
from ehr_server.telemetry import request_id

if TYPE_CHECKING:
    from ehr_server.access.caller import Caller
    from ehr_server.store.connect import Store

Pair = tuple[str, str]

WHAT_MAX = 1_000  # characters of an address; what is longer is cut
UNKNOWN = "unknown"  # the deed of a request that led to none
_LINKS = ("_page", SEALED)  # tokens, which say nothing that can be read
_NUMBER = re.compile("[0-9]")


def event(words: Words, caller: Caller, deed: str, path: Sequence[str]) -> Event:
    """What is about to be asked for, of this request."""
    here = address(path, (), caller.trail, is_told=True)
    request = without_numbers(request_id.get())
    return Event(words.number(_who(caller)), words.number(f"deed {deed}"), request, here)


def address(path: Sequence[str], query: Sequence[Pair], trail: Trail, *, is_told: bool) -> str:
    """The address below the base, as the log says it: without numbers of persons. Of a search that
    was not understood (not `is_told`) nobody knows which values are such: it shows names alone."""
    here = "/".join([id_without_number(one) if _NUMBER.search(one) else one for one in path])
    shown = []
    for name, value in query:
        if name in _LINKS:
            continue
        if not is_told:
            told = LEFT_OUT
        elif (name, value) in trail.private:
            told = without_numbers(struck(value, value))
        else:
            told = without_numbers(value) if _NUMBER.search(value) else value
        shown.append(f"{without_numbers(name)}={told.replace('&', '%26')}")
    whole = f"{here}?{'&'.join(shown)}" if shown else here
    return clean(whole if len(whole) <= WHAT_MAX else whole[:WHAT_MAX] + LEFT_OUT)


def rows(store: Store, trail: Trail, what: str, status: int) -> list[Row]:
    """The rows that a request leaves, once it is known what it is answered; none where a change
    has left all there is to say."""
    asked = trail.event
    if asked is None:
        return []
    persons = trail.persons if status < 400 else {}
    if trail.logged:
        persons = {comp: n for comp, n in persons.items() if comp not in trail.logged}
        if not persons:
            return []
    id_ = store.log_id()
    about = asked.who, asked.deed, status, asked.request, what
    if not persons:
        count = trail.count if status < 400 else 0
        persons = {nobody(id_): count}
    return rows_of(id_, about, persons)


def written(store: Store, asked: Event, comps: Iterable[int], what: str) -> list[Row]:
    """The rows that a change leaves, as part of its transaction, for the compartments that it
    wrote to or told of."""
    counts = Counter(comps)
    persons = {comp: n for comp, n in counts.items() if comp & 1}
    id_ = store.log_id()
    about = asked.who, asked.deed, 200, asked.request, what
    return rows_of(id_, about, persons or {nobody(id_): counts.total()})


def log_bulk(store: Store, caller: Caller, deed: str, what: str, number: int = 0) -> None:
    """Write the row of a deed about very many, such as an export that ends with a number of
    resources. It names no person."""
    asked, id_ = event(Words(store), caller, deed, ()), store.log_id()
    row = Row(nobody(id_), id_, asked.who, asked.deed, 200, number, asked.request, clean(what))
    with store.connection() as connection:
        insert(connection, [row], store.tx_offset)


def _who(caller: Caller) -> str:
    """The caller in JSON, without what is not known. The same word whenever it is the same."""
    told = {
        "name": id_without_number(caller.name or ""),
        "purpose": caller.purpose,
        "reason": without_numbers(caller.reason),
    }
    one = caller.principal
    if one is not None:
        told |= {
            "client": id_without_number(one.client),
            "subject": id_without_number(one.subject),
            "issuer": one.issuer,
            "facility": one.facility or "",
            "user": without_numbers(one.user or ""),
            "patient": id_without_number(one.patient or ""),
            "policy": one.policy,
        }
    known = {name: clean(value) for name, value in told.items() if value}
    return f"who {json.write(known).decode()}"
