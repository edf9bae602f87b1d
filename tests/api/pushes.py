"""Pushes under keys, and what is told of them, for the tests of receipts."""

import uuid
from typing import Any

import httpx

from api.patients import resident, weight
from ehr_server.fhir import json

JSON = {"Content-Type": "application/fhir+json"}
REPEATED = "idempotency-replayed"
OWN = ("x-request-id", "date", "server", REPEATED)


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
