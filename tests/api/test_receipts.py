"""Pushes under a key: stored once, however often they are sent.

The key is the header Idempotency-Key, else the identifier of a transaction or batch. The guide to
it is docs/guides/pushing.md; the header, https://datatracker.ietf.org/doc/
draft-ietf-httpapi-idempotency-key-header/.
"""

import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import psycopg
import pytest

from api.patients import resident, weight
from ehr_server.fhir import json
from ehr_server.hashing import hash64
from servers import Server

JSON = {"Content-Type": "application/fhir+json"}
REPEATED = "idempotency-replayed"
OWN = ("x-request-id", "date", "server", REPEATED)

pytestmark = pytest.mark.smoke


def new_key() -> str:
    return str(uuid.uuid4())


def keyed(key: str, **more: str) -> dict[str, str]:
    return {**JSON, "Idempotency-Key": key, **more}


def bundle(kind: str = "transaction", *entries: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"resourceType": "Bundle", "type": kind, **more, "entry": list(entries)}


def post(resource: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "resource": resource,
        "request": {"method": "POST", "url": resource["resourceType"]},
    } | more


def put(resource: dict[str, Any], id_: str) -> dict[str, Any]:
    request = {"method": "PUT", "url": f"{resource['resourceType']}/{id_}"}
    return {"resource": {**resource, "id": id_}, "request": request}


def checkup() -> dict[str, Any]:
    """A person who is not known yet, with two weights."""
    urn = f"urn:uuid:{uuid.uuid4()}"
    number = str(uuid.uuid4().int)[:9]
    person = post(resident(f"001{number}"), fullUrl=urn)
    return bundle("transaction", person, post(weight(urn)), post(weight(urn, "53.0")))


def send(client: httpx.Client, what: Any, **headers: str) -> httpx.Response:
    return client.post("/", content=json.write(what), headers={**JSON, **headers})


def is_repeated(answer: httpx.Response) -> bool:
    return answer.headers.get(REPEATED) == "true"


def same(first: httpx.Response, again: httpx.Response) -> bool:
    """The status, headers and body of the first answer."""
    headers = [{k: v for k, v in one.headers.items() if k not in OWN} for one in (first, again)]
    return (first.status_code, headers[0], first.content) == (
        again.status_code,
        headers[1],
        again.content,
    )


def versions(client: httpx.Client) -> int:
    """How many versions there are in all."""
    total = 0
    page = client.get("/_history", params={"_count": 1000})
    total += len(page.json().get("entry", ()))
    return total


# What was stored before returns the first answer and stores nothing again.


@pytest.mark.parametrize("wish", [None, "minimal", "representation", "OperationOutcome"])
def test_a_create_under_a_key_is_stored_once(client: httpx.Client, wish: str | None) -> None:
    headers = keyed(new_key(), **({"Prefer": f"return={wish}"} if wish else {}))
    body = json.write(resident())
    first = client.post("/Patient", content=body, headers=headers)
    count = versions(client)
    again = client.post("/Patient", content=body, headers=headers)
    assert first.status_code == 201
    assert not is_repeated(first)
    assert is_repeated(again)
    assert same(first, again)
    assert versions(client) == count


def test_an_update_and_a_delete_under_a_key_are_done_once(client: httpx.Client) -> None:
    """Else the update that comes late would undo what came after it."""
    id_ = new_key()
    body = json.write(resident(id=id_))
    put_key, delete_key = new_key(), new_key()
    first = client.put(f"/Patient/{id_}", content=body, headers=keyed(put_key))
    gone = client.delete(f"/Patient/{id_}", headers=keyed(delete_key))
    late = client.put(f"/Patient/{id_}", content=body, headers=keyed(put_key))
    assert same(first, late)
    assert client.get(f"/Patient/{id_}").status_code == 410
    client.put(f"/Patient/{id_}", content=body, headers=keyed(new_key()))
    again = client.delete(f"/Patient/{id_}", headers=keyed(delete_key))
    assert (gone.status_code, again.status_code) == (204, 204)
    assert same(gone, again)
    assert client.get(f"/Patient/{id_}").status_code == 200


@pytest.mark.parametrize("wish", ["minimal", "representation", "OperationOutcome"])
def test_a_transaction_under_a_key_is_stored_once(client: httpx.Client, wish: str) -> None:
    sent, headers = checkup(), {"Idempotency-Key": new_key(), "Prefer": f"return={wish}"}
    first = send(client, sent, **headers)
    count = versions(client)
    again = send(client, sent, **headers)
    assert first.status_code == 200, first.text
    assert is_repeated(again)
    assert same(first, again)
    assert versions(client) == count


def test_the_identifier_of_a_transaction_is_its_key(client: httpx.Client) -> None:
    sent = checkup() | {"identifier": {"system": "http://his.example/push", "value": new_key()}}
    first, again = send(client, sent), send(client, sent)
    assert not is_repeated(first)
    assert is_repeated(again)
    assert same(first, again)


