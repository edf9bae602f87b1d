"""Merging two records of one person over HTTP, and taking it back."""

from itertools import count
from typing import Any

import httpx

from api.patients import REVIEWED, resident
from api.test_referential_integrity import weight

MRN = "http://fhir.hl7.org.vn/core/sid/mrn"

_numbers = count(500_000)


def new_number() -> str:
    """The number of an ID card that nobody has yet."""
    return f"001174{next(_numbers)}"


def person(client: httpx.Client, number: str, **more: Any) -> str:
    """The id of a new Patient with an ID card number, whoever else has it."""
    answer = client.post("/Patient", json=resident(number, **more), headers=REVIEWED)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def observed(client: httpx.Client, patient: str) -> str:
    """The id of a new Observation of the Patient."""
    answer = client.post("/Observation", json=weight(f"Patient/{patient}"))
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def found(client: httpx.Client, address: str) -> set[str]:
    """The ids of what a search finds; it finds each once."""
    answer = client.get(f"/{address}")
    assert answer.status_code == 200, answer.text
    ids = [one["resource"]["id"] for one in answer.json().get("entry", ())]
    assert len(set(ids)) == len(ids), address
    return set(ids)


def merge(
    client: httpx.Client, source: str, target: str, *further: dict[str, Any], **headers: str
) -> httpx.Response:
    """`source` and `target` are ids, or ids with `/_history/2`; "" is left out."""
    return _posted(client, "$merge", [*_pair(source, target), *further], headers)


def unmerge(
    client: httpx.Client, source: str, target: str = "", *further: dict[str, Any], **headers: str
) -> httpx.Response:
    """So too."""
    return _posted(client, "$unmerge", [*_pair(source, target), *further], headers)


def merged(client: httpx.Client, source: str, target: str) -> None:
    """Merge the two."""
    answer = merge(client, source, target)
    assert answer.status_code == 200, answer.text


def unmerged(client: httpx.Client, source: str) -> None:
    """Take its merge back."""
    answer = unmerge(client, source)
    assert answer.status_code == 200, answer.text


def part(answer: httpx.Response, name: str) -> Any:
    """The resource of a parameter of an answer."""
    (only,) = [one["resource"] for one in answer.json()["parameter"] if one["name"] == name]
    return only


def content(client: httpx.Client, id_: str) -> dict[str, Any]:
    """The Patient without what each version has of its own."""
    return version(client, id_, "")


def version(client: httpx.Client, id_: str, address: str) -> dict[str, Any]:
    """So too of `/_history/1`."""
    patient: dict[str, Any] = client.get(f"/Patient/{id_}{address}").json()
    meta = patient.pop("meta")
    rest = {name: one for name, one in meta.items() if name not in ("versionId", "lastUpdated")}
    return {**patient, "meta": rest} if rest else patient


def referring(patient: str) -> dict[str, str]:
    """A Reference to the Patient of an id."""
    return {"reference": f"Patient/{patient}"}


def _pair(source: str, target: str) -> list[dict[str, Any]]:
    return [
        {"name": f"{role}-patient", "valueReference": referring(id_)}
        for role, id_ in (("source", source), ("target", target))
        if id_
    ]


def _posted(
    client: httpx.Client, name: str, values: list[dict[str, Any]], headers: dict[str, str]
) -> httpx.Response:
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    body = {"resourceType": "Parameters", "parameter": values}
    return client.post(f"/Patient/{name}", json=body, headers=sent)
