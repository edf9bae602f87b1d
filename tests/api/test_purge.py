"""$purge: a person's record is removed for good, and an AuditEvent tells of it.

An operation of this server: docs/guides/references-and-deleting.md. What the AuditEvent is:
https://hl7.org/fhir/R4/auditevent.html
"""

from hashlib import sha256
from typing import Any

import httpx
import psycopg
import pytest
from sqlalchemy import Column

from api.patients import resident
from api.test_referential_integrity import weight
from ehr_server.hashing import person_comp
from ehr_server.store.purge import TABLES
from ehr_server.store.tables import metadata
from servers import Server

pytestmark = pytest.mark.smoke

REASON = "Order 12/2026 of the court"


def purge(client: httpx.Client, id_: str, **more: Any) -> httpx.Response:
    """The answer to $purge of a person; `more` in place of what is right."""
    given = {"reason": REASON, "confirm": id_} | more
    values = [
        {"name": name, "valueBoolean" if isinstance(value, bool) else "valueString": value}
        for name, value in given.items()
        if value is not None
    ]
    body = {"resourceType": "Parameters", "parameter": values}
    return client.post(f"/Patient/{id_}/$purge", json=body)


def _person(client: httpx.Client, card: str) -> str:
    id_ = str(client.post("/Patient", json=resident(card)).json()["id"])
    client.put(f"/Patient/{id_}", json=resident(card, id=id_, active=True))
    gone = client.post("/Observation", json=weight(f"Patient/{id_}")).json()["id"]
    client.delete(f"/Observation/{gone}")
    assert client.post("/Observation", json=weight(f"Patient/{id_}")).status_code == 201
    return id_


def _columns() -> list[tuple[str, Column[Any]]]:
    """Of all tables but the access log, which stays: who looked is still told."""
    tables = [table for table in metadata.sorted_tables if table.name != "access_log"]
    return [(table.name, column) for table in tables for column in table.columns]


def test_no_table_holds_a_row_of_the_person(server: Server, client: httpx.Client) -> None:
    id_ = _person(client, "001174111111")
    history = [client.get(f"/Patient/{id_}/_history/{ver}").content for ver in (1, 2)]
    answer = purge(client, id_)
    assert answer.status_code == 200, answer.text
    values = {one["name"]: one for one in answer.json()["parameter"]}
    assert values["versions"]["valueInteger"] == 5
    for address in ("", "/_history/1"):
        assert client.get(f"/Patient/{id_}{address}").status_code in (404, 410)
    assert client.get(f"/Patient/{id_}").status_code == 410
    assert client.get("/Patient?identifier=001174111111").json()["total"] == 0
    with psycopg.connect(server.database_url or "") as connection:
        for table, column in _columns():
            if column.name in ("comp", "home"):
                count = f"select count(*) from {table} where {column.name} = %s"
                assert connection.execute(count, (person_comp(id_),)).fetchone() == (0,), table
            if str(column.type) == "TEXT":
                count = f"select count(*) from {table} where {column.name} like '%%001174111111%%'"
                assert connection.execute(count).fetchone() == (0,), table
    assert history[0] != history[1]


def test_the_tables_of_a_compartment_are_all_named() -> None:
    keyed = {table for table, column in _columns() if column.name == "comp"}
    assert keyed - {"rid", "member"} == set(TABLES)


def test_the_audit_event_tells_of_it(client: httpx.Client) -> None:
    id_ = _person(client, "001174222222")
    addresses = [f"/Patient/{id_}/_history/{ver}" for ver in (1, 2)]
    observations = client.get("/Observation/_history?_count=1000").json()["entry"]
    for entry in observations:
        name, ver = entry["fullUrl"].split("/")[-1], entry["response"]["etag"][3:-1]
        if entry.get("resource", {}).get("subject", {}).get("reference") == f"Patient/{id_}":
            addresses += [f"/Observation/{name}/_history/{ver}"]
    values = {one["name"]: one for one in purge(client, id_).json()["parameter"]}
    (entry,) = client.get("/AuditEvent?subtype=destroy&_sort=-_lastUpdated&_count=1").json()[
        "entry"
    ]
    event = entry["resource"]
    assert values["audit"]["valueUri"] == f"AuditEvent/{event['id']}"
    assert event["purposeOfEvent"] == [{"text": REASON}]
    (entity,) = event["entity"]
    assert entity["what"] == {"identifier": {"value": f"Patient/{id_}"}}
    details = {one["type"]: one["valueString"] for one in entity["detail"]}
    assert details["sha256"] == values["sha256"]["valueString"]
    assert (details["Patient"], details["Observation"], details["versions"]) == ("1", "2", "5")
    assert "Ngọp" not in str(event)
    assert "001174222222" not in str(event)


def test_the_digest_can_be_made_anew_from_the_contents(client: httpx.Client) -> None:
    id_ = client.post("/Patient", json=resident("001174333333")).json()["id"]
    content = client.get(f"/Patient/{id_}").content
    line = f"Patient/{id_}/_history/1 {sha256(content).hexdigest()}\n"
    values = {one["name"]: one for one in purge(client, id_).json()["parameter"]}
    assert values["sha256"]["valueString"] == sha256(line.encode()).hexdigest()


def test_numbers_serve_another_and_the_id_never(client: httpx.Client) -> None:
    id_ = _person(client, "001174444444")
    purge(client, id_)
    again = client.put(f"/Patient/{id_}", json=resident("001174444444", id=id_))
    assert again.status_code == 409
    assert client.post("/Patient", json=resident("001174444444")).status_code == 201
    assert client.delete(f"/Patient/{id_}").status_code == 204
    assert purge(client, id_).status_code == 410
    assert purge(client, "never").status_code == 404


@pytest.mark.parametrize("wrong", [{"reason": None}, {"reason": " "}, {"confirm": "other"}])
def test_what_must_be_said(client: httpx.Client, wrong: dict[str, Any]) -> None:
    id_ = client.post("/Patient", json=resident()).json()["id"]
    assert purge(client, id_, **wrong).status_code == 400
    assert client.get(f"/Patient/{id_}").status_code == 200


def test_a_dry_run_removes_nothing_and_who_refers_from_outside_stands_in_the_way(
    client: httpx.Client,
) -> None:
    id_ = client.post("/Patient", json=resident("001174666666")).json()["id"]
    group = {"resourceType": "Group", "type": "person", "actual": True}
    member = [{"entity": {"reference": f"Patient/{id_}"}}]
    listed = client.post(
        "/List",
        json={
            "resourceType": "List",
            "status": "current",
            "mode": "working",
            "entry": [{"item": {"reference": f"Patient/{id_}"}}],
        },
    ).json()["id"]
    joined = client.post("/Patient", json=resident("001174777777")).json()["id"]
    both = {**group, "member": [{"entity": {"reference": f"Patient/{joined}"}}, *member]}
    grouped = client.post("/Group", json=both).json()["id"]
    dry = purge(client, id_, **{"dry-run": True})
    told = [one["valueString"] for one in dry.json()["parameter"] if one["name"] == "refers"]
    assert any(f"List/{listed}" in one for one in told), told
    refused = purge(client, id_)
    assert refused.status_code == 409
    assert client.get(f"/Patient/{id_}").status_code == 200
    client.delete(f"/List/{listed}")
    client.delete(f"/Group/{grouped}")
    assert purge(client, id_).status_code == 200
    assert client.get(f"/Patient/{joined}").status_code == 200