def test_blanks_and_the_order_of_keys_do_not_count(client: httpx.Client) -> None:
    key, sent = new_key(), resident()
    first = client.post("/Patient", content=json.write(sent), headers=keyed(key))
    turned = json.write_pretty(dict(reversed(sent.items())))
    again = client.post("/Patient", content=turned, headers=keyed(key))
    assert is_repeated(again)
    assert first.json()["id"] == again.json()["id"]


def test_a_first_answer_stays_when_the_resource_went_on(client: httpx.Client) -> None:
    key, body = new_key(), json.write(resident())
    first = client.post("/Patient", content=body, headers=keyed(key))
    id_ = first.json()["id"]
    client.put(f"/Patient/{id_}", content=json.write(resident(id=id_, gender="male")), headers=JSON)
    again = client.post("/Patient", content=body, headers=keyed(key))
    assert same(first, again)


def test_reads_of_a_transaction_are_answered_anew(client: httpx.Client) -> None:
    id_, key = new_key(), new_key()
    read = {"request": {"method": "GET", "url": f"Patient/{id_}"}}
    sent = bundle("transaction", put(resident(), id_), read)
    send(client, sent, **{"Idempotency-Key": key})
    client.put(f"/Patient/{id_}", content=json.write(resident(id=id_, gender="male")), headers=JSON)
    again = send(client, sent, **{"Idempotency-Key": key})
    assert is_repeated(again)
    assert again.json()["entry"][0]["response"]["etag"] == 'W/"1"'
    assert again.json()["entry"][1]["resource"]["gender"] == "male"


def test_without_a_key_what_is_sent_twice_is_stored_twice(client: httpx.Client) -> None:
    sent = checkup()
    ids = {send(client, sent).json()["entry"][1]["response"]["location"] for _ in range(2)}
    assert len(ids) == 2


def test_keys_are_of_their_sender(client: httpx.Client) -> None:
    key = new_key()
    for source in ("http://a.example/his#1", "http://b.example/his#1"):
        answer = send(client, checkup() | {"meta": {"source": source}}, **{"Idempotency-Key": key})
        assert answer.status_code == 200, answer.text
        assert not is_repeated(answer)


# The same key with another content.


def test_a_key_of_something_else_is_409_that_says_how_to_correct(client: httpx.Client) -> None:
    key = new_key()
    client.post("/Patient", content=json.write(resident()), headers=keyed(key))
    count = versions(client)
    for answer in (
        client.post("/Patient", content=json.write(resident(gender="male")), headers=keyed(key)),
        client.put("/Patient/a", content=json.write(resident(id="a")), headers=keyed(key)),
        client.delete("/Patient/a", headers=keyed(key)),
        send(client, checkup(), **{"Idempotency-Key": key}),
        send(client, {**checkup(), "type": "batch"}, **{"Idempotency-Key": key}),
    ):
        assert answer.status_code == 409, answer.text
        (issue,) = answer.json()["issue"]
        assert issue["code"] == "duplicate"
        assert "new key" in issue["details"]["text"]
        assert key not in answer.text
    assert versions(client) == count


def test_a_batch_whose_key_is_used_is_refused_as_a_whole(client: httpx.Client) -> None:
    key = new_key()
    sent = bundle("batch", post(resident()), post(resident(gender="male")))
    assert send(client, sent, **{"Idempotency-Key": key}).status_code == 200
    sent["entry"].pop()
    assert send(client, sent, **{"Idempotency-Key": key}).status_code == 409


# What was refused stores nothing, and so leaves no receipt.


def test_what_was_refused_may_be_sent_again_corrected(client: httpx.Client) -> None:
    key, sent = new_key(), checkup()
    sent["entry"][1]["resource"]["status"] = "no such status"
    assert send(client, sent, **{"Idempotency-Key": key}).status_code == 400
    sent["entry"][1]["resource"]["status"] = "final"
    answer = send(client, sent, **{"Idempotency-Key": key})
    assert answer.status_code == 200, answer.text
    assert not is_repeated(answer)


def test_entries_of_a_batch_that_were_refused_are_tried_again(client: httpx.Client) -> None:
    """What was stored is told again; the weight is stored once its person is there."""
    id_, key = new_key(), new_key()
    sent = bundle("batch", post(resident()), post(weight(f"Patient/{id_}")))
    headers = {"Idempotency-Key": key}
    first = send(client, sent, **headers).json()["entry"]
    assert [one["response"]["status"][:3] for one in first] == ["201", "422"]
    client.put(f"/Patient/{id_}", content=json.write(resident(id=id_)), headers=JSON)
    second = send(client, sent, **headers).json()["entry"]
    third = send(client, sent, **headers).json()["entry"]
    assert second[0] == first[0]
    assert second[1]["response"]["status"] == "201 Created"
    assert third == second


