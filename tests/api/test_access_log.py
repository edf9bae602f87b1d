"""The access log: whatever is told or written of a person is logged before it is told.

AuditEvent: https://hl7.org/fhir/R4/auditevent.html
"""

from base64 import b64decode
from collections.abc import Iterator
from typing import Any

import httpx
import psycopg
import pytest

from api.exports import finished
from api.patients import CCCD, fresh_number, resident, weight
from api.tokens import bearer, machine
from api.tokens import settings as with_tokens
from databases import open_folder
from ehr_server.fhir import json
from servers import Server, client_of, serving

FHIR = {"Content-Type": "application/fhir+json"}


def created(client: httpx.Client, resource: dict[str, Any]) -> str:
    """The id that it has been given."""
    answer = client.post(f"/{resource['resourceType']}", content=json.write(resource), headers=FHIR)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def events(client: httpx.Client, **asked: str) -> list[dict[str, Any]]:
    """The AuditEvents that are found, in the order of the answer."""
    answer = client.get("/AuditEvent", params=asked)
    assert answer.status_code == 200, answer.text
    return [entry["resource"] for entry in answer.json().get("entry", [])]


def deeds(client: httpx.Client, patient: str) -> list[str]:
    """What was done with a person's record, the oldest first."""
    found = events(client, patient=f"Patient/{patient}", _count="100")
    return [one["subtype"][-1]["code"].rpartition("/")[2] for one in reversed(found)]


def entity(event: dict[str, Any], role: str) -> dict[str, Any]:
    """The entity in a role."""
    (found,) = (one for one in event["entity"] if one.get("role", {}).get("code") == role)
    return dict(found)


def test_whatever_is_done_with_a_record_is_logged_once_for_the_person(client: httpx.Client) -> None:
    id_ = created(client, resident())
    created(client, weight(f"Patient/{id_}"))
    client.get(f"/Patient/{id_}")
    client.head(f"/Patient/{id_}")
    client.get(f"/Observation?patient={id_}")
    client.post("/Observation/_search", data={"patient": id_})
    client.get(f"/Patient/{id_}/$everything")
    client.put(f"/Patient/{id_}", json={**resident(), "id": id_, "gender": "male"})
    assert deeds(client, id_) == [
        *("create", "create", "read", "read", "search-type", "search-type"),
        *("Patient-everything", "update"),
    ]


def test_an_event_tells_who_what_when_and_how_it_ended(client: httpx.Client) -> None:
    """IHE BALP, Patient Read: https://profiles.ihe.net/ITI/BALP/"""
    id_ = created(client, resident())
    read = client.get(f"/Patient/{id_}", headers={"X-Request-Id": "his-7"})
    found = events(client, patient=id_, action="R")[0]
    assert found["recorded"] > read.json()["meta"]["lastUpdated"]
    assert (found["type"]["code"], found["action"], found["outcome"]) == ("rest", "R", "0")
    agents = [one["type"]["coding"][0]["code"] for one in found["agent"]]
    assert agents == ["110152", "110153"]  # who reads is the destination of the data
    assert [one["requestor"] for one in found["agent"]] == [True, False]
    assert entity(found, "1")["what"] == {"reference": f"Patient/{id_}"}
    assert entity(found, "4")["what"] == {"reference": f"Patient/{id_}"}
    assert found["entity"][0]["what"]["identifier"]["value"] == "his-7"


def test_an_event_can_be_read_and_is_valid(client: httpx.Client) -> None:
    id_ = created(client, resident())
    created(client, weight(f"Patient/{id_}"))
    client.get(f"/Patient/{id_}")
    client.get(f"/Observation?patient={id_}&code=29463-7")
    client.get(f"/Patient/{id_}/$everything")
    client.get("/Patient?nonsense=1")
    found = [*events(client, patient=id_), *events(client, outcome="4", _count="1")]
    assert len(found) == 6
    for one in found:
        assert client.get(f"/AuditEvent/{one['id']}").json() == one
        checked = client.post("/AuditEvent/$validate", json=one).json()
        severe = [i for i in checked["issue"] if i["severity"] in ("error", "warning")]
        assert severe == [], one
    assert client.get("/AuditEvent/log-0000000000000000").status_code == 404


def test_a_search_is_told_as_it_was_asked(client: httpx.Client) -> None:
    """IHE BALP, Patient Query: the search in base64."""
    id_ = created(client, resident())
    created(client, weight(f"Patient/{id_}"))
    client.get(f"/Observation?patient={id_}&code=29463-7")
    query = entity(events(client, patient=id_)[0], "24")
    assert b64decode(query["query"]).decode() == f"Observation?patient={id_}&code=29463-7"


