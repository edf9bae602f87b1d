"""$access-log: who has looked at my record? https://hl7.org/fhir/R4/operations.html

Callers with names are made here, without tokens: the log is written from what a caller is.
"""

from collections.abc import Iterator
from contextlib import ExitStack, closing
from typing import Any
from urllib.parse import quote

import pytest

from api.patients import resident
from ehr_server.access.caller import LOOPBACK, Caller
from ehr_server.access.principal import Principal
from ehr_server.access.purpose import PURPOSE, REASON
from ehr_server.app import open_dispatch
from ehr_server.call import Request
from ehr_server.fhir import json
from ehr_server.rest.dispatch import Dispatch
from ehr_server.settings import Settings
from ehr_server.store.connect import Store

HERE = "http://here/fhir"


@pytest.fixture
def dispatch(database: str) -> Iterator[Dispatch]:
    with closing(Store(database, pool_size=4)) as store, ExitStack() as opened:
        yield open_dispatch(store, Settings(database_url=database), opened)


def ask(
    dispatch: Dispatch, address: str, caller: Caller = LOOPBACK, **headers: str
) -> dict[str, Any]:
    """The resource that is answered to a GET."""
    path, _, query = address.removeprefix(f"{HERE}/").partition("?")
    pairs = tuple((one.partition("=")[0], one.partition("=")[2]) for one in query.split("&") if one)
    said = {PURPOSE: caller.purpose, REASON: quote(caller.reason)}
    request = Request("GET", tuple(path.split("/")), pairs, {**said, **headers})
    answer = dispatch.answer(request, caller.anew(), HERE)
    assert answer.status == 200, answer.body
    assert isinstance(answer.body, bytes)
    return dict(json.read(answer.body))


def put(dispatch: Dispatch, resource: dict[str, Any]) -> None:
    path = (resource["resourceType"], resource["id"])
    request = Request("PUT", path, body=json.write(resource))
    assert dispatch.answer(request, LOOPBACK.anew(), HERE).status == 201


def record(dispatch: Dispatch) -> tuple[Caller, Caller]:
    """A person, a hospital, a nurse; and two callers: she at work, and she in an emergency."""
    put(dispatch, {**resident(), "id": "p"})
    put(
        dispatch,
        {"resourceType": "Organization", "id": "bv", "name": "Bệnh viện Bạch Mai", "active": True},
    )
    nurse = {"resourceType": "Practitioner", "id": "n", "name": [{"text": "Lê Thị Hoa"}]}
    put(dispatch, nurse)
    may: dict[str, Any] = {
        "policy": "facility",
        "scopes": ("user/*.rs",),
        "purposes": ("TREAT", "BTG"),
    }
    principal = Principal("his-bm", "hoa", user="Practitioner/n", facility="bv", **may)
    return (
        Caller("his-bm", principal, purpose="TREAT"),
        Caller("his-bm", principal, purpose="BTG", reason="Bệnh nhân hôn mê"),
    )


def looks(answer: dict[str, Any]) -> list[dict[str, Any]]:
    """The parts of each look by name."""
    return [
        {
            part["name"]: next(value for name, value in part.items() if name != "name")
            for part in one["part"]
        }
        for one in answer.get("parameter", [])
        if one["name"] == "look"
    ]


def test_a_person_sees_who_where_when_and_why(dispatch: Dispatch) -> None:
    at_work, _ = record(dispatch)
    ask(dispatch, "Patient/p", at_work)
    (one, *_) = looks(ask(dispatch, "Patient/p/$access-log"))
    assert one["who"] == "Lê Thị Hoa (his-bm)"
    assert one["facility"] == "Bệnh viện Bạch Mai"
    assert (one["purpose"], one["deed"], one["what"]) == ("TREAT", "Read", "Patient/p")
    assert (one["resources"], one["emergency"]) == (1, False)
    assert "reason" not in one


def test_it_speaks_vietnamese_and_english(dispatch: Dispatch) -> None:
    at_work, _ = record(dispatch)
    ask(dispatch, "Patient/p", at_work)
    (one, *_) = looks(ask(dispatch, "Patient/p/$access-log", **{"accept-language": "vi"}))
    assert one["deed"] == "Xem"
    assert one["text"].endswith(
        "Lê Thị Hoa (his-bm), Bệnh viện Bạch Mai — Xem: 1 Patient — mục đích: khám chữa bệnh"
    )
    english = looks(ask(dispatch, "Patient/p/$access-log"))[1]  # the newest is the list before
    assert english["text"].endswith("Read: 1 Patient — purpose: treatment")