def test_a_batch_under_a_key_stores_each_entry_once(client: httpx.Client) -> None:
    id_ = new_key()
    read = {"request": {"method": "GET", "url": f"Patient/{id_}"}}
    sent = bundle("batch", put(resident(), id_), read, post(weight(f"Patient/{id_}")))
    sent["identifier"] = {"value": new_key()}
    first = send(client, sent)
    count = versions(client)
    again = send(client, sent)
    assert first.status_code == 200
    assert is_repeated(again)
    assert same(first, again)
    assert versions(client) == count


# What is no key.


@pytest.mark.parametrize("key", ["", "a" * 256, "two words", "kh\xf3a"])
def test_a_key_that_is_none_is_400(client: httpx.Client, key: str) -> None:
    headers = {**JSON, "Idempotency-Key": key.encode("latin-1")}
    for address in ("/Patient", "/"):
        body = resident() if address == "/Patient" else checkup()
        answer = client.post(address, content=json.write(body), headers=headers)  # type: ignore[arg-type]
        assert answer.status_code == 400, answer.text
        assert "Idempotency-Key" in answer.text


def test_a_key_of_255_characters_is_one(client: httpx.Client) -> None:
    key = (new_key() * 8)[:255]
    for expected in (False, True):
        answer = client.post("/Patient", content=json.write(resident()), headers=keyed(key))
        assert is_repeated(answer) is expected


def test_an_identifier_that_is_too_long_for_a_key_is_400_with_its_place(
    client: httpx.Client,
) -> None:
    sent = checkup() | {"identifier": {"system": "http://his.example", "value": "7" * 240}}
    answer = send(client, sent)
    assert answer.status_code == 400
    assert answer.json()["issue"][0]["expression"] == ["Bundle.identifier"]


def test_an_identifier_without_a_value_is_no_key(client: httpx.Client) -> None:
    sent = checkup() | {"identifier": {"system": "http://his.example/push"}}
    assert [is_repeated(send(client, sent)) for _ in range(2)] == [False, False]


def test_the_identifier_of_a_document_is_no_key(client: httpx.Client) -> None:
    """There it is the visit's, and a correction has the same."""
    identifier = {"system": "http://fhir.hl7.org.vn/core/sid/ma-lk", "value": new_key()}
    kept = bundle("collection", {"resource": resident()}, identifier=identifier)
    for _ in range(2):
        answer = client.post("/Bundle", content=json.write(kept), headers=JSON)
        assert answer.status_code == 201, answer.text
        assert not is_repeated(answer)
    kept["entry"][0]["resource"]["gender"] = "male"
    assert client.post("/Bundle", content=json.write(kept), headers=JSON).status_code == 201


# What became of a push, after a time-out.


def receipt(client: httpx.Client, key: str, **asked: str) -> httpx.Response:
    return client.get("/$receipt", params={"key": key, **asked})


def parts(answer: httpx.Response | dict[str, Any]) -> dict[str, Any]:
    """The parameters by name; of those that come several times a list."""
    given = answer["part"] if isinstance(answer, dict) else answer.json()["parameter"]
    found: dict[str, Any] = {}
    for one in given:
        value = one["part"] if "part" in one else next(v for k, v in one.items() if k != "name")
        value = parts(one) if "part" in one else value
        if one["name"] in ("receipt", "total", "resources"):
            found.setdefault(one["name"], []).append(value)
        else:
            found[one["name"]] = value
    return found


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


# What was stored on a day, to be compared with what was sent.


def test_what_was_stored_on_a_day_is_listed_page_by_page(client: httpx.Client) -> None:
    sender = f"http://{new_key()}.example/his"
    keys = [new_key() for _ in range(5)]
    for key in keys:
        sent = checkup() | {"meta": {"source": sender}}
        assert send(client, sent, **{"Idempotency-Key": key}).status_code == 200
    today = datetime.now(ZoneInfo("Asia/Ho_Chi_Minh")).date().isoformat()
    told = parts(client.get("/$receipts", params={"date": today, "sender": sender}))
    assert told["pushes"] == 5
    totals = {one["type"]: one["count"] for one in told["total"]}
    assert totals == {"Patient": 5, "Observation": 10}
    assert [one["key"] for one in told["receipt"]] == keys
    one = told["receipt"][0]
    assert (one["state"], one["status"], one["entries"]) == ("stored", 200, 3)
    assert {n["type"]: n["count"] for n in one["resources"]} == {"Patient": 1, "Observation": 2}
    assert len(one["digest"]) == 32
    paged: list[str] = []
    address = f"/$receipts?sender={sender}&_count=2"
    while address:
        page = parts(client.get(address))
        assert page["pushes"] == 5
        paged += (each["key"] for each in page["receipt"])
        address = page.get("next", "")
    assert paged == keys
    assert "receipt" not in parts(client.get(f"/$receipts?date=2020-01-01&sender={sender}"))


@pytest.mark.parametrize(
    "asked", ["date=yesterday", "date=2026-02-30", "_page=x", "_page=9.9e9", "_count=-1", "day=1"]
)
def test_a_day_that_is_none_is_400(client: httpx.Client, asked: str) -> None:
    assert client.get(f"/$receipts?{asked}").status_code == 400
