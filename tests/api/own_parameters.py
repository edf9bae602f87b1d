"""A search parameter of one's own, and how it is seen to be there: for the tests about them."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx

from ehr_server.fhir import json
from servers import Server

BLOOD = "http://example.org/fhir/StructureDefinition/blood"
URL = "http://example.org/fhir/SearchParameter/patient-blood"


def parameter(**changed: Any) -> dict[str, Any]:
    """A parameter `blood` of Patient, by the code in an extension."""
    return {
        "resourceType": "SearchParameter",
        "id": "blood",
        "url": URL,
        "name": "Blood",
        "status": "active",
        "description": "Blood group",
        "code": "blood",
        "base": ["Patient"],
        "type": "token",
        "expression": f"Patient.extension.where(url = '{BLOOD}').value",
    } | changed


def person(group: str, **more: Any) -> dict[str, Any]:
    return {
        "resourceType": "Patient",
        "extension": [{"url": BLOOD, "valueCode": group}],
        **more,
    }


def within(seconds: float, is_so: Callable[[], bool]) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if is_so():
            return True
        time.sleep(0.05)
    return False


def put(client: httpx.Client, resource: dict[str, Any]) -> httpx.Response:
    return client.put(f"/{resource['resourceType']}/{resource['id']}", content=json.write(resource))


def is_ready(client: httpx.Client, address: str) -> bool:
    return client.get(address).status_code == 200


def ids(client: httpx.Client, address: str) -> list[str]:
    """All that a search finds, over its pages, sorted."""
    found: list[str] = []
    while address:
        page = client.get(address).json()
        found += [entry["resource"]["id"] for entry in page.get("entry", ())]
        links = {link["relation"]: link["url"] for link in page["link"]}
        address = links.get("next", "")
    return sorted(found)


def listed(client: httpx.Client, type_name: str) -> dict[str, dict[str, str]]:
    """By code the parameters of the type in the CapabilityStatement."""
    resources = client.get("/metadata").json()["rest"][0]["resource"]
    (here,) = [one for one in resources if one["type"] == type_name]
    return {one["name"]: one for one in here["searchParam"]}


def issue(answer: httpx.Response) -> dict[str, Any]:
    first: dict[str, Any] = answer.json()["issue"][0]
    return first


@contextmanager
def client_of(server: Server) -> Iterator[httpx.Client]:
    headers = {"Content-Type": "application/fhir+json"}
    with httpx.Client(base_url=server.fhir, timeout=30, headers=headers) as client:
        yield client


def ids_if_ready(client: httpx.Client, address: str) -> list[str] | None:
    return ids(client, address) if is_ready(client, address) else None