def test_looks_in_an_emergency_stand_first_and_are_marked(dispatch: Dispatch) -> None:
    at_work, in_need = record(dispatch)
    ask(dispatch, "Patient/p", in_need)
    for _ in range(3):
        ask(dispatch, "Patient/p", at_work)
    first, *others = looks(ask(dispatch, "Patient/p/$access-log"))
    assert (first["emergency"], first["purpose"]) == (True, "BTG")
    assert first["reason"] == "Bệnh nhân hôn mê"
    assert not any(one["emergency"] for one in others)
    whens = [one["when"] for one in others]
    assert whens == sorted(whens, reverse=True)
    assert len(others) == 4  # with the write


def test_those_who_review_find_emergencies_of_a_facility(dispatch: Dispatch) -> None:
    at_work, in_need = record(dispatch)
    ask(dispatch, "Patient/p", at_work)
    ask(dispatch, "Patient/p", in_need)
    for asked in ("purpose=BTG", "purpose=BTG&agent=Organization/bv&date=ge2020", "purpose=BTG,X"):
        (entry,) = ask(dispatch, f"AuditEvent?{asked}")["entry"]
        event = entry["resource"]
        assert event["purposeOfEvent"][0]["coding"][0]["code"] == "BTG"
        assert event["purposeOfEvent"][0]["text"] == "Bệnh nhân hôn mê"
    assert "entry" not in ask(dispatch, "AuditEvent?purpose=BTG&agent=Organization/other")
    assert "entry" not in ask(dispatch, "AuditEvent?purpose=BTG&date=lt2020")
    users = [one["who"].get("reference") for one in event["agent"]]
    assert users[2:] == ["Practitioner/n", "Organization/bv"]
    assert [one["requestor"] for one in event["agent"]] == [False, False, True, False]


def test_such_an_event_is_valid(dispatch: Dispatch) -> None:
    _, in_need = record(dispatch)
    ask(dispatch, "Patient/p", in_need)
    event = ask(dispatch, "AuditEvent?purpose=BTG")["entry"][0]["resource"]
    found = dispatch.rulebook().check(event, "AuditEvent")
    assert [one for one in found if one.severity in ("error", "warning")] == []


def test_a_list_has_pages(dispatch: Dispatch) -> None:
    at_work, in_need = record(dispatch)
    ask(dispatch, "Patient/p", in_need)
    for _ in range(5):
        ask(dispatch, "Patient/p", at_work)
    found, address = list[str](), "Patient/p/$access-log?_count=2&end=2099"
    while address:
        answer = ask(dispatch, address)
        found += [one["event"] for one in looks(answer)]
        more = [one["valueUri"] for one in answer["parameter"] if one["name"] == "next"]
        address = more[0] if more else ""
    assert len(found) == len(set(found)) == 7


def test_a_period_is_a_period(dispatch: Dispatch) -> None:
    at_work, _ = record(dispatch)
    ask(dispatch, "Patient/p", at_work)
    assert looks(ask(dispatch, "Patient/p/$access-log?end=2020-01-01")) == []
    assert looks(ask(dispatch, "Patient/p/$access-log?start=2099-01-01")) == []
    assert len(looks(ask(dispatch, "Patient/p/$access-log?start=2020"))) >= 2


@pytest.mark.parametrize(
    ("address", "status"),
    [
        ("Patient/nobody/$access-log", 404),
        ("Patient/p/$access-log?nonsense=1", 400),
        ("Patient/p/$access-log?start=yesterday", 400),
        ("Patient/p/$access-log?_page=abc", 400),
    ],
)
def test_what_cannot_be_is_refused(dispatch: Dispatch, address: str, status: int) -> None:
    record(dispatch)
    path, _, query = address.partition("?")
    pairs = ((query.partition("=")[0], query.partition("=")[2]),) if query else ()
    request = Request("GET", tuple(path.split("/")), pairs)
    answer = dispatch.answer(request, LOOPBACK.anew(), HERE)
    assert answer.status == status
