"""Fifty facilities push one person at the same moment, each as it writes: one Patient comes of it.

https://hl7.org/fhir/R4/http.html#ccreate: "no matches" creates, "one match" does nothing. Two
values are one identifier when they are one number of one kind (`ehr_server.identity`), whatever
naming system and spaces a facility writes.
"""

import asyncio
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from api.patients import resident, weight
from ehr_server.identity.kinds import kind_named
from servers import Server

PARALLEL = 50
SYSTEMS = kind_named("cccd").systems
CARD_SYSTEMS = kind_named("bhyt").systems
(SOCIAL,) = kind_named("bhxh").systems
URN = "urn:uuid:61ebe359-bfdc-4613-8bf2-c5e300945f0a"


@dataclass(frozen=True)
class Written:
    """A number as one facility writes it."""

    system: str
    value: str

    @property
    def criteria(self) -> str:
        return f"identifier={quote(f'{self.system}|{self.value}', safe='')}"

    def person(self) -> dict[str, Any]:
        return resident(identifier=[{"system": self.system, "value": self.value}])


def as_is(number: str) -> list[Written]:
    return [Written(SYSTEMS[0], number)]


def by_every_alias(number: str) -> list[Written]:
    return [Written(system, number) for system in SYSTEMS]


def with_spaces(number: str) -> list[Written]:
    return [Written(SYSTEMS[0], value) for value in _spaced(number)]


def by_every_alias_with_spaces(number: str) -> list[Written]:
    return [Written(system, value) for system in SYSTEMS for value in _spaced(number)]


def as_insurance_card(number: str) -> list[Written]:
    """The card, the digits at its end, and the same digits as the number of the insurance."""
    tail = number[-10:]
    whole = [f"GD4{number}", f"gd4 {number[:2]} {tail}", f"GD-4-{number}"]
    cards = [Written(system, value) for system in CARD_SYSTEMS for value in (*whole, tail)]
    return [*cards, Written(SOCIAL, tail)]


def _spaced(number: str) -> tuple[str, ...]:
    thirds = [number[at : at + 3] for at in range(0, 12, 3)]
    return number, " ".join(thirds), ".".join(thirds), f" {number[:6]}-{number[6:]} "


WAYS = [as_is, by_every_alias, with_spaces, by_every_alias_with_spaces, as_insurance_card]


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_fifty_pushes_leave_one_patient(server: Server, client: httpx.Client, way: Any) -> None:
    for _ in range(10 if way is by_every_alias_with_spaces else 2):
        _push_and_count(server, client, way(_number()))


@pytest.mark.slow
@pytest.mark.parametrize(
    "way", [by_every_alias_with_spaces, as_insurance_card], ids=lambda way: way.__name__
)
def test_a_hundred_rounds(server: Server, client: httpx.Client, way: Any) -> None:
    for _ in range(100):
        _push_and_count(server, client, way(_number()))


def test_a_list_of_people_sent_again_finds_each(client: httpx.Client) -> None:
    """The second time by another naming system, with spaces, and from the last to the first."""
    numbers = [_number() for _ in range(60)]
    first = client.post("/", json=_list(as_is(one)[0] for one in numbers)).json()
    others = [Written(SYSTEMS[1], f" {one[:6]} {one[6:]}") for one in reversed(numbers)]
    again = client.post("/", json=_list(others)).json()
    assert _told(first) == [("201", place) for _, place in _told(first)]
    assert _told(again) == [("200", place) for _, place in reversed(_told(first))]


def test_whoever_has_a_number_of_a_kind_is_too_many(client: httpx.Client) -> None:
    """A naming system alone, in a list with others: https://hl7.org/fhir/R4/search.html#token"""
    known = [Written(SYSTEMS[0], _number()) for _ in range(2)]
    client.post("/", json=_list(known))
    answer = client.post("/", json=_list([*known, Written(SYSTEMS[1], "")]))
    assert answer.status_code == 412
    assert "Bundle.entry[2]" in answer.text


def _list(people: Iterable[Written]) -> dict[str, Any]:
    entries = [
        {
            "resource": one.person() if one.value else _nameless(),
            "request": {"method": "POST", "url": "Patient", "ifNoneExist": one.criteria},
        }
        for one in people
    ]
    return {"resourceType": "Bundle", "type": "transaction", "entry": entries}


def _nameless() -> dict[str, Any]:
    return {name: value for name, value in resident().items() if name != "identifier"}


def _told(answer: dict[str, Any]) -> list[tuple[str, str]]:
    """Of each entry the status, and where the Patient is."""
    responses = [entry["response"] for entry in answer["entry"]]
    return [(one["status"][:3], one["location"].split("/_history")[0]) for one in responses]


def _push_and_count(server: Server, client: httpx.Client, written: list[Written]) -> None:
    """Fifty at once: one more Patient, found by every way of writing, with all that was sent."""
    before = _patients(client)
    answers = asyncio.run(_all_at_once(server, written))
    assert {answer.status_code for answer in answers} <= {200, 201}, [a.text for a in answers]
    assert _patients(client) == before + 1
    assert len({_patient_of(answer) for answer in answers}) == 1
    (id_,) = {_patient_of(answer) for answer in answers}
    for one in written:
        form = {"identifier": f"{one.system}|{one.value}"}
        found = client.post("/Patient/_search", data=form).json()
        assert [entry["resource"]["id"] for entry in found["entry"]] == [id_]
    results = client.get("/Observation", params={"patient": id_, "_summary": "count"}).json()
    assert results["total"] == sum(answer.json()["resourceType"] == "Bundle" for answer in answers)


async def _all_at_once(server: Server, written: list[Written]) -> list[httpx.Response]:
    """Single creates and Bundles by turns, each way of writing among both."""
    limits = httpx.Limits(max_connections=PARALLEL)
    async with httpx.AsyncClient(base_url=server.fhir, limits=limits, timeout=60) as http:
        return await asyncio.gather(
            *(_push(http, number, written) for number in range(PARALLEL))
        )  # fmt: skip


async def _push(http: httpx.AsyncClient, number: int, written: list[Written]) -> httpx.Response:
    one = written[number // 2 % len(written)]
    if number % 2:
        return await http.post("/", json=_bundle(one))
    headers = {"If-None-Exist": one.criteria, "Prefer": "return=representation"}
    return await http.post("/Patient", json=one.person(), headers=headers)


def _bundle(one: Written) -> dict[str, Any]:
    create = {"method": "POST", "url": "Patient", "ifNoneExist": one.criteria}
    result = {
        **weight(URN),
        "valueQuantity": {
            "value": 52,
            "unit": "kg",
            "system": "http://unitsofmeasure.org",
            "code": "kg",
        },
    }
    entries = [
        {"fullUrl": URN, "resource": one.person(), "request": create},
        {"resource": result, "request": {"method": "POST", "url": "Observation"}},
    ]
    return {"resourceType": "Bundle", "type": "transaction", "entry": entries}


def _patient_of(answer: httpx.Response) -> str:
    """The id of the person that the answer of a push tells."""
    told = answer.json()
    if told["resourceType"] == "Bundle":
        location: str = told["entry"][0]["response"]["location"]
        return location.split("/Patient/")[-1].removeprefix("Patient/").split("/")[0]
    id_: str = told["id"]
    return id_


def _patients(client: httpx.Client) -> int:
    total: int = client.get("/Patient", params={"_summary": "count"}).json()["total"]
    return total


def _number() -> str:
    """The number of an identity card of a woman born in 1974, such as nobody has yet."""
    return f"001174{uuid.uuid4().int % 10**6:06}"
