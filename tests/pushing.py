"""Writers that do not give up: each pushes over a bad link, under a key, until it is answered.

What was acknowledged and what stayed unknown is remembered, and held against the record at the end.
"""

import random
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx

from api.patients import CCCD, resident, weight
from ehr_server.fhir import json

RESULTS = 3
_NOTES = "http://example.org/notes"
_JSON = {"Content-Type": "application/fhir+json"}
_URN = "urn:uuid:61ebe359-bfdc-4613-8bf2-c5e300945f0a"
_POST = {"method": "POST", "url": "Observation"}


@dataclass
class Push:
    """One push: what is sent, under which key, and what is known of it."""

    kind: str
    key: str
    method: str
    path: str
    body: bytes
    headers: dict[str, str]
    is_acknowledged: bool = False
    was_told_stored: bool = False  # by a receipt
    attempts: int = 0


@dataclass
class Writer:
    """Pushes in a thread of its own until told to stop. The numbers of persons and notes are its
    own, so that what came of a push can be told apart."""

    link: str
    number: int
    pushes: list[Push] = field(default_factory=list)
    chain: list[Push] = field(default_factory=list)  # the changes of one resource, in order
    error: BaseException | None = None

    def __post_init__(self) -> None:
        self._chance = random.Random(self.number)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def end(self) -> None:
        """Told to stop, it leaves its last push as it is."""
        self._stop.set()
        self._thread.join()
        if self.error is not None:
            raise self.error

    @property
    def chain_id(self) -> str:
        return f"chain-{self.number}"

    def _run(self) -> None:
        kinds: tuple[Callable[[str], Push], ...] = (
            self._transaction, self._create, self._update, self._batch,
        )  # fmt: skip
        try:
            with httpx.Client(timeout=10) as client:
                while not self._stop.is_set():
                    count = len(self.pushes) + len(self.chain)
                    push = kinds[count % len(kinds)](f"w{self.number}-{count}")
                    (self.chain if push.kind == "update" else self.pushes).append(push)
                    self._until_answered(client, push)
        except BaseException as error:
            self.error = error

    def _until_answered(self, client: httpx.Client, push: Push) -> None:
        while not self._stop.is_set():
            push.attempts += 1
            try:
                answer = client.request(
                    push.method, f"{self.link}/fhir{push.path}", content=push.body,
                    headers=push.headers,
                )  # fmt: skip
                content = answer.json() if answer.content else {}
            except (httpx.HTTPError, ValueError):
                answer = None
            if answer is not None and _is_done(push, answer, content):
                if push.was_told_stored:
                    assert "idempotency-replayed" in answer.headers, push.key
                push.is_acknowledged = True
                return
            self._ask_receipt(client, push)
            time.sleep(self._chance.uniform(0, 0.05))
            # Now and then a sender gives up and never learns what became of it.
            if push.kind != "update" and self._chance.random() < 0.05:
                return

    def _ask_receipt(self, client: httpx.Client, push: Push) -> None:
        if self._chance.random() < 0.5:
            return
        try:
            answer = client.get(f"{self.link}/fhir/$receipt", params={"key": push.key})
            state = receipt_state(answer)
        except (httpx.HTTPError, ValueError):
            return
        if state == "stored" and push.kind != "batch":
            push.was_told_stored = True

    def _transaction(self, key: str) -> Push:
        person = resident(self._card(), meta={"source": f"urn:clinic:{self.number}"})
        entries = [
            {"fullUrl": _URN, "resource": person, "request": {"method": "POST", "url": "Patient"}},
            *({"resource": weight(_URN), "request": _POST} for _ in range(RESULTS)),
        ]
        body = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
        headers = _JSON | {"Idempotency-Key": key}
        return Push("transaction", key, "POST", "/", json.write(body), headers)

    def _create(self, key: str) -> Push:
        headers = _JSON | {"Idempotency-Key": key}
        return Push("create", key, "POST", "/Basic", json.write(_note(key)), headers)

    def _update(self, key: str) -> Push:
        body = _note(f"step {len(self.chain) + 1}") | {"id": self.chain_id}
        headers = _JSON | {"Idempotency-Key": key}
        if self.chain:
            headers["If-Match"] = f'W/"{len(self.chain)}"'
        return Push("update", key, "PUT", f"/Basic/{self.chain_id}", json.write(body), headers)

    def _batch(self, key: str) -> Push:
        post = {"method": "POST", "url": "Basic"}
        entries = [{"resource": _note(f"{key}-{n}"), "request": post} for n in range(RESULTS)]
        identifier = {"system": "http://example.org/pushes", "value": key}
        body = {
            "resourceType": "Bundle", "type": "batch", "identifier": identifier, "entry": entries,
        }  # fmt: skip
        name = f"http://example.org/pushes|{key}"
        return Push("batch", name, "POST", "/", json.write(body), dict(_JSON))

    def _card(self) -> str:
        return f"001{self.number:03}{len(self.pushes):06}"


def card_of(push: Push) -> str:
    found: str = json.read(push.body)["entry"][0]["resource"]["identifier"][0]["value"]
    return found


def receipt_state(answer: httpx.Response) -> str | None:
    """What $receipt says: stored, in-progress, None for nothing. ValueError: no answer."""
    if answer.status_code == 404:
        return None
    if answer.status_code != 200:
        raise ValueError(answer.status_code)
    parameters: list[dict[str, Any]] = answer.json()["parameter"]
    return next(one["valueCode"] for one in parameters if one["name"] == "state")


def stored(client: httpx.Client, push: Push) -> tuple[int, ...]:
    """How much of a push is there: of a transaction persons and results, else notes."""
    if push.kind == "transaction":
        people = client.get("/Patient", params={"identifier": f"{CCCD}|{card_of(push)}"}).json()
        if not people["total"]:
            return 0, 0
        ids = [entry["resource"]["id"] for entry in people["entry"]]
        results = client.get("/Observation", params={"patient": ",".join(ids), "_count": 0})
        return people["total"], results.json()["total"]
    return tuple(_notes(client, name) for name in names_of(push))


def names_of(push: Push) -> Iterator[str]:
    """The notes that a create or a batch brings."""
    sent = json.read(push.body)
    for resource in [entry["resource"] for entry in sent.get("entry", ())] or [sent]:
        yield resource["identifier"][0]["value"]


def whole(push: Push) -> tuple[int, ...]:
    """What is stored of it when it is there once."""
    return {"transaction": (1, RESULTS), "create": (1,), "batch": (1,) * RESULTS}[push.kind]


def _notes(client: httpx.Client, name: str) -> int:
    asked = {"identifier": f"{_NOTES}|{name}", "_summary": "count"}
    total: int = client.get("/Basic", params=asked).json()["total"]
    return total


def _is_done(push: Push, answer: httpx.Response, content: Any) -> bool:
    """Whether all of it was acknowledged. Nothing but 503 may stand in the way."""
    statuses = [answer.status_code]
    if answer.status_code == 200 and push.kind == "batch":
        statuses += [int(entry["response"]["status"][:3]) for entry in content["entry"]]
    assert all(status in (200, 201, 503) for status in statuses), answer.text
    return 503 not in statuses


def _note(name: str) -> dict[str, Any]:
    return {
        "resourceType": "Basic",
        "identifier": [{"system": _NOTES, "value": name}],
        "code": {"text": "note"},
    }
