"""Findings that do not stand in the way: told to who asks, kept, counted by sender."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from api.patients import REVIEWED, fresh_number, resident
from ehr_server.fhir import json
from servers import Server

EXAMPLES = Path(__file__).parents[2] / "profiles" / "vn" / "examples"
LOCAL = "http://ehr-server.org/fhir/vn/StructureDefinition"
JSON = {"Content-Type": "application/fhir+json"}

pytestmark = pytest.mark.smoke


def from_sender(sender: str, **more: Any) -> dict[str, Any]:
    """A resident without a name, whom the local profile warns of, from a system of that name."""
    nameless = resident(meta={"source": sender, "profile": [f"{LOCAL}/resident"]}, **more)
    del nameless["name"]
    return nameless


def rows(client: httpx.Client, **asked: str) -> list[dict[str, Any]]:
    """The rows of $data-quality as dicts."""
    answer = client.get("/$data-quality", params=asked)
    assert answer.status_code == 200, answer.text
    found = [one for one in answer.json()["parameter"] if one["name"] == "row"]
    return [
        {part["name"]: next(v for k, v in part.items() if k != "name") for part in row["part"]}
        for row in found
    ]


def missing_names(client: httpx.Client, sender: str, **asked: str) -> int:
    """How often the name was missing in what a sender sent."""
    return sum(
        row["count"]
        for row in rows(client, sender=sender, **asked)
        if row["expression"] == "Patient.name"
    )


def test_the_three_findings_of_a_checkup_that_is_stored_are_counted_by_sender(
    client: httpx.Client,
) -> None:
    """By default local profiles warn."""
    sent = json.read((EXAMPLES / "bad" / "checkup-document--three-mistakes.json").read_bytes())
    sent["resource"]["meta"] = {"source": "http://clinic.example/his#7"}
    answer = client.post("/Bundle", content=json.write(sent["resource"]), headers=JSON)
    assert answer.status_code == 201, answer.text
    found = rows(client, sender="http://clinic.example/his")
    expected = {
        ("min", "Bundle.entry.resource.gender", f"{LOCAL}/resident"),
        ("slice", "Bundle.entry.resource.component", f"{LOCAL}/blood-pressure"),
        ("vn-lab-value", "Bundle.entry.resource", f"{LOCAL}/laboratory-result"),
    }
    assert {(row["rule"], row["expression"], row["profile"]) for row in found} == expected
    assert {(row["sender"], row["type"], row["severity"], row["count"]) for row in found} == {
        ("http://clinic.example/his", "Bundle", "warning", 1)
    }


def test_a_checkup_sent_as_a_transaction_is_counted_by_type(client: httpx.Client) -> None:
    sent = json.read((EXAMPLES / "good" / "checkup-transaction.json").read_bytes())
    person, pressure = sent["entry"][0]["resource"], sent["entry"][14]["resource"]
    person["meta"] = {"source": "http://commune.example/his"}
    del person["gender"]
    pressure["component"].pop()
    answer = client.post(
        "/", content=json.write(sent), headers={**JSON, "Prefer": "return=OperationOutcome"}
    )
    assert answer.status_code == 200, answer.text
    told = [
        (at, [issue["expression"][0] for issue in one["response"]["outcome"]["issue"]])
        for at, one in enumerate(answer.json()["entry"])
        if "outcome" in one["response"]
    ]
    assert told == [
        (0, ["Bundle.entry[0].resource.gender"]),
        (14, ["Bundle.entry[14].resource.component"]),
    ]
    found = rows(client, sender="http://commune.example/his")
    assert {(row["type"], row["expression"]) for row in found} == {
        ("Patient", "Patient.gender"),
        ("Observation", "Observation.component"),
    }


@pytest.mark.parametrize("kind", ["transaction", "batch"])
def test_a_sender_hears_of_them_who_prefers_the_outcome(client: httpx.Client, kind: str) -> None:
    """https://hl7.org/fhir/R4/http.html#ops, #transaction-response: hints and warnings."""
    entry = {
        "resource": from_sender("http://hears.example"),
        "request": {"method": "POST", "url": "Patient"},
    }
    bundle = {"resourceType": "Bundle", "type": kind, "entry": [entry]}
    (silent,) = client.post("/", json=bundle, headers=REVIEWED).json()["entry"]
    assert "outcome" not in silent["response"]
    wish = {"Prefer": "return=OperationOutcome, identity=review", "Accept-Language": "vi"}
    (told,) = client.post("/", json=bundle, headers=wish).json()["entry"]
    texts = {
        issue["expression"][0]: issue["details"]["text"]
        for issue in told["response"]["outcome"]["issue"]
    }
    assert texts["Bundle.entry[0].resource.name"].startswith("Thiếu name")
    alone = client.post("/Patient", json=entry["resource"], headers=wish)
    assert alone.status_code == 201
    severities = [issue["severity"] for issue in alone.json()["issue"]]
    assert severities[0] == "warning"
    assert severities[-1] == "information"
    again = client.post("/Patient", json=entry["resource"], headers=REVIEWED)
    assert again.json()["resourceType"] == "Patient"