def test_a_search_that_finds_many_tells_of_each(client: httpx.Client) -> None:
    family = "Nhiều" + fresh_number()[-4:]
    ids = {created(client, resident(name=[{"family": family}])) for _ in range(25)}
    assert client.get(f"/Patient?family={family}&_count=20").json()["entry"]
    looked = [id_ for id_ in ids if "search-type" in deeds(client, id_)]
    assert len(looked) == 20  # those on the page, and nobody else


def test_a_transaction_tells_of_all_it_wrote_and_read(client: httpx.Client) -> None:
    read = created(client, resident())
    entries = [
        {"request": {"method": "GET", "url": f"Patient/{read}"}},
        {"request": {"method": "POST", "url": "Patient"}, "resource": resident()},
    ]
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
    answer = client.post("/", json=bundle).json()
    written = answer["entry"][1]["response"]["location"].split("/Patient/")[1].split("/")[0]
    assert deeds(client, read) == ["create", "transaction"]
    assert deeds(client, written) == ["transaction"]


def test_each_entry_of_a_batch_is_told_by_itself(client: httpx.Client) -> None:
    one, other = created(client, resident()), created(client, resident())
    entries = [
        {"request": {"method": "GET", "url": f"Patient/{one}"}},
        {"request": {"method": "GET", "url": f"Patient?_id={other}"}},
        {"request": {"method": "GET", "url": "Patient/nobody"}},
        {"request": {"method": "POST", "url": "Patient"}, "resource": resident()},
    ]
    bundle = {"resourceType": "Bundle", "type": "batch", "entry": entries}
    client.post("/", json=bundle, headers={"X-Request-Id": "the-batch"})
    assert deeds(client, one) == ["create", "read"]
    assert deeds(client, other) == ["create", "search-type"]
    refused = events(client, outcome="4", entity="Patient/nobody")[0]
    assert refused["entity"][0]["what"]["identifier"]["value"] == "the-batch"


def test_refusals_and_searches_without_hits_are_logged_and_name_nobody(
    client: httpx.Client,
) -> None:
    before = len(events(client, outcome="4", _count="1000"))
    client.get("/Patient/nobody")
    client.get("/Patient?nonsense=1")
    client.get("/nonsense")
    client.delete("/Patient")
    found = events(client, outcome="4", _count="1000")
    assert len(found) == before + 4
    told = [one["entity"][-1] for one in found[:4]]
    assert all(one["type"]["code"] == "2" for one in told)  # no person
    client.get("/Patient?family=nobodyhasthisname")
    last = events(client, subtype="search-type", _count="2")[1]
    assert (last["outcome"], [e["type"]["code"] for e in last["entity"]]) == (
        "0",
        ["XrequestId", "2"],
    )


def test_a_write_that_was_refused_leaves_the_refusal_alone(client: httpx.Client) -> None:
    number = fresh_number()
    created(client, resident(number))
    refused = client.post("/Patient", json=resident(number))
    assert refused.status_code == 409
    newest = events(client, action="C", _count="1")[0]
    assert newest["outcome"] == "4"


def test_numbers_of_persons_stand_nowhere_in_the_log(server: Server, client: httpx.Client) -> None:
    number = fresh_number()
    created(client, resident(number))
    spaced = f"{number[:3]} {number[3:6]} {number[6:]}"
    for asked in (
        f"/Patient?identifier={CCCD}|{number}",
        f"/Patient?identifier={spaced}",
        f"/Patient?name={number}&{number}=1",
        f"/Patient/{number}",
        f"/Patient/{number}/_history",
        f"/{number}",
        f"/Observation?patient.identifier={number}",
        f"/Observation?patient=Patient/{number}",
        f"/$receipt?key={number}",
    ):
        client.get(asked, headers={"X-Request-Id": number})
    client.post("/Patient/_search", data={"identifier": number})
    assert server.database_url is not None
    with psycopg.connect(server.database_url) as connection:
        rows = connection.execute("select request, what from access_log").fetchall()
        words = connection.execute("select word from access_word").fetchall()
    assert len(rows) > 10
    text = str(rows) + str(words)
    assert number not in text
    assert spaced not in text
    assert number not in client.get("/AuditEvent?_count=100").text


def test_pages_go_on_where_they_ended_and_show_no_number(client: httpx.Client) -> None:
    id_ = created(client, resident())
    for _ in range(7):
        client.get(f"/Patient/{id_}")
    found: list[str] = []
    answer = client.get(f"/AuditEvent?patient=Patient/{id_}&action=R&_count=3").json()
    while True:
        found += [entry["resource"]["id"] for entry in answer["entry"]]
        links = {link["relation"]: link["url"] for link in answer["link"]}
        if "next" not in links:
            break
        answer = client.get(links["next"]).json()
    assert len(found) == len(set(found)) == 7
    assert found == sorted(found, reverse=True)
    assert client.get(f"/AuditEvent?patient=x&_page={'a' * 60}").status_code == 400


