"""Merging two records of one person over HTTP, and taking it back."""

from typing import Any

import httpx

from api.patients import resident

ACTIVITY = "http://terminology.hl7.org/CodeSystem/iso-21089-lifecycle"


def person(client: httpx.Client, number: str, **more: Any) -> str:
    """The id of a new Patient with an ID card number."""
    answer = client.post("/Patient", json=resident(number, **more))
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def merge(
    client: httpx.Client, source: str, target: str, *further: dict[str, Any], **headers: str
) -> httpx.Response:
    """`source` and `target` are ids, or ids with `/_history/2`."""
    return _posted(client, "$merge", [*_pair(source, target), *further], headers)


def unmerge(
    client: httpx.Client, source: str, target: str = "", *further: dict[str, Any], **headers: str
) -> httpx.Response:
    return _posted(client, "$unmerge", [*_pair(source, target), *further], headers)


def merged(client: httpx.Client, source: str, target: str) -> None:
    answer = merge(client, source, target)
    assert answer.status_code == 200, answer.text


def unmerged(client: httpx.Client, source: str) -> None:
    answer = unmerge(client, source)
    assert answer.status_code == 200, answer.text


def part(answer: httpx.Response, name: str) -> Any:
    """The resource of a parameter of an answer."""
    (found,) = [one["resource"] for one in answer.json()["parameter"] if one["name"] == name]
    return found


def content(client: httpx.Client, id_: str) -> dict[str, Any]:
    """The Patient without what each version has of its own."""
    found: dict[str, Any] = client.get(f"/Patient/{id_}").json()
    del found["meta"]["versionId"], found["meta"]["lastUpdated"]
    return found


def _pair(source: str, target: str) -> list[dict[str, Any]]:
    return [
        {"name": f"{role}-patient", "valueReference": {"reference": f"Patient/{id_}"}}
        for role, id_ in (("source", source), ("target", target))
        if id_
    ]


def _posted(
    client: httpx.Client, name: str, values: list[dict[str, Any]], headers: dict[str, str]
) -> httpx.Response:
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    body = {"resourceType": "Parameters", "parameter": values}
    return client.post(f"/Patient/{name}", json=body, headers=sent)