def test_an_entry_is_told_ten_at_most(client: httpx.Client) -> None:
    identifiers = [
        {"system": "http://fhir.hl7.org.vn/core/sid/cccd", "value": f"0011740004{n}"}
        for n in range(10, 40)
    ]
    sent = resident(gender="male", identifier=identifiers)  # each disagrees with the gender
    entry = {"resource": sent, "request": {"method": "POST", "url": "Patient"}}
    answer = client.post(
        "/",
        json={"resourceType": "Bundle", "type": "transaction", "entry": [entry]},
        headers={"Prefer": "return=OperationOutcome"},
    )
    assert answer.status_code == 200, answer.text
    (one,) = answer.json()["entry"]
    assert len(one["response"]["outcome"]["issue"]) == 10


def test_each_version_counts_and_content_sent_again_does_not(client: httpx.Client) -> None:
    sender = "http://again.example"
    number = fresh_number()
    for _ in range(3):
        client.put("/Patient/again", json=from_sender(sender, number=number, id="again"))
    assert missing_names(client, sender) == 1
    sent = from_sender(sender, number=number, id="again", active=True)
    client.put("/Patient/again", json=sent)
    assert missing_names(client, sender) == 2
    client.delete("/Patient/again")
    assert missing_names(client, sender) == 2


def test_senders_do_not_wait_for_each_other_with_findings_not_seen_before(
    client: httpx.Client,
) -> None:
    """Several transactions write down what a kind of finding is; each is counted."""
    sender = "http://together.example"
    sent = [
        from_sender(sender) | {"identifier": resident(f"0011740{number:05}")["identifier"]}
        for number in range(24)
    ]
    for one in sent:
        del one["gender"], one["birthDate"]
    with ThreadPoolExecutor(8) as threads:
        statuses = list(
            threads.map(lambda one: client.post("/Patient", json=one).status_code, sent)
        )
    assert set(statuses) == {201}
    assert missing_names(client, sender) == 24


def test_what_is_refused_is_not_counted(client: httpx.Client) -> None:
    sender = "http://refused.example"
    entries = [
        {
            "resource": from_sender(sender, **more),
            "request": {"method": "POST", "url": "Patient"},
        }
        for more in ({}, {"managingOrganization": {"reference": "Organization/nowhere"}})
    ]
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
    assert client.post("/", json=bundle).status_code in (400, 422)
    assert rows(client, sender=sender) == []


def test_what_a_conditional_create_finds_is_not_counted(client: httpx.Client) -> None:
    sender = "http://conditional.example"
    number = "001174000777"
    sent = from_sender(sender) | {"identifier": resident(number)["identifier"]}
    criteria = {"If-None-Exist": f"identifier=http://fhir.hl7.org.vn/core/sid/cccd|{number}"}
    statuses = [client.post("/Patient", json=sent, headers=criteria).status_code for _ in "12"]
    assert statuses == [201, 200]
    assert missing_names(client, sender) == 1