def test_dates_actions_outcomes_and_agents_narrow_what_is_found(client: httpx.Client) -> None:
    id_ = created(client, resident())
    client.get(f"/Patient/{id_}")
    at = events(client, patient=id_, action="R")[0]["recorded"]
    assert len(events(client, patient=id_, date=f"ge{at}")) >= 1
    assert events(client, patient=id_, date=f"gt{at}", action="R") == []
    assert events(client, patient=id_, date="lt2020") == []
    assert len(events(client, patient=id_, date=at[:4], action="R,C")) == 2
    assert events(client, patient=id_, outcome="4") == []
    assert events(client, patient=id_, agent="somebody") == []
    assert events(client, purpose="BTG", patient=id_) == []
    assert client.get("/AuditEvent?date=yesterday").status_code == 400
    assert client.get("/AuditEvent?_sort=-nothing").status_code == 400


def test_what_others_have_stored_is_found_among_it_by_time(client: httpx.Client) -> None:
    id_ = created(client, resident())
    others = []
    for day in ("2020-01-01", "2020-01-02", "2099-01-01"):
        event = events(client, patient=id_)[0]
        sent = {**event, "recorded": f"{day}T00:00:00Z"}
        del sent["id"], sent["meta"]
        others.append(created(client, sent))
    old, middle, future = others
    found: list[str] = []
    answer = client.get(f"/AuditEvent?patient=Patient/{id_}&_count=2").json()
    while True:
        found += [entry["resource"]["id"] for entry in answer["entry"]]
        links = {link["relation"]: link["url"] for link in answer["link"]}
        if "next" not in links:
            break
        answer = client.get(links["next"]).json()
    assert found[0] == future
    assert found[-2:] == [middle, old]
    assert len(found) == len(set(found)) >= 7


def test_nobody_stores_an_event_that_looks_like_one_of_the_log(client: httpx.Client) -> None:
    id_ = created(client, resident())
    event = events(client, patient=id_)[0]
    assert client.put(f"/AuditEvent/{event['id']}", json=event).status_code == 403
    assert client.delete(f"/AuditEvent/{event['id']}").status_code in (204, 403, 404, 405)
    assert client.get(f"/AuditEvent/{event['id']}").json() == event


def test_reading_the_log_of_a_person_is_logged(client: httpx.Client) -> None:
    id_ = created(client, resident())
    events(client, patient=id_)
    newest = events(client, patient=id_)[0]
    assert newest["subtype"][0]["code"] == "search-type"
    assert b64decode(entity(newest, "24")["query"]).startswith(b"AuditEvent?patient=")


def test_reading_one_event_of_a_person_is_logged(client: httpx.Client) -> None:
    id_ = created(client, resident())
    (event,) = events(client, patient=id_)
    assert client.get(f"/AuditEvent/{event['id']}").status_code == 200
    assert deeds(client, id_) == ["create", "search-type", "read"]


def test_a_table_of_one_person_is_logged_for_them(client: httpx.Client) -> None:
    """https://sql-on-fhir.org/ig/OperationDefinition-ViewDefinitionRun.html, `patient`; also
    where it stands in the body alone."""
    one, other = created(client, resident()), created(client, resident())
    view = {
        "resourceType": "ViewDefinition",
        "resource": "Patient",
        "status": "active",
        "select": [{"column": [{"name": "id", "path": "getResourceKey()"}]}],
    }
    parameter = [
        {"name": "viewResource", "resource": view},
        {"name": "patient", "valueReference": {"reference": f"Patient/{one}"}},
    ]
    sent = {"resourceType": "Parameters", "parameter": parameter}
    answer = client.post("/ViewDefinition/$viewdefinition-run?_format=csv", json=sent)
    assert (answer.status_code, one in answer.text) == (200, True), answer.text
    assert deeds(client, one)[1:] == ["$viewdefinition-run"]
    assert deeds(client, other) == ["create"]


def test_a_merge_that_is_looked_at_beforehand_is_logged(client: httpx.Client) -> None:
    source, target = created(client, resident()), created(client, resident())
    parameter = [
        {"name": "source-patient", "valueReference": {"reference": f"Patient/{source}"}},
        {"name": "target-patient", "valueReference": {"reference": f"Patient/{target}"}},
        {"name": "preview", "valueBoolean": True},
    ]
    sent = {"resourceType": "Parameters", "parameter": parameter}
    answer = client.post("/Patient/$merge", json=sent)
    assert answer.status_code == 200, answer.text
    assert deeds(client, target) == ["create", "Patient-merge"]


