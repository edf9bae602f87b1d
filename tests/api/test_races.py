"""Two at once: no duplicate, no lost update, no gap in a history.

https://hl7.org/fhir/R4/http.html#concurrency and #ccreate
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

from api.patients import CCCD, resident
from servers import Server

pytestmark = pytest.mark.smoke

PARALLEL = 50
SEEN = ("/moves", "/moves/_history/1", "/moves/_history", "?_id=moves")


def together(
    server: Server, deed: Callable[[httpx.AsyncClient, int], Awaitable[httpx.Response]]
) -> list[httpx.Response]:
    """The answers of 50 deeds that start at once, each with its number."""

    async def all_of_them() -> list[httpx.Response]:
        limits = httpx.Limits(max_connections=PARALLEL)
        async with httpx.AsyncClient(base_url=server.fhir, limits=limits, timeout=60) as client:
            return await asyncio.gather(*(deed(client, number) for number in range(PARALLEL)))

    return asyncio.run(all_of_them())


def test_conditional_creates_leave_one_patient(server: Server, client: httpx.Client) -> None:
    """By single requests and in Bundles, mixed; a plain create brings the number too."""
    for card in ("001174100001", "001174100002", "001174100003"):
        criteria = f"identifier={CCCD}|{card}"
        bundle = _bundle(
            {
                "resource": resident(card),
                "request": {"method": "POST", "url": "Patient", "ifNoneExist": criteria},
            }
        )

        async def push(http: httpx.AsyncClient, number: int) -> httpx.Response:
            if number % 2:
                return await http.post("/", json=bundle)  # noqa: B023
            headers = {"If-None-Exist": criteria}  # noqa: B023
            return await http.post("/Patient", json=resident(card), headers=headers)  # noqa: B023

        answers = together(server, push)
        assert {answer.status_code for answer in answers} <= {200, 201}
        assert client.get("/Patient", params={"identifier": card}).json()["total"] == 1


def test_one_update_wins_each_version(server: Server, client: httpx.Client) -> None:
    first = client.post("/Patient", json=resident()).json()
    address = f"/Patient/{first['id']}"

    async def update(http: httpx.AsyncClient, number: int) -> httpx.Response:
        body = {**first, "telecom": [{"system": "phone", "value": str(number)}]}
        return await http.put(address, json=body, headers={"If-Match": 'W/"1"'})

    counts = Counter(answer.status_code for answer in together(server, update))
    assert counts == {200: 1, 412: PARALLEL - 1}


def test_every_update_is_a_version_and_none_is_lost(server: Server, client: httpx.Client) -> None:
    """Updates of one new id, all at once: one creates, the others follow."""

    async def update(http: httpx.AsyncClient, number: int) -> httpx.Response:
        body = resident(id="raced", telecom=[{"system": "phone", "value": str(number)}])
        return await http.put("/Patient/raced", json=body)

    counts = Counter(answer.status_code for answer in together(server, update))
    assert counts == {201: 1, 200: PARALLEL - 1}
    history = client.get("/Patient/raced/_history?_count=1000").json()
    versions = [int(entry["response"]["etag"][3:-1]) for entry in history["entry"]]
    assert versions == list(range(PARALLEL, 0, -1))


def test_bundles_that_cross_each_other(server: Server, client: httpx.Client) -> None:
    """The same resources in opposite orders: nobody waits for ever, nothing is refused."""
    ids = [f"crossed-{number}" for number in range(5)]

    async def cross(http: httpx.AsyncClient, number: int) -> httpx.Response:
        order = ids if number % 2 else ids[::-1]
        phone = [{"system": "phone", "value": str(number)}]
        return await http.post("/", json=_bundle(*(_put(id_, telecom=phone) for id_ in order)))

    assert {answer.status_code for answer in together(server, cross)} == {200}
    for id_ in ids:
        assert client.get(f"/Patient/{id_}/_history?_count=1000").json()["total"] == PARALLEL


def test_updates_and_deletes_in_turn_leave_no_gap(server: Server, client: httpx.Client) -> None:
    client.put("/Patient/torn", json=resident(id="torn"))

    async def tear(http: httpx.AsyncClient, number: int) -> httpx.Response:
        if number % 2:
            return await http.delete("/Patient/torn")
        phone = [{"system": "phone", "value": str(number)}]
        return await http.put("/Patient/torn", json=resident(id="torn", telecom=phone))

    assert {answer.status_code for answer in together(server, tear)} <= {200, 201, 204}
    history = client.get("/Patient/torn/_history?_count=1000").json()
    versions = [int(entry["response"]["etag"][3:-1]) for entry in history["entry"]]
    assert versions == list(range(len(versions), 0, -1))
    is_deleted = history["entry"][0]["request"]["method"] == "DELETE"
    assert client.get("/Patient/torn").status_code == (410 if is_deleted else 200)


def test_conditional_updates_leave_one_patient(server: Server, client: httpx.Client) -> None:
    """One creates, the others update what it made, whatever the number of connections."""
    card = "001174100011"

    async def push(http: httpx.AsyncClient, number: int) -> httpx.Response:
        sent = resident(card, telecom=[{"system": "phone", "value": str(number)}])
        return await http.put("/Patient", params={"identifier": f"{CCCD}|{card}"}, json=sent)

    counts = Counter(answer.status_code for answer in together(server, push))
    assert counts[201] == 1
    assert counts.keys() <= {200, 201, 409}
    found = client.get("/Patient", params={"identifier": card}).json()
    assert found["total"] == 1
    newest = int(found["entry"][0]["resource"]["meta"]["versionId"])
    assert newest == counts[200] + counts[201]


def test_no_patch_is_lost(server: Server, client: httpx.Client) -> None:
    """Each adds a telephone: those that are acknowledged are all there."""
    card = "001174100012"
    first = client.post("/Patient", json=resident(card, telecom=[_phone("first")])).json()

    async def push(http: httpx.AsyncClient, number: int) -> httpx.Response:
        patch = [{"op": "add", "path": "/telecom/-", "value": _phone(number)}]
        kind = {"Content-Type": "application/json-patch+json"}
        if number % 2:
            return await http.patch(f"/Patient/{first['id']}", json=patch, headers=kind)
        criteria = {"identifier": f"{CCCD}|{card}"}
        return await http.patch("/Patient", params=criteria, json=patch, headers=kind)

    counts = Counter(answer.status_code for answer in together(server, push))
    assert counts.keys() <= {200, 409}
    telecom = client.get(f"/Patient/{first['id']}").json()["telecom"]
    assert len({one["value"] for one in telecom}) == len(telecom) == counts[200] + 1


def test_all_that_is_conditional_at_once(server: Server, client: httpx.Client) -> None:
    """Create, update, patch and delete of the same criteria: never two, and no other refusal."""
    card = "001174100013"
    about = {"identifier": f"{CCCD}|{card}"}

    async def push(http: httpx.AsyncClient, number: int) -> httpx.Response:
        match number % 4:
            case 0:
                unless = {"If-None-Exist": f"identifier={CCCD}|{card}"}
                return await http.post("/Patient", json=resident(card), headers=unless)
            case 1:
                sent = resident(card, telecom=[_phone(number)])
                return await http.put("/Patient", params=about, json=sent)
            case 2:
                sent = {"telecom": [_phone(f"patched {number}")]}
                return await http.patch("/Patient", params=about, json=sent)
            case _:
                return await http.delete("/Patient", params=about)

    answers = together(server, push)
    # A patch may find nothing to patch.
    assert {answer.status_code for answer in answers} <= {200, 201, 204, 404, 409, 410, 412}
    assert client.get("/Patient", params=about).json()["total"] <= 1
    for id_ in {a.json()["id"] for a in answers if a.status_code in (200, 201)}:
        history = client.get(f"/Patient/{id_}/_history?_count=1000").json()
        versions = [int(entry["response"]["etag"][3:-1]) for entry in history["entry"]]
        assert versions == list(range(len(versions), 0, -1))


def _phone(value: object) -> dict[str, str]:
    return {"system": "phone", "value": str(value)}


def _put(id_: str, **more: Any) -> dict[str, Any]:
    request = {"method": "PUT", "url": f"Patient/{id_}"}
    return {"resource": resident(id=id_, **more), "request": request}


def _bundle(*entries: dict[str, Any]) -> dict[str, Any]:
    return {"resourceType": "Bundle", "type": "transaction", "entry": list(entries)}


def test_what_moves_to_another_patient_is_always_there(
    server: Server, client: httpx.Client
) -> None:
    """Its rows lie with its patient: a reader between directory and record must not miss it."""
    for id_ in ("owner-a", "owner-b"):
        client.put(f"/Patient/{id_}", json=resident(id=id_))

    async def deed(http: httpx.AsyncClient, number: int) -> httpx.Response:
        if number % 5 == 0:
            owner = "owner-a" if number % 2 else "owner-b"
            return await http.put("/Observation/moves", json=_weight(owner))
        return await http.get(f"/Observation{SEEN[number % len(SEEN)]}")

    client.put("/Observation/moves", json=_weight("owner-a"))
    for _ in range(6):
        answers = together(server, deed)
        assert {answer.status_code for answer in answers} == {200}
        bundles = [a.json() for a in answers if '"Bundle"' in a.text]
        assert all(bundle.get("entry") for bundle in bundles)


def _weight(owner: str) -> dict[str, Any]:
    code = {"text": "weight"}
    subject = {"reference": f"Patient/{owner}"}
    head = {"resourceType": "Observation", "id": "moves", "status": "final"}
    return {**head, "code": code, "subject": subject}