def test_the_most_frequent_come_first(client: httpx.Client) -> None:
    sender = "http://often.example"
    for _ in range(2):
        client.post("/Patient", json=from_sender(sender))
    lesser = resident(meta={"source": sender, "profile": [f"{LOCAL}/resident"]})
    del lesser["gender"]
    client.post("/Patient", json=lesser)
    counts = [row["count"] for row in rows(client, sender=sender)]
    assert counts == sorted(counts, reverse=True)
    assert rows(client, sender=sender, type="Observation") == []
    assert rows(client, sender=sender, type="Patient") == rows(client, sender=sender)


def test_times_are_from_and_to_both_inclusive(client: httpx.Client, server: Server) -> None:
    sender = "http://times.example"
    client.post("/Patient", json=from_sender(sender))
    with psycopg.connect(str(server.database_url), autocommit=True) as connection:
        connection.execute(
            "update finding set at = '2026-10-05T08:30:00+07:00'"
            " where sender = (select id from sender where name = %s)",
            (sender,),
        )
    for since, until, expected in (
        ("2026-10-05", "2026-10-05", 1),  # a day in the zone of the settings
        ("2026-10-05T08:30:00+07:00", "2026-10", 1),
        ("2026-10-05T01:30:01Z", "2026-10", 0),
        ("2026", "2026-10-04", 0),
    ):
        assert missing_names(client, sender, _since=since, _until=until) == expected
    assert missing_names(client, sender, _until="2026-10-06") == 1


def test_it_may_be_posted(client: httpx.Client) -> None:
    client.post("/Patient", json=from_sender("http://posted.example"))
    sent = {
        "resourceType": "Parameters",
        "parameter": [
            {"name": "sender", "valueString": "http://posted.example"},
            {"name": "_since", "valueInstant": "2026-01-01T00:00:00Z"},
        ],
    }
    answer = client.post("/$data-quality", json=sent)
    asked = {"sender": "http://posted.example", "_since": "2026-01-01"}
    assert answer.json() == client.get("/$data-quality", params=asked).json()
    assert answer.json()["parameter"][0] == {"name": "more", "valueBoolean": False}


@pytest.mark.parametrize(
    "asked",
    ["_since=yesterday", "type=Person2", "from=1", "sender=a&sender=b", "_until=2026-02-30"],
)
def test_what_is_not_understood_is_refused(client: httpx.Client, asked: str) -> None:
    answer = client.get(f"/$data-quality?{asked}")
    assert answer.status_code == 400
    assert answer.json()["resourceType"] == "OperationOutcome"


def test_the_answer_is_a_resource_that_keeps_to_the_standard(client: httpx.Client) -> None:
    """Senders without a name, and rules of the standard itself, have no empty value."""
    nameless = from_sender("")
    del nameless["meta"]["source"]
    client.post("/Patient", json=nameless)
    answer = client.get("/$data-quality").content
    checked = client.post("/Parameters/$validate", content=answer, headers=JSON).json()
    assert [issue["severity"] for issue in checked["issue"]] == ["information"]


def test_a_checkup_with_three_findings_costs_little(server: Server) -> None:
    """No more than 300 bytes, with the indexes, in the mean of many."""
    with psycopg.connect(str(server.database_url), autocommit=True) as connection:
        connection.execute("create table measured (like finding including all)")
        connection.execute(
            "insert into measured select ('x' || substr(md5(n::text), 1, 16))::bit(64)::bigint, n,"
            " '2026-01-01'::timestamptz + n * interval '1 s', n % 50, array[n, n + 1, n + 2],"
            " array[n * 99991, n * 99989, n * 99971] from generate_series(1::bigint, 20000) n"
        )
        row = connection.execute("select pg_total_relation_size('measured')").fetchone()
    assert row is not None
    assert row[0] / 20_000 < 300