def test_the_log_of_a_person_is_that_of_all_their_records(client: httpx.Client) -> None:
    source, target = created(client, resident()), created(client, resident())
    client.get(f"/Patient/{source}")
    merged = client.post(
        "/Patient/$merge",
        json={
            "resourceType": "Parameters",
            "parameter": [
                {
                    "name": "source-patient",
                    "valueReference": {"reference": f"Patient/{source}"},
                },
                {
                    "name": "target-patient",
                    "valueReference": {"reference": f"Patient/{target}"},
                },
            ],
        },
    )
    assert merged.status_code == 200, merged.text
    assert "read" in deeds(client, target)


def test_an_export_is_logged_with_what_it_asks_for(client: httpx.Client) -> None:
    answer = client.get("/$export?_type=Patient", headers={"Prefer": "respond-async"})
    assert answer.status_code == 202
    newest = events(client, action="E", _count="1")[0]
    assert newest["subtype"][-1]["code"].endswith("/export")
    assert entity(newest, "4")["description"] == "$export?_type=Patient"
    manifest = finished(client, answer)
    names = [one["subtype"][0].get("display") for one in events(client, action="E", _count="20")]
    assert "export-end" in names
    (file,) = manifest["output"]
    client.get(file["url"])
    fetched = events(client, action="E", _count="1")[0]
    assert fetched["subtype"][0]["display"] == "export-download"


@pytest.fixture
def unwritable(database: str) -> Iterator[tuple[Server, str]]:
    with serving(database) as server:
        yield server, database


def test_what_cannot_be_logged_is_not_told(unwritable: tuple[Server, str]) -> None:
    """It fails closed: 503, and nothing of the person."""
    server, database = unwritable
    with client_of(server) as client:
        id_ = created(client, resident())
        with psycopg.connect(database, autocommit=True) as connection:
            connection.execute("alter table access_log rename to hidden")
            for asked in (f"/Patient/{id_}", f"/Patient?_id={id_}", "/Patient/nobody"):
                answer = client.get(asked)
                assert answer.status_code == 503, asked
                assert answer.json()["resourceType"] == "OperationOutcome"
                assert "Ngọp" not in answer.text
            refused = client.post("/Patient", json=resident())
            assert refused.status_code >= 500
            assert client.get("/metadata").status_code == 200  # tells of nobody
            connection.execute("alter table hidden rename to access_log")
        assert client.get(f"/Patient/{id_}").status_code == 200
        assert (
            client.get("/Patient?_summary=count").json()["total"] == 1
        )  # none was stored unlogged


def test_it_can_be_switched_off(database: str) -> None:
    with serving(database, audit="off") as server, client_of(server) as client:
        id_ = created(client, resident())
        client.get(f"/Patient/{id_}")
        assert events(client, patient=id_) == []
    with psycopg.connect(database) as connection:
        assert connection.execute("select count(*) from access_log").fetchone() == (0,)


def test_a_request_that_cannot_be_taken_as_it_came_is_logged_with_who_sent_it(
    database: str,
) -> None:
    """Those who review see whose program goes astray."""
    sent: dict[str, dict[str, Any]] = {
        "type": {"url": "/Patient", "headers": {"Accept": "image/png"}},
        "twice": {"url": "/Patient?_format=json&_format=xml"},
        "host": {"url": "/Patient", "headers": {"Host": "a/b"}},
        "gzip": {"url": "/Patient", "content": b"x", "headers": {"Content-Encoding": "gzip"}},
        "large": {"url": "/Patient", "content": b" " * 2_000, "headers": FHIR},
        "binary": {"url": "/Binary", "content": b"x", "headers": {"Content-Type": "x"}},
    }
    with (
        open_folder() as folder,
        serving(database, **with_tokens(folder), body_bytes_max="1024") as server,
        client_of(server) as client,
    ):
        token = bearer(machine(database).token(server))
        for name, asked in sent.items():
            headers = {**asked.get("headers", {}), **token, "X-Request-Id": name}
            method = "POST" if "content" in asked else "GET"
            answer = client.request(method, **{**asked, "headers": headers})
            assert 400 <= answer.status_code < 500, name
    with psycopg.connect(database) as connection:
        rows = connection.execute(
            'select a.request, a.status, w.word like \'%"client":"%\' from access_log a'
            " join access_word w on w.id = a.who"
        ).fetchall()
    found = {request: (status, is_named) for request, status, is_named in rows}
    expected = {"type": 406, "twice": 400, "host": 400, "gzip": 400, "large": 413, "binary": 415}
    assert found == {name: (status, True) for name, status in expected.items()}
