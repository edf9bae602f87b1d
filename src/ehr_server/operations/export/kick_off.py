"""The kick-off of an export. https://hl7.org/fhir/uv/bulkdata/export.html#bulk-data-kick-off-request

Who is exported is settled here, as of the moment of the export: the members of a Group, and the
Patients that are named, are kept with the job as a list.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from ehr_server import clock
from ehr_server.access import cohort as resolved
from ehr_server.access.include import Reader
from ehr_server.access.veiled import leaving, veil_of
from ehr_server.call import Answer
from ehr_server.errors import Invalid, NotAllowed
from ehr_server.fhir import json
from ehr_server.fhir.outcome import issues_of, operation_outcome
from ehr_server.hashing import person_comp
from ehr_server.operations.export.parameters import Level, Wish, wish_of
from ehr_server.operations.given import stored
from ehr_server.redact import id_without_number, without_numbers
from ehr_server.store import cohort, export, queue

if TYPE_CHECKING:
    from array import array
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from ehr_server.call import Call
    from ehr_server.issue import Issue
    from ehr_server.store.connect import Connection

_NAMED_MAX = 10  # Patients that a refusal names


def export_system(call: Call) -> Answer:
    """Everything."""
    return _kick_off(call, "system")


def export_patients(call: Call) -> Answer:
    """What is in the compartment of any patient, and the patients."""
    return _kick_off(call, "patients")


def export_group(call: Call) -> Answer:
    """The same of the members of a Group, as of now.

    Raises `NotFound`, and `Unprocessable` for a Group whose members cannot be told.
    """
    return _kick_off(call, "group")


def export_patient(call: Call) -> Answer:
    """The same of one patient, with all records that were merged: an operation of this server, not
    of the standard. Raises `NotFound`, `Gone`."""
    return _kick_off(call, "patient")


def _kick_off(call: Call, level: Level) -> Answer:
    if call.request.method == "HEAD":
        raise NotAllowed(
            "HEAD must not start an export; GET does.",
            vi="HEAD không được bắt đầu xuất dữ liệu; hãy dùng GET.",
            headers={"Allow": "GET, POST"},
        )
    if call.request.preference("respond-async") is None:
        raise Invalid(
            "$export runs in the background: send the header Prefer: respond-async.",
            vi="$export chạy nền: hãy gửi tiêu đề Prefer: respond-async.",
        )
    is_separate = call.request.preference("separate-export-status") is not None
    wish = wish_of(call, level)
    if level == "patient":
        stored(call, "Patient")
    at, id_ = clock.now(), clock.new_id()
    veil = veil_of(call.settings, call.caller, (wish.policy, wish.restricted), at)
    veiled_id = None if veil is None else leaving(call.store, veil).id
    with call.store.transaction() as opened:
        asked = _Asked(call, opened.connection, level, wish)
        persons, ignored = _persons(asked, at)
        ask = export.Ask(
            opened.tx,
            wish.types,
            of_patients=level != "system" or wish.is_by_person,
            until=wish.until,
            cohort="" if persons is None else id_,
            is_by_person=wish.is_by_person,
            filters=wish.filters,
            elements=wish.elements,
            provenance=wish.provenance,
            veil=veil,
        )
        request = {
            "ask": export.begin(call.store, opened.connection, ask, at, wish.since).as_json(),
            "form": wish.form,
            "is_paged": wish.is_paged,
            "is_separate": is_separate,
            "at": clock.instant(at),
            "url": _url(call, veiled_id),
            **call.caller.as_asker(),
            "outcomes": [
                json.write(operation_outcome([issue], call.language)).decode()
                for issue in (*wish.ignored, *(map(_nameless, ignored) if veil else ignored))
            ],
        }
        queue.put(opened.connection, queue.Job(id_, export.KIND, queue.QUEUED, request, {}, 0, at))
        if persons is not None:
            cohort.put(opened.connection, id_, persons)
    headers = {"Content-Location": f"{call.base_url}/$export-status/{id_}"}
    if is_separate:
        headers["Preference-Applied"] = "respond-async, separate-export-status"
    return Answer(202, headers=headers)


@dataclass(frozen=True, slots=True)
class _Asked:
    """What is asked for, of whom; in the transaction that numbers the export."""

    call: Call
    connection: Connection
    level: Level
    wish: Wish

    @property
    def reader(self) -> Reader:
        rules = replace(self.call.means.rules, base=self.call.base_url)
        return Reader(self.call.store, self.connection, self.call.caller, rules)


def _persons(asked: _Asked, at: datetime) -> tuple[array[int] | None, list[Issue]]:
    """The compartments of those who are exported, in order, None for all; and what was left out of
    the request."""
    everyone: array[int] | None = None
    if asked.level == "group":
        everyone = resolved.members(asked.reader, asked.call.parts["id"], at)
    elif asked.level == "patient":
        everyone = resolved.everyone_of(asked.reader, [asked.call.parts["id"]])
    wanted = asked.wish.patients
    if wanted is None:
        return everyone, []
    outside = set(resolved.not_there(asked.reader, wanted))
    if everyone is not None:
        outside |= {id_ for id_ in wanted if not _is_in(person_comp(id_), everyone)}
    ignored = []
    if outside:
        refusal = _not_among([id_ for id_ in wanted if id_ in outside], asked.level)
        if asked.call.request.preference("handling") != "lenient":
            raise refusal
        ignored = [replace(one, severity="warning") for one in issues_of(refusal)]
    return resolved.everyone_of(
        asked.reader, [id_ for id_ in wanted if id_ not in outside]
    ), ignored


def _is_in(comp: int, comps: array[int]) -> bool:
    at = bisect_left(comps, comp)
    return at < len(comps) and comps[at] == comp


def _not_among(ids: Sequence[str], level: Level) -> Invalid:
    named = ", ".join(f"Patient/{id_without_number(id_)}" for id_ in ids[:_NAMED_MAX])
    more = f" and {len(ids) - _NAMED_MAX} more" if len(ids) > _NAMED_MAX else ""
    if level == "patients":
        text, vi = "not on this server", "không có trên máy chủ này"
    else:
        text, vi = "not among those who are exported here", "không thuộc nhóm được xuất ở đây"
    return Invalid(
        f"patient: {named}{more}: {text}.",
        vi=f"patient: {named}{more}: {vi}.",
        expression=("patient",),
    )


def _nameless(issue: Issue) -> Issue:
    """What is told with an export whose persons are unknown: not whom the request named."""
    return replace(
        issue,
        text="patient: some of those named are not exported here.",
        vi="patient: một số người được nêu không được xuất ở đây.",
    )


_TELLING = ("patient", "_typeFilter")  # parameters that may name somebody


def _url(call: Call, veiled_id: Callable[[str, str], str] | None) -> str:
    """The address as it was asked for, but for numbers of persons in a search; of an export whose
    persons are unknown without whatever may name one."""
    path, query = list(call.request.path), list(call.request.query)
    if veiled_id is not None:
        if "id" in call.parts:
            path[-2] = veiled_id(path[-3], path[-2])
        query = [pair for pair in query if pair[0] not in _TELLING]
    address = "/".join((call.base_url, *path))
    query = [
        (name, without_numbers(value) if name == "_typeFilter" else value) for name, value in query
    ]
    return f"{address}?{urlencode(query)}" if query else address
