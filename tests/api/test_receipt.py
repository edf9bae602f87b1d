"""$receipt: what became of a push, after a time-out. docs/guides/pushing.md"""

import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import psycopg
import pytest

from api.patients import resident
from api.pushes import checkup, keyed, new_key, parts, receipt, send
from ehr_server.fhir import json
from ehr_server.hashing import hash64
from servers import Server

pytestmark = pytest.mark.smoke


def test_a_sender_asks_what_became_of_a_push(client: httpx.Client) -> None:
    key = new_key()
    nothing = receipt(client, key)
    assert nothing.status_code == 404
    assert "send it again" in nothing.json()["issue"][0]["details"]["text"]
    sent = checkup() | {"meta": {"source": "http://his.example/a#1"}}
    first = send(client, sent, **{"Idempotency-Key": key})
    told = parts(receipt(client, key))
    assert told["state"] == "stored"
    assert told["kind"] == "transaction"
    assert told["sender"] == "http://his.example/a"
    assert (told["status"], told["entries"], told["stored"]) == (200, 3, 3)
    assert told["answer"]["type"] == "transaction-response"
    assert [one["response"] for one in told["answer"]["entry"]] == [
        one["response"] for one in first.json()["entry"]
    ]
    assert parts(receipt(client, key, sender="http://his.example/a")) == told
    assert receipt(client, key, sender="http://his.example/b").status_code == 404


def test_of_a_single_write_the_receipt_tells_status_and_version(client: httpx.Client) -> None:
    key, id_ = new_key(), new_key()
    body = json.write(resident(id=id_))
    first = client.put(f"/Patient/{id_}", content=body, headers=keyed(key))
    told = parts(receipt(client, key))
    assert (told["status"], told["kind"]) == (201, "single")
    assert told["answer"]["entry"][0]["response"]["location"] == first.headers["location"]


def test_of_a_key_that_several_senders_used_one_must_be_named(client: httpx.Client) -> None:
    key = new_key()
    for source in ("http://a.example/his", "http://b.example/his"):
        send(client, checkup() | {"meta": {"source": source}}, **{"Idempotency-Key": key})
    assert receipt(client, key).status_code == 400
    assert parts(receipt(client, key, sender="http://b.example/his"))["state"] == "stored"
    assert client.get("/$receipt").status_code == 400


def test_who_asks_while_it_is_being_stored_waits_for_the_truth(
    server: Server, client: httpx.Client
) -> None:
    """No 404 may be followed by what then is stored all the same."""
    key = new_key()
    with psycopg.connect(str(server.database_url)) as other, ThreadPoolExecutor(2) as pool:
        other.execute("select pg_advisory_xact_lock(%s)", (hash64("receipt", key),))
        push = pool.submit(
            client.post, "/Patient", content=json.write(resident()), headers=keyed(key)
        )
        _until_waiting(server, 1)
        question = pool.submit(httpx.get, f"{server.fhir}/$receipt", params={"key": key})
        _until_waiting(server, 2)
        other.rollback()
        assert push.result().status_code == 201
        assert parts(question.result())["state"] == "stored"


def test_who_asks_about_what_takes_long_hears_that_it_is_in_progress(
    server: Server, client: httpx.Client
) -> None:
    key = new_key()
    with psycopg.connect(str(server.database_url)) as other:
        other.execute("select pg_advisory_xact_lock(%s)", (hash64("receipt", key),))
        assert parts(receipt(client, key)) == {"key": key, "state": "in-progress"}
    assert receipt(client, key).status_code == 404


def _until_waiting(server: Server, count: int) -> None:
    """Until so many wait for an advisory lock."""
    waiting = "select count(*) from pg_locks where locktype = 'advisory' and not granted"
    with psycopg.connect(str(server.database_url), autocommit=True) as connection:
        for _ in range(500):
            row = connection.execute(waiting).fetchone()
            if row is not None and row[0] >= count:
                return
            time.sleep(0.01)
    raise AssertionError("nobody waits")
