"""Prefer: respond-async: https://hl7.org/fhir/R4/async.html"""

import signal
import time
from typing import Any

import httpx
import psycopg
import pytest

from api.patients import resident
from servers import serving

ASYNC = {"Prefer": "respond-async"}


def test_a_search_is_answered_in_the_background(client: httpx.Client) -> None:
    """202 with Content-Location; then the status of the address, at last 200 and the answer."""
    client.put("/Patient/found", json=resident(id="found"))
    kicked = client.get("/Patient", params={"_id": "found"}, headers=ASYNC)
    assert kicked.status_code == 202
    assert kicked.headers["preference-applied"] == "respond-async"
    assert kicked.content == b""
    done = _finished(client, kicked)
    assert done.headers["expires"].endswith("GMT")
    bundle = done.json()
    assert bundle["type"] == "batch-response"
    (entry,) = bundle["entry"]
    assert entry["response"]["status"] == "200 OK"
    assert [one["resource"]["id"] for one in entry["resource"]["entry"]] == ["found"]
    now = client.get("/Patient", params={"_id": "found"}).json()
    assert entry["resource"]["link"] == now["link"], "as if it were asked for now"


def test_a_posted_search_and_history_too(client: httpx.Client) -> None:
    client.put("/Patient/p", json=resident(id="p"))
    for kicked in (
        client.post("/Patient/_search", data={"_id": "p"}, headers=ASYNC),
        client.get("/Patient/p/_history", headers=ASYNC),
        client.get("/_history", params={"_count": 1}, headers=ASYNC),
    ):
        (entry,) = _finished(client, kicked).json()["entry"]
        assert entry["resource"]["entry"][0]["resource"]["id"] == "p"


def test_a_transaction_is_stored_and_answered(client: httpx.Client) -> None:
    wish = {"Prefer": "respond-async; return=representation", "Accept-Language": "vi"}
    kicked = client.post("", json=_bundle("transaction", ["t1", "t2"]), headers=wish)
    (entry,) = _finished(client, kicked).json()["entry"]
    answered = entry["resource"]
    assert answered["type"] == "transaction-response"
    assert [one["response"]["status"] for one in answered["entry"]] == ["201 Created"] * 2
    assert answered["entry"][0]["resource"]["id"] == "t1", "return=representation is kept"
    assert client.get("/Patient/t2").status_code == 200


def test_what_is_refused_is_told_as_the_answer(client: httpx.Client) -> None:
    """The request for the status succeeds; what became of the other is in entry.response."""
    bundle = _bundle("transaction", ["r1"])
    bundle["entry"][0]["resource"]["gender"] = "unheard-of"
    kicked = client.post("", json=bundle, headers={**ASYNC, "Accept-Language": "vi"})
    done = _finished(client, kicked)
    (entry,) = done.json()["entry"]
    assert entry["response"]["status"] == "400 Bad Request"
    outcome = entry["response"]["outcome"]
    assert outcome["resourceType"] == "OperationOutcome"
    assert outcome["issue"][0]["expression"] == ["Bundle.entry[0].resource.gender"]
    assert client.get("/Patient/r1").status_code == 404, "nothing is stored"


def test_what_is_no_bundle_is_refused_at_once(client: httpx.Client) -> None:
    assert client.post("", content=b"{", headers=ASYNC).status_code == 400
    assert client.post("", json=resident(id="x"), headers=ASYNC).status_code == 400
    document = {"resourceType": "Bundle", "type": "document"}
    assert client.post("", json=document, headers=ASYNC).status_code == 400


def test_what_takes_no_time_is_answered_at_once(client: httpx.Client) -> None:
    """A server may leave a preference unheeded: https://www.rfc-editor.org/rfc/rfc7240."""
    created = client.post("/Patient", json=resident(), headers=ASYNC)
    assert created.status_code == 201
    read = client.get(f"/Patient/{created.json()['id']}", headers=ASYNC)
    assert read.status_code == 200
    assert "preference-applied" not in read.headers
    assert client.head("/Patient", headers=ASYNC).status_code == 200


def test_an_entry_of_a_bundle_is_answered_with_it(client: httpx.Client) -> None:
    batch = _bundle("batch", [])
    batch["entry"] = [{"request": {"method": "GET", "url": "Patient?_count=1"}}]
    (entry,) = _finished(client, client.post("", json=batch, headers=ASYNC)).json()["entry"]
    (inner,) = entry["resource"]["entry"]
    assert inner["response"]["status"] == "200 OK"
    assert inner["resource"]["type"] == "searchset"


def test_the_key_of_the_sender_is_kept(client: httpx.Client) -> None:
    """Sent twice under one identifier, stored once, in the background too."""
    bundle = _bundle("transaction", ["k1"])
    bundle["identifier"] = {"system": "urn:example:push", "value": "1"}
    first = _finished(client, client.post("", json=bundle, headers=ASYNC)).json()
    second = _finished(client, client.post("", json=bundle, headers=ASYNC)).json()
    locations = [
        answer["entry"][0]["resource"]["entry"][0]["response"]["location"]
        for answer in (first, second)
    ]
    assert locations[0] == locations[1]
    assert client.get("/Patient/k1/_history").json()["total"] == 1
    assert client.post("", json=bundle).headers["idempotency-replayed"] == "true"


