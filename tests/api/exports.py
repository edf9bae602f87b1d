"""An export kicked off, and its manifest read, for tests of what is asked for."""

import time
from typing import Any

import httpx

from ehr_server.fhir import json

ASYNC = {"Prefer": "respond-async"}
LENIENT = {"Prefer": "respond-async, handling=lenient"}

Parameter = tuple[str, str, Any]  # name, element, value


def put(client: httpx.Client, *resources: dict[str, Any]) -> None:
    """Store the resources under their ids, in one transaction."""
    entries = [
        {
            "resource": one,
            "request": {"method": "PUT", "url": f"{one['resourceType']}/{one['id']}"},
        }
        for one in resources
    ]
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
    answer = client.post(
        "/", content=json.write(bundle), headers={"Content-Type": "application/fhir+json"}
    )
    assert answer.status_code == 200, answer.text


def exported(client: httpx.Client, address: str = "/$export", **query: Any) -> dict[str, Any]:
    """The manifest of the export that the address and query ask for by GET."""
    return finished(client, client.get(address, params=query, headers=ASYNC))


def posted(client: httpx.Client, address: str, *parameters: Parameter) -> dict[str, Any]:
    """The same by POST, with a Parameters resource."""
    several = [{"name": name, element: value} for name, element, value in parameters]
    body = {"resourceType": "Parameters", "parameter": several}
    return finished(client, client.post(address, json=body, headers=ASYNC))


def kicked_off(client: httpx.Client, address: str = "/$export", **query: Any) -> str:
    """The address of the status."""
    kicked = client.get(address, params=query, headers=ASYNC)
    assert kicked.status_code == 202, kicked.text
    return kicked.headers["content-location"]


def finished(client: httpx.Client, kicked: httpx.Response) -> dict[str, Any]:
    """The manifest, once the export that was kicked off is done."""
    assert kicked.status_code == 202, kicked.text
    return manifest_at(client, kicked.headers["content-location"])


def manifest_at(client: httpx.Client, address: str) -> dict[str, Any]:
    """The manifest, once there is one at the address of the status."""
    for _ in range(300):
        status = client.get(address)
        if status.status_code == 200:
            assert status.headers["content-type"].startswith("application/json")
            assert status.headers["expires"].endswith("GMT")
            manifest: dict[str, Any] = status.json()
            return manifest
        assert status.status_code == 202, status.text
        time.sleep(0.05)
    raise AssertionError("the export does not end")


def resources(client: httpx.Client, manifest: dict[str, Any], kind: str = "output") -> list[Any]:
    """All resources of the files, in their order."""
    return [
        json.read(line)
        for file in manifest[kind]
        for line in client.get(file["url"]).content.splitlines()
    ]


def names(client: httpx.Client, manifest: dict[str, Any]) -> list[str]:
    """`Type/id` of all resources of the export, sorted."""
    return sorted(f"{one['resourceType']}/{one['id']}" for one in resources(client, manifest))
