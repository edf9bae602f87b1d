"""Writers who never rest: what they did is remembered by transaction, with versions and times.

Each deed is one transaction of the server: an update of a shared resource, which may move it from
one patient to another, a creation, a deletion, a conditional write, or a Bundle of several.
"""

import re
import threading
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any

import httpx

from api.patients import resident, weight
from ehr_server.fhir import json

PATIENTS = 12
SHARED = 30  # Observations that all writers write
PAIRS = 4  # of every writer: two resources that only transactions write, with one number in both

_FHIR_JSON = {"Content-Type": "application/fhir+json"}
_SYSTEM = "urn:example:number"
_LOST = frozenset({404, 409, 412})  # another writer was first: nothing was stored

Place = tuple[str, str]


@dataclass(frozen=True)
class Written:
    """One version that was acknowledged. `at` is None for a deletion."""

    place: Place
    ver: int
    at: str | None


Together = tuple[Written, ...]


def first(client: httpx.Client) -> None:
    """What is there before anybody writes: the patients, and a facility that nobody touches."""
    for number in range(PATIENTS):
        client.put(f"/Patient/p{number}", json=resident(id=f"p{number}")).raise_for_status()
    quiet = {"resourceType": "Organization", "id": "quiet", "name": "Trạm y tế"}
    client.put("/Organization/quiet", json=quiet).raise_for_status()


