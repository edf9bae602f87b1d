"""Pushes under one key that come at the same moment, over a bad link, or cut off by a crash."""

import asyncio
import uuid
from collections import Counter
from typing import Any

import httpx
import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from api.patients import resident, weight
from bad_link import FATES, bad_link
from ehr_server.fhir import json
from servers import Server, serving

PARALLEL = 16


def together(server: Server, sent: bytes, key: str, path: str = "/") -> list[httpx.Response]:
    """The answers of 16 pushes of the same under one key, all at once."""

    async def all_of_them() -> list[httpx.Response]:
        limits = httpx.Limits(max_connections=PARALLEL)
        headers = {"Content-Type": "application/fhir+json", "Idempotency-Key": key}
        async with httpx.AsyncClient(base_url=server.fhir, limits=limits, timeout=60) as client:
            return await asyncio.gather(
                *(client.post(path, content=sent, headers=headers) for _ in range(PARALLEL))
            )

    return asyncio.run(all_of_them())


def bundle(kind: str, count: int = 3) -> tuple[bytes, str]:
    """A person and results, and the number that the person is found by."""
    number, id_ = f"001{uuid.uuid4().int % 10**9:09}", str(uuid.uuid4())
    person = {
        "resource": resident(number, id=id_),
        "request": {"method": "PUT", "url": f"Patient/{id_}"},
    }
    results = [
        {
            "resource": weight(f"Patient/{id_}"),
            "request": {"method": "POST", "url": "Observation"},
        }
        for _ in range(count)
    ]
    return json.write({"resourceType": "Bundle", "type": kind, "entry": [person, *results]}), id_


def results_of(client: httpx.Client, id_: str) -> int:
    answer = client.get("/Observation", params={"patient": id_, "_count": 0, "_total": "accurate"})
    total: int = answer.json()["total"]
    return total


def state(client: httpx.Client, key: str) -> str | None:
    """What $receipt says: stored, in-progress, or None for nothing."""
    answer = client.get("/$receipt", params={"key": key})
    if answer.status_code == 404:
        return None
    given: list[dict[str, Any]] = answer.json()["parameter"]
    return next(one["valueCode"] for one in given if one["name"] == "state")


@pytest.mark.parametrize("kind", ["transaction", "batch"])
def test_bundles_that_come_at_one_moment_are_stored_once(
    server: Server, client: httpx.Client, kind: str
) -> None:
    sent, id_ = bundle(kind)
    answers = together(server, sent, str(uuid.uuid4()))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.content for answer in answers}) == 1
    assert results_of(client, id_) == 3
    if kind == "transaction":
        firsts = [one for one in answers if "idempotency-replayed" not in one.headers]
        assert len(firsts) == 1


def test_creates_that_come_at_one_moment_are_stored_once(server: Server) -> None:
    answers = together(server, json.write(resident()), str(uuid.uuid4()), "/Patient")
    assert {answer.status_code for answer in answers} == {201}
    assert len({(answer.content, answer.headers["location"]) for answer in answers}) == 1


def test_of_two_contents_that_come_at_one_moment_one_is_stored(server: Server) -> None:
    key = str(uuid.uuid4())

    async def both() -> list[httpx.Response]:
        headers = {"Content-Type": "application/fhir+json", "Idempotency-Key": key}
        async with httpx.AsyncClient(base_url=server.fhir, timeout=60) as client:
            bodies = [json.write(resident(gender=one)) for one in ("male", "female")]
            return await asyncio.gather(
                *(client.post("/Patient", content=bodies[n % 2], headers=headers) for n in range(8))
            )

    answers = asyncio.run(both())
    assert Counter(answer.status_code for answer in answers) == {201: 4, 409: 4}
    stored = [answer.json()["id"] for answer in answers if answer.status_code == 201]
    assert len(set(stored)) == 1


def test_more_locks_than_are_taken_one_by_one(server: Server, client: httpx.Client) -> None:
    """Then a transaction takes one lock on everything, and still they are stored once."""
    id_ = str(uuid.uuid4())
    entries = [
        {
            "resource": resident(f"{number:012}", id=f"{id_[:20]}-{number}"),
            "request": {"method": "PUT", "url": f"Patient/{id_[:20]}-{number}"},
        }
        for number in range(300)
    ]
    sent = json.write({"resourceType": "Bundle", "type": "transaction", "entry": entries})
    key = str(uuid.uuid4())
    answers = together(server, sent, key)
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.content for answer in answers}) == 1
    versions = client.get(f"/Patient/{id_[:20]}-0/_history").json()["total"]
    assert versions == 1


def test_a_batch_that_a_crash_cut_off_is_taken_up_where_it_stopped(database: str) -> None:
    key = str(uuid.uuid4())
    sent, id_ = bundle("batch", 300)
    headers = {"Content-Type": "application/fhir+json", "Idempotency-Key": key}
    with serving(database) as server:

        async def cut() -> None:
            async with httpx.AsyncClient(base_url=server.fhir, timeout=60) as client:
                push = asyncio.create_task(client.post("/", content=sent, headers=headers))
                while _stored(database) < 20:
                    await asyncio.sleep(0.005)
                server.process.kill()
                with pytest.raises(httpx.HTTPError):
                    await push

        asyncio.run(cut())
        server.process.wait()
    before = _stored(database)
    assert 20 <= before < 301
    with (
        serving(database) as again,
        httpx.Client(base_url=again.fhir, timeout=60) as client,
    ):
        assert state(client, key) == "in-progress"
        told = client.get("/$receipt", params={"key": key}).json()["parameter"][-1]["resource"]
        assert len(told["entry"]) == before
        answer = client.post("/", content=sent, headers=headers)
        assert {one["response"]["status"] for one in answer.json()["entry"]} == {"201 Created"}
        assert answer.json()["entry"][0]["response"] == told["entry"][0]["response"]
        assert results_of(client, id_) == 300
        assert state(client, key) == "stored"
        assert client.post("/", content=sent, headers=headers).content == answer.content


def _stored(database: str) -> int:
    with psycopg.connect(database) as connection:
        row = connection.execute("select count(*) from receipt").fetchone()
    return int(row[0]) if row else 0


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    fates=st.lists(st.sampled_from(sorted(FATES)), min_size=1, max_size=4),
    kind=st.sampled_from(["transaction", "batch"]),
)
def test_any_sends_under_cuts_leave_exactly_one(
    server: Server, client: httpx.Client, fates: list[str], kind: str
) -> None:
    """Each send meets its fate; then the receipt tells the truth, and one more send ends it."""
    sent, id_ = bundle(kind)
    key = str(uuid.uuid4())
    headers = {"Content-Type": "application/fhir+json", "Idempotency-Key": key}
    acknowledged = []
    for fate in fates:
        with bad_link(server.url, 1, {fate: 1}, wait_s=0.05) as link:
            try:
                answer = httpx.post(f"{link.url}/fhir", content=sent, headers=headers, timeout=10)
                acknowledged.append(answer.text.replace(link.url, server.url))
            except httpx.HTTPError:
                pass
    if acknowledged:
        assert state(client, key) == "stored"
    elif state(client, key) is None and set(fates) == {"never sent"}:
        assert client.get(f"/Patient/{id_}").status_code == 404
    last = client.post("/", content=sent, headers=headers)
    assert {*acknowledged, last.text} == {last.text}
    assert results_of(client, id_) == 3
    assert client.get(f"/Patient/{id_}/_history").json()["total"] == 1
    assert state(client, key) == "stored"
