"""Clients of a server that asks for tokens, by what their tokens say."""

from typing import Any

import httpx

from api import tokens
from api.patients import weight as exact_weight
from servers import Server

HIV = {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "HIV"}


def caller(server: Server, **facts: Any) -> httpx.Client:
    """A client with a token of these facts (`tokens.token_for`)."""
    token = tokens.token_for(server, **facts)
    return httpx.Client(base_url=server.fhir, headers=tokens.bearer(token), timeout=30)


def facility(server: Server, id_: str, *scopes: str, **more: Any) -> httpx.Client:
    """One that works for `Organization/<id_>`."""
    asked = scopes or ("system/*.cruds",)
    return caller(server, policy="facility", facility=id_, scopes=asked, **more)


def person(server: Server, id_: str, *scopes: str) -> httpx.Client:
    """The person of `Patient/<id_>`."""
    return caller(server, policy="person", patient=id_, scopes=scopes or ("patient/*.cruds",))


def everything(server: Server) -> httpx.Client:
    """One who may do everything; two facilities, `bv1` and `bv2`, are there from then on."""
    client = caller(server, policy="everything")
    for id_ in ("bv1", "bv2"):
        organization = {"resourceType": "Organization", "id": id_, "name": id_}
        assert client.put(f"/Organization/{id_}", json=organization).status_code in (200, 201)
    return client


def weight(patient: str, value: float = 52.5, **more: Any) -> dict[str, Any]:
    """A body weight of the patient (a reference), in numbers that any JSON library writes."""
    resource = exact_weight(patient)
    resource["valueQuantity"]["value"] = value
    return {**resource, **more}


def made(client: httpx.Client, resource: dict[str, Any]) -> str:
    """The id of a resource that is stored now."""
    answer = client.post(f"/{resource['resourceType']}", json=resource)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])