class Writer:
    """A thread that writes from now on until `end`; `done` is what was acknowledged."""

    def __init__(self, fhir: str, number: int) -> None:
        self.done: list[Together] = []
        self.conditional: set[Place] = set()
        self.error: BaseException | None = None
        self._number = number
        self._random = Random(number)
        self._counter = 0
        self._own: list[str] = []
        self._stop = threading.Event()
        self._client = httpx.Client(base_url=fhir, timeout=60)
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def end(self) -> None:
        """Stop, and raise what went wrong."""
        self._stop.set()
        self._thread.join()
        self._client.close()
        if self.error:
            raise self.error

    def _run(self) -> None:
        deeds: list[tuple[Callable[[], None], int]] = [
            (self._update, 6), (self._create, 4), (self._delete, 3), (self._delete_own, 2),
            (self._bundle, 5), (self._no_pair, 1), (self._if_none, 2), (self._put_if, 2),
            (self._delete_if, 1), (self._binary, 1), (self._without_patient, 1),
        ]  # fmt: skip
        chosen, weights = zip(*deeds, strict=True)
        try:
            while not self._stop.is_set():
                self._counter += 1
                self._random.choices(chosen, weights)[0]()
        except BaseException as error:
            self.error = error

    def _update(self) -> None:
        id_ = self._shared()
        self._send("PUT", f"Observation/{id_}", self._weight(id=id_))

    def _create(self) -> None:
        made = self._send("POST", "Observation", self._weight())
        self._own += [one.place[1] for one in made]

    def _delete(self) -> None:
        """Of what all write: who updates it next makes it anew under the same id."""
        self._send("DELETE", f"Observation/{self._shared()}")

    def _delete_own(self) -> None:
        if self._own:
            at = self._random.randrange(len(self._own))
            self._send("DELETE", f"Observation/{self._own.pop(at)}")

    def _bundle(self) -> None:
        """A pair, and some of what all write: created, replaced, deleted."""
        pair = self._pair()
        ids = self._random.sample(range(SHARED), 4)
        entries = [_entry("PUT", f"Basic/{id_}", self._basic(id_)) for id_ in pair]
        entries += [
            _entry("PUT", f"Observation/s{one}", self._weight(id=f"s{one}")) for one in ids[:2]
        ]
        entries.append(_entry("DELETE", f"Observation/s{ids[2]}"))
        entries.append(_entry("POST", "Observation", self._weight()))
        self._send_all(entries)

    def _no_pair(self) -> None:
        self._send_all([_entry("DELETE", f"Basic/{id_}") for id_ in self._pair()])

    def _if_none(self) -> None:
        number = self._common_number()
        made = self._send(
            "POST", "Observation", self._weight(number),
            {"If-None-Exist": f"identifier={_SYSTEM}|{number}"},
        )  # fmt: skip
        self.conditional.update(one.place for one in made)

    def _put_if(self) -> None:
        number = self._common_number()
        url = f"Observation?identifier={_SYSTEM}|{number}"
        made = self._send("PUT", url, self._weight(number))
        self.conditional.update(one.place for one in made)

    def _delete_if(self) -> None:
        """What it deleted is not told; what others remember tells whether it is gone."""
        answer = self._client.request(
            "DELETE", f"/Observation?identifier={_SYSTEM}|{self._common_number()}"
        )
        assert answer.status_code in {200, 204, *_LOST}, answer.text

    def _binary(self) -> None:
        """Some so large that their content lies beside the resource."""
        id_ = f"b{self._random.randrange(4)}"
        data = self._random.choice(("AAAA", "AAECAwQF" * 20_000)) + f"{self._counter % 10_000:04}"
        content = {"resourceType": "Binary", "id": id_, "contentType": "image/png", "data": data}
        self._send("PUT", f"Binary/{id_}", content)

    def _without_patient(self) -> None:
        id_ = f"o{self._random.randrange(4)}"
        name = f"{self._number}-{self._counter}"
        self._send("PUT", f"Organization/{id_}",
                   {"resourceType": "Organization", "id": id_, "name": name})  # fmt: skip

    def _send(
        self, method: str, url: str, resource: Any = None, headers: dict[str, str] | None = None
    ) -> Together:
        answer = self._client.request(
            method, f"/{url}", content=None if resource is None else json.write(resource),
            headers=_FHIR_JSON | (headers or {}),
        )  # fmt: skip
        assert answer.status_code in {200, 201, 204, *_LOST}, answer.text
        if answer.status_code in _LOST or "etag" not in answer.headers:
            return ()
        type_name, _, id_ = url.partition("?")[0].partition("/")
        found = {} if method == "DELETE" else answer.json()
        ver = int(re.findall(r"\d+", answer.headers["etag"])[0])
        written = Written(
            (type_name, id_ or found["id"]), ver, found.get("meta", {}).get("lastUpdated")
        )
        self.done.append((written,))
        return (written,)

    def _send_all(self, entries: list[dict[str, Any]]) -> None:
        bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
        answer = self._client.post("/", content=json.write(bundle), headers=_FHIR_JSON)
        assert answer.status_code in {200, *_LOST}, answer.text
        if answer.status_code != 200:
            return
        together = []
        for sent, told in zip(entries, answer.json()["entry"], strict=True):
            response = told["response"]
            if "etag" not in response:
                continue  # deleted what was not there
            url = sent["request"]["url"]
            if "location" in response:
                url = response["location"].partition("/_history")[0]
            type_name, id_ = url.split("/")[-2:]
            ver = int(re.findall(r"\d+", response["etag"])[0])
            is_deleted = sent["request"]["method"] == "DELETE"
            at = None if is_deleted else response.get("lastModified")
            together.append(Written((type_name, id_), ver, at))
        self.done.append(tuple(together))

    def _pair(self) -> tuple[str, str]:
        name = f"w{self._number}-{self._random.randrange(PAIRS)}"
        return f"{name}-a", f"{name}-b"

    def _basic(self, id_: str) -> dict[str, Any]:
        number = f"{self._number}-{self._counter}"
        return {"resourceType": "Basic", "id": id_, "code": {"text": number}}

    def _weight(self, number: str = "", **more: Any) -> dict[str, Any]:
        patient = f"Patient/p{self._random.randrange(PATIENTS)}"
        # Never the same twice: an update that changes nothing makes no version.
        value = f"{self._random.randrange(30, 99)}.{self._number}{self._counter:05}0"
        made = weight(patient, value) | more
        identifier = [{"system": _SYSTEM, "value": number}] if number else []
        return {**made, **({"identifier": identifier} if identifier else {})}

    def _shared(self) -> str:
        return f"s{self._random.randrange(SHARED)}"

    def _common_number(self) -> str:
        return str(self._random.randrange(8))


def _entry(method: str, url: str, resource: Any = None) -> dict[str, Any]:
    request = {"method": method, "url": url}
    return {"request": request} | ({} if resource is None else {"resource": resource})