def test_a_large_answer_comes_whole(client: httpx.Client) -> None:
    """Kept in pieces of some megabytes."""
    people = [f"large{number}" for number in range(120)]
    bundle = _bundle("batch", people)
    for entry in bundle["entry"]:
        entry["resource"]["text"] = {"status": "generated", "div": _narrative(60_000)}
    wish = {"Prefer": "respond-async, return=representation"}
    kicked = client.post("", json=bundle, headers=wish)
    (entry,) = _finished(client, kicked).json()["entry"]
    assert [one["resource"]["id"] for one in entry["resource"]["entry"]] == people


def test_cancelled_it_is_not_there_any_more(client: httpx.Client) -> None:
    kicked = client.get("/Patient", headers=ASYNC)
    address = kicked.headers["content-location"]
    assert client.delete(address).status_code == 202
    assert client.get(address).status_code == 404
    assert client.delete(address).status_code == 404
    unknown = client.get("/$async-status/unheard-of")
    assert unknown.status_code == 404
    assert unknown.json()["resourceType"] == "OperationOutcome"


def test_while_no_worker_runs_it_waits(database: str) -> None:
    """202 with X-Progress and Retry-After; cancelled, it is never answered."""
    with (
        serving(database, no_worker="yes") as server,
        httpx.Client(base_url=server.fhir, timeout=30) as client,
    ):
        kept = client.post("", json=_bundle("batch", ["kept"]), headers=ASYNC)
        gone = client.post("", json=_bundle("batch", ["gone"]), headers=ASYNC)
        waiting = client.get(kept.headers["content-location"])
        assert waiting.status_code == 202
        assert waiting.headers["x-progress"] == "waiting for a worker"
        assert int(waiting.headers["retry-after"]) >= 1
        assert client.delete(gone.headers["content-location"]).status_code == 202
        server.process.send_signal(signal.SIGKILL)
        server.process.wait()
    with serving(database) as server, httpx.Client(base_url=server.fhir, timeout=30) as client:
        path = kept.headers["content-location"].partition("/fhir")[2]
        (entry,) = _answered(client, path).json()["entry"]
        assert entry["response"]["status"] == "200 OK", "what was answered 202 is on disk"
        assert client.get("/Patient/kept").status_code == 200
        assert client.get("/Patient/gone").status_code == 404


def test_of_another_caller_it_is_not_there(client: httpx.Client, module_database: str) -> None:
    kicked = client.get("/Patient", headers=ASYNC)
    address = kicked.headers["content-location"]
    with psycopg.connect(module_database) as connection:
        connection.execute(
            "update job set request = jsonb_set(request, '{caller}', '\"another\"') where id = %s",
            (address.rpartition("/")[2],),
        )
    assert client.get(address).status_code == 404
    assert client.delete(address).status_code == 404


@pytest.mark.parametrize("kind", ["batch", "transaction"])
def test_a_worker_that_is_killed_is_taken_over_and_nothing_is_stored_twice(
    database: str, kind: str
) -> None:
    """A batch of 500 creates, without any key of the sender's: each is there once."""
    bundle: dict[str, Any] = {"resourceType": "Bundle", "type": kind, "entry": [
        {"resource": {"resourceType": "Basic", "code": {"text": str(number)}},
         "request": {"method": "POST", "url": "Basic"}} for number in range(500)
    ]}  # fmt: skip
    with serving(database, lease_s="1") as server:
        with httpx.Client(base_url=server.fhir, timeout=30) as client:
            kicked = client.post("", json=bundle, headers=ASYNC)
            assert kicked.status_code == 202
            _until(lambda: _stored(client) >= (100 if kind == "batch" else 0))
        server.process.send_signal(signal.SIGKILL)
        server.process.wait()
    with (
        serving(database, lease_s="1") as server,
        httpx.Client(base_url=server.fhir, timeout=30) as client,
    ):
        (entry,) = _answered(
            client, kicked.headers["content-location"].partition("/fhir")[2]
        ).json()["entry"]
        answers = entry["resource"]["entry"]
        assert {one["response"]["status"] for one in answers} == {"201 Created"}
        assert len({one["response"]["location"] for one in answers}) == 500
        assert _stored(client) == 500
        history = client.get("/Basic/_history", params={"_count": 1000}).json()
        assert len(history["entry"]) == 500, "no version more"


def _bundle(kind: str, ids: list[str]) -> dict[str, Any]:
    entries = [
        {
            "resource": {"resourceType": "Patient", "id": id_, "name": [{"text": id_}]},
            "request": {"method": "PUT", "url": f"Patient/{id_}"},
        }
        for id_ in ids
    ]
    return {"resourceType": "Bundle", "type": kind, **({"entry": entries} if entries else {})}


def _narrative(length: int) -> str:
    return f'<div xmlns="http://www.w3.org/1999/xhtml">{"chữ " * (length // 4)}</div>'


def _stored(client: httpx.Client) -> int:
    found: int = client.get("/Basic", params={"_summary": "count"}).json()["total"]
    return found


def _finished(client: httpx.Client, kicked: httpx.Response) -> httpx.Response:
    assert kicked.status_code == 202, kicked.text
    return _answered(client, kicked.headers["content-location"])


def _answered(client: httpx.Client, address: str) -> httpx.Response:
    end = time.monotonic() + 60
    while (answer := client.get(address)).status_code == 202:
        assert "x-progress" in answer.headers
        assert "retry-after" in answer.headers
        assert time.monotonic() < end, "it takes too long"
        time.sleep(0.02)
    assert answer.status_code == 200, answer.text
    return answer


def _until(is_so: Any) -> None:
    end = time.monotonic() + 30
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.005)
