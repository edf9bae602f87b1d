"""Pushes under a key: stored once, however often they are sent.

The key is the header Idempotency-Key, else the identifier of a transaction or batch. The guide to
it is docs/guides/pushing.md; the header, https://datatracker.ietf.org/doc/
draft-ietf-httpapi-idempotency-key-header/.
"""

import httpx
import pytest

from api.patients import resident, weight
from api.pushes import (
    JSON,
    bundle,
    checkup,
    is_repeated,
    keyed,
    new_key,
    parts,
    post,
    put,
    receipt,
    same,
    send,
    versions,
)
from ehr_server.fhir import json
from servers import serving

pytestmark = pytest.mark.smoke

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


def test_a_patch_under_a_key_is_done_once(client: httpx.Client) -> None:
    """Its test fails on what it has made itself: it must not be run again."""
    id_, key = new_key(), new_key()
    client.put(f"/Patient/{id_}", content=json.write(resident(id=id_)), headers=JSON)
    patch = [
        {"op": "test", "path": "/gender", "value": "female"},
        {"op": "replace", "path": "/gender", "value": "male"},
    ]
    headers = keyed(key) | {"Content-Type": "application/json-patch+json"}
    first = client.patch(f"/Patient/{id_}", content=json.write(patch), headers=headers)
    again = client.patch(f"/Patient/{id_}", content=json.write_pretty(patch), headers=headers)
    assert first.status_code == 200, first.text
    assert is_repeated(again)
    assert same(first, again)
    headers["Content-Type"] = "application/json"
    other = client.patch(f"/Patient/{id_}", content=json.write(patch), headers=headers)
    assert other.status_code == 409


def test_what_is_deleted_by_criteria_under_a_key_is_deleted_once(database: str) -> None:
    """Also where nothing matched: what comes to match later stays."""
    with (
        serving(database, conditional_delete_max="10") as server,
        httpx.Client(base_url=server.fhir, timeout=30) as client,
    ):
        for count in (0, 2):
            key, code = new_key(), new_key()
            headers = keyed(key, Prefer="return=OperationOutcome")
            for _ in range(count):
                _basic(client, code)
            first = client.delete("/Basic", params={"code": code}, headers=headers)
            _basic(client, code)
            again = client.delete("/Basic", params={"code": code}, headers=headers)
            assert f"Deleted: {count}." in first.text
            assert is_repeated(again)
            assert same(first, again)
            assert client.get("/Basic", params={"code": code}).json()["total"] == 1


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
    """But for a person with a number, who is told (`test_one_live_holder.py`)."""
    sent = checkup()
    del sent["entry"][0]["resource"]["identifier"]
    ids = {send(client, sent).json()["entry"][1]["response"]["location"] for _ in range(2)}
    assert len(ids) == 2


def test_keys_are_of_their_sender(client: httpx.Client) -> None:
    key = new_key()
    for source in ("http://a.example/his#1", "http://b.example/his#1"):
        answer = send(client, checkup() | {"meta": {"source": source}}, **{"Idempotency-Key": key})
        assert answer.status_code == 200, answer.text
        assert not is_repeated(answer)


def test_an_entry_of_a_batch_that_deletes_several_is_done_once(database: str) -> None:
    with (
        serving(database, conditional_delete_max="10") as server,
        httpx.Client(base_url=server.fhir, timeout=30) as client,
    ):
        code, key = new_key(), new_key()
        for _ in range(3):
            _basic(client, code)
        entry = {"request": {"method": "DELETE", "url": f"Basic?code={code}"}}
        sent = bundle("batch", entry, post(resident()))
        first = send(client, sent, **{"Idempotency-Key": key})
        _basic(client, code)
        again = send(client, sent, **{"Idempotency-Key": key})
        assert first.json() == again.json()
        assert client.get("/Basic", params={"code": code}).json()["total"] == 1
        told = parts(receipt(client, key))
        assert (told["state"], told["entries"], told["stored"]) == ("stored", 2, 4)


def test_what_was_stored_is_told_again_under_stricter_rules(database: str) -> None:
    key, body = new_key(), json.write(resident("not a number"))
    with serving(database, identifiers="off") as server:
        first = httpx.post(f"{server.fhir}/Patient", content=body, headers=keyed(key))
    with serving(database) as server:
        again = httpx.post(f"{server.fhir}/Patient", content=body, headers=keyed(key))
        assert httpx.post(f"{server.fhir}/Patient", content=body, headers=JSON).status_code == 400
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.content == again.content


def _basic(client: httpx.Client, code: str) -> None:
    body = {"resourceType": "Basic", "code": {"coding": [{"code": code}]}}
    assert client.post("/Basic", content=json.write(body), headers=JSON).status_code == 201


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
    key, body = (new_key() * 8)[:255], json.write(resident())
    for expected in (False, True):
        answer = client.post("/Patient", content=body, headers=keyed(key))
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


@pytest.mark.parametrize("size", [1_000, 3_000_000])
def test_content_that_comes_raw_under_a_key_is_stored_once(client: httpx.Client, size: int) -> None:
    key = new_key()
    headers = {"Content-Type": "application/pdf", "Idempotency-Key": key}
    first = client.post("/Binary", content=b"a" * size, headers=headers)
    again = client.post("/Binary", content=b"a" * size, headers=headers)
    other = client.post("/Binary", content=b"b" * size, headers=headers)
    assert (first.status_code, again.status_code, other.status_code) == (201, 201, 409)
    assert is_repeated(again)
    assert first.headers["location"] == again.headers["location"]
    read = client.get(again.headers["location"], headers={"Accept": "application/pdf"})
    assert read.content == b"a" * size
