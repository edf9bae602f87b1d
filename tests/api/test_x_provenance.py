"""X-Provenance: what is told along with a write is stored with it.

https://hl7.org/fhir/R4/provenance.html#header: "The intent is that the server picks up the
provenance, fills out the `target`, and then stores the provenance information as it normally
would."
"""

import json as plain
import uuid
from typing import Any

import httpx
import psycopg
import pytest

from api.patients import resident, weight
from api.pushes import JSON, bundle, is_repeated, keyed, new_key, post, put, send
from api.test_purge import purge
from ehr_server.definitions import definitions
from ehr_server.fhir import json
from ehr_server.interactions.provenance import HEADER
from servers import Server

pytestmark = pytest.mark.smoke

AGENT = {"agent": [{"who": {"display": "Trạm y tế xã"}}]}


def told(**more: Any) -> dict[str, str]:
    """The header, in ASCII."""
    return {HEADER: plain.dumps({"resourceType": "Provenance", **AGENT, **more})}


def create(client: httpx.Client, resource: dict[str, Any], **headers: str) -> httpx.Response:
    content = json.write(resource)
    return client.post(f"/{resource['resourceType']}", content=content, headers=JSON | headers)


def named(answer: httpx.Response) -> str:
    """`Patient/1/_history/1`, as the answer locates what was written."""
    return "/".join(answer.headers["location"].rsplit("/", 4)[1:])


def provenances(client: httpx.Client, target: str) -> list[dict[str, Any]]:
    """Those that a search by target finds."""
    found = client.get("/Provenance", params={"target": target}).json()
    return [entry["resource"] for entry in found.get("entry", ())]


def targets(provenance: dict[str, Any]) -> list[str]:
    return [one["reference"] for one in provenance["target"]]


def refused(answer: httpx.Response, status: int, place: str) -> None:
    """With the place, in the words of the header."""
    issue = answer.json()["issue"][0]
    assert (answer.status_code, issue["expression"]) == (status, [place]), answer.text


def stored(client: httpx.Client) -> tuple[int, int]:
    """How many Patients and Provenances there are."""
    counts = [
        client.get(f"/{name}", params={"_summary": "count"}).json()["total"]
        for name in ("Patient", "Provenance")
    ]
    return counts[0], counts[1]


def test_a_create_has_a_provenance_of_its_version(client: httpx.Client) -> None:
    answer = create(client, resident(), **told(recorded="2026-10-05T08:00:00+07:00"))
    assert answer.status_code == 201, answer.text
    (found,) = provenances(client, named(answer).split("/_history")[0])
    assert targets(found) == [named(answer)]
    assert found["agent"] == AGENT["agent"]
    assert found["recorded"] == "2026-10-05T08:00:00+07:00"
    assert found["meta"]["versionId"] == "1"


def test_it_is_stored_in_the_same_moment(client: httpx.Client) -> None:
    answer = create(client, resident(), **told())
    patient = client.get("/" + named(answer)).json()
    (found,) = provenances(client, named(answer))
    assert found["meta"]["lastUpdated"] == patient["meta"]["lastUpdated"]


def test_what_is_not_said_of_when_is_now(client: httpx.Client) -> None:
    """`recorded` is 1..1; the example of the standard has none: the server records it."""
    answer = create(client, resident(), **told())
    (found,) = provenances(client, named(answer))
    assert found["recorded"][:16] == found["meta"]["lastUpdated"][:16]


def test_updates_and_patches_have_one_each_version(client: httpx.Client) -> None:
    first = create(client, resident(), **told())
    here = named(first).split("/_history")[0]
    body = json.write(json.read(first.content) | {"gender": "male"})
    second = client.put(f"/{here}", content=body, headers=JSON | told())
    patch = plain.dumps([{"op": "replace", "path": "/gender", "value": "other"}])
    headers = {"Content-Type": "application/json-patch+json"} | told()
    third = client.patch(f"/{here}", content=patch, headers=headers)
    assert [second.status_code, third.status_code] == [200, 200], third.text
    every = sorted(target for one in provenances(client, here) for target in targets(one))
    assert every == [f"{here}/_history/{number}" for number in (1, 2, 3)]


def test_of_what_is_deleted_the_last_version_is_told(client: httpx.Client) -> None:
    """https://hl7.org/fhir/R4/provenance.html#removal: "If versioning is supported, the version
    that was deleted is referenced in Provenance.target"."""
    here = named(create(client, resident())).split("/_history")[0]
    assert client.delete(f"/{here}", headers=told()).status_code == 204
    (found,) = provenances(client, here)
    assert targets(found) == [f"{here}/_history/1"]


def test_where_nothing_is_written_nothing_is_told(client: httpx.Client) -> None:
    first = create(client, resident(), **told())
    here = named(first).split("/_history")[0]
    client.put(f"/{here}", content=first.content, headers=JSON | told())  # the same once more
    number = first.json()["identifier"][0]["value"]
    found = create(client, resident(number), **{"If-None-Exist": f"identifier={number}"}, **told())
    assert found.status_code == 200
    client.delete(f"/Patient/{uuid.uuid4()}", headers=told())
    assert len(provenances(client, here)) == 1


def test_one_covers_a_transaction(client: httpx.Client) -> None:
    urn = f"urn:uuid:{uuid.uuid4()}"
    sent = bundle("transaction", post(resident(), fullUrl=urn), post(weight(urn)))
    sent["entry"].append({"request": {"method": "GET", "url": "Patient?_summary=count"}})
    answer = send(client, sent, **told(agent=[{"who": {"reference": urn}}]))
    assert answer.status_code == 200, answer.text
    written = [
        one["response"]["location"].partition("/fhir/")[2] for one in answer.json()["entry"][:2]
    ]
    (found,) = provenances(client, written[0])
    assert targets(found) == written
    patient = written[0].split("/_history")[0]
    assert found["agent"][0]["who"]["reference"] == patient  # a link, followed as any other
    assert provenances(client, written[1].split("/_history")[0]) == [found]


def test_each_person_of_a_transaction_has_one(client: httpx.Client) -> None:
    """https://hl7.org/fhir/R4/provenance.html#patients: "multiple Provenance resources should be
    recorded, one for each Patient/Subject". Nobody's resources have one too."""
    one, other = f"urn:uuid:{uuid.uuid4()}", f"urn:uuid:{uuid.uuid4()}"
    place = {"resourceType": "Organization", "name": "Trạm y tế"}
    entries = [post(resident(), fullUrl=one), post(resident(), fullUrl=other), post(place)]
    answer = send(client, bundle("transaction", *entries, post(weight(one))), **told())
    first, second, third, fourth = written(answer)
    assert [targets(p) for p in provenances(client, first)] == [[first, fourth]]
    assert [targets(p) for p in provenances(client, second)] == [[second]]
    assert [targets(p) for p in provenances(client, third)] == [[third]]
    alone = send(client, bundle("transaction", post(place), post(resident())), **told())
    assert [targets(p) for p in provenances(client, written(alone)[1])] == [written(alone)]


def test_it_goes_with_the_record_of_the_person(client: httpx.Client) -> None:
    """Else it would stand in the way of a purge, as all that refers to the record from outside
    does, also after it was corrected."""
    here = named(create(client, resident())).split("/_history")[0]
    observation = named(create(client, weight(here), **told()))
    (found,) = provenances(client, observation)
    corrected = found | {"recorded": "2026-10-05T08:00:00+07:00"}
    headers = JSON | {"If-Match": 'W/"1"'}
    address = f"/Provenance/{found['id']}"
    assert client.put(address, content=json.write(corrected), headers=headers).status_code == 200
    done = purge(client, here.removeprefix("Patient/"))
    assert done.status_code == 200, done.text
    assert client.get(address).status_code in (404, 410)


def written(answer: httpx.Response) -> list[str]:
    """The versions that a Bundle has stored."""
    assert answer.status_code == 200, answer.text
    entries = answer.json()["entry"]
    return [one["response"]["location"].partition("/fhir/")[2] for one in entries]


def test_each_entry_of_a_batch_has_its_own(client: httpx.Client) -> None:
    """Each is a write of its own: what is refused has none."""
    sent = bundle("batch", post(resident()), post({"resourceType": "Patient", "gender": "x"}))
    sent["entry"].append(put(resident(), new_key()))
    answer = send(client, sent, **told())
    statuses = [one["response"]["status"][:3] for one in answer.json()["entry"]]
    assert statuses == ["201", "400", "201"]
    for entry in (answer.json()["entry"][0], answer.json()["entry"][2]):
        here = entry["response"]["location"].partition("/fhir/")[2]
        assert [targets(one) for one in provenances(client, here)] == [[here]]


def test_a_push_that_comes_again_stores_it_once(client: httpx.Client) -> None:
    key, body = new_key(), resident()
    first = create(client, body, **keyed(key), **told())
    again = create(client, body, **keyed(key), **told())
    assert is_repeated(again)
    assert len(provenances(client, named(first))) == 1
    other = create(client, body, **keyed(key), **told(agent=[{"who": {"display": "khác"}}]))
    assert (other.status_code, other.json()["issue"][0]["code"]) == (409, "duplicate")
    without = create(client, body, **keyed(key))
    assert without.status_code == 409


def test_transactions_and_batches_that_come_again_store_it_once(client: httpx.Client) -> None:
    for kind in ("transaction", "batch"):
        key, sent = new_key(), bundle(kind, post(resident()), post(resident()))
        first = send(client, sent, **keyed(key), **told())
        assert is_repeated(send(client, sent, **keyed(key), **told()))
        for entry in first.json()["entry"]:
            here = entry["response"]["location"].partition("/fhir/")[2]
            assert len(provenances(client, here)) == 1


def test_it_stays_json_beside_a_body_in_xml(client: httpx.Client) -> None:
    """ "Irrespective of the Content-Type or Accept headers, the Provenance resource is in the JSON
    format"."""
    xml = '<Patient xmlns="http://hl7.org/fhir"><gender value="female"/></Patient>'
    headers = {"Content-Type": "application/fhir+xml", "Accept": "application/fhir+xml"}
    answer = client.post("/Patient", content=xml, headers=headers | told())
    assert answer.status_code == 201, answer.text
    assert [targets(one) for one in provenances(client, named(answer))] == [[named(answer)]]


def test_its_letters_may_come_as_utf8(client: httpx.Client) -> None:
    header = json.write({"resourceType": "Provenance", **AGENT})
    answer = client.post(
        "/Patient",
        content=json.write(resident()),
        headers=[(b"Content-Type", b"application/fhir+json"), (HEADER.encode(), header)],
    )
    assert answer.status_code == 201, answer.text
    (found,) = provenances(client, named(answer))
    assert found["agent"] == AGENT["agent"]


def test_a_raw_binary_has_one(client: httpx.Client) -> None:
    headers = {"Content-Type": "application/pdf"} | told()
    answer = client.post("/Binary", content=b"%PDF-1.7", headers=headers)
    assert answer.status_code == 201, answer.text
    assert len(provenances(client, named(answer))) == 1


def test_what_is_kept_for_later_keeps_it(client: httpx.Client) -> None:
    """`Prefer: respond-async`: the request is answered in the background, headers and all."""
    sent = bundle("transaction", post(resident()))
    kept = send(client, sent, Prefer="respond-async", **told())
    assert kept.status_code == 202
    status = kept.headers["content-location"]
    for _ in range(200):
        answer = client.get(status)
        if answer.status_code == 200:
            break
    else:
        raise AssertionError("it was not answered")
    response = answer.json()["entry"][0]["resource"]["entry"][0]["response"]
    here = response["location"].partition("/fhir/")[2]
    assert [targets(one) for one in provenances(client, here)] == [[here]]


@pytest.mark.parametrize(
    ("header", "status", "place"),
    [
        ("{", 400, "X-Provenance"),
        ("", 400, "X-Provenance"),
        ("[]", 400, "X-Provenance"),
        ('{"resourceType":"Patient"}', 400, "X-Provenance"),
        ('{"resourceType":"Provenance","resourceType":"Provenance"}', 400, "X-Provenance"),
        ('{"resourceType":"Provenance","recorded":"2026"}', 400, "X-Provenance"),
        ("[" * 5_000, 400, "X-Provenance"),
        ('"' + "x" * 20_000 + '"', 413, "X-Provenance"),
        (
            '{"resourceType":"Provenance","agent":[{"who":{"display":"x"}}],"target":[]}',
            400,
            "X-Provenance.target",
        ),
        (
            '{"resourceType":"Provenance","agent":[{"who":{"display":"x"}}],'
            '"target":[{"reference":"Patient/1"}]}',
            400,
            "X-Provenance.target",
        ),
        (
            '{"resourceType":"Provenance","agent":[{"who":{"reference":"Practitioner/no"}}]}',
            422,
            "X-Provenance.agent[0].who.reference",
        ),
        (
            '{"resourceType":"Provenance","agent":[{"who":{"display":7}}]}',
            400,
            "X-Provenance.agent[0].who.display",
        ),
    ],
)
def test_what_is_wrong_with_it_is_refused_with_the_write(
    client: httpx.Client, header: str, status: int, place: str
) -> None:
    before = stored(client)
    for answer in (
        create(client, resident(), **{HEADER: header}),
        send(client, bundle("transaction", post(resident())), **{HEADER: header}),
    ):
        issue = answer.json()["issue"][0]
        assert answer.status_code == status, answer.text
        assert issue["expression"][0].startswith(place)
        assert issue["diagnostics"]
    assert stored(client) == before


def test_without_an_agent_it_is_refused_at_its_place(client: httpx.Client) -> None:
    """Provenance.agent is 1..*."""
    header = {HEADER: '{"resourceType":"Provenance","agent":[{}]}'}
    before = stored(client)
    answer = create(client, resident(), **header)
    assert answer.status_code == 400
    places = {place for one in answer.json()["issue"] for place in one["expression"]}
    assert any(place.startswith("X-Provenance.agent[0]") for place in places), places
    assert stored(client) == before


def test_two_headers_are_refused(client: httpx.Client) -> None:
    """Which of them is meant?"""
    (value,) = told().values()
    headers = [("Content-Type", JSON["Content-Type"]), (HEADER, value), (HEADER, value)]
    answer = client.post("/Patient", content=json.write(resident()), headers=headers)
    refused(answer, 400, "X-Provenance")


def test_a_refusal_speaks_vietnamese(client: httpx.Client) -> None:
    answer = create(client, resident(), **{HEADER: "{", "Accept-Language": "vi"})
    text = answer.json()["issue"][0]["details"]["text"]
    assert text.startswith("X-Provenance không phải JSON hợp lệ")


def test_a_refused_write_stores_no_provenance(client: httpx.Client) -> None:
    before = stored(client)
    assert create(client, resident() | {"gender": "x"}, **told()).status_code == 400
    assert stored(client) == before


def test_of_what_only_reads_it_is_left_unheeded(client: httpx.Client) -> None:
    """ "The use of the header is not documented for other HTTP methods (GET etc)"."""
    assert client.get("/Patient", headers={HEADER: "{"}).status_code == 200


def test_its_version_has_the_sender_of_the_write(server: Server, client: httpx.Client) -> None:
    """One sender for all that a transaction stores, as the Bundle names it: and where nothing
    does, the resource that is written, not the header."""
    whole, single = f"https://his.example.vn/{new_key()}", f"https://lab.example.vn/{new_key()}"
    sent = bundle("transaction", post(resident()), meta={"source": f"{whole}#7"})
    assert send(client, sent, **told()).status_code == 200
    create(client, resident(meta={"source": single}), **told(meta={"source": "urn:other"}))
    assert senders(server, whole) == senders(server, single) == ["Patient", "Provenance"]


def test_a_patch_has_the_sender_that_the_resource_names(
    server: Server, client: httpx.Client
) -> None:
    source = f"https://his.example.vn/{new_key()}"
    answer = create(client, resident(meta={"source": source}))
    patch = plain.dumps([{"op": "replace", "path": "/gender", "value": "other"}])
    headers = {"Content-Type": "application/json-patch+json"} | told()
    here = named(answer).split("/_history")[0]
    assert client.patch(f"/{here}", content=patch, headers=headers).status_code == 200
    assert senders(server, source) == ["Patient", "Patient", "Provenance"]


def senders(server: Server, name: str) -> list[str]:
    """The types of the versions that a sender has stored."""
    with psycopg.connect(server.database_url or "") as connection:
        rows = connection.execute(
            "select v.type from version v join sender s on s.id = v.sender where s.name = %s",
            (name,),
        ).fetchall()
    return sorted(definitions().type_name[number] for (number,) in rows)


def test_the_capability_statement_says_so(client: httpx.Client) -> None:
    """ "Servers MAY ignore the header", so a client wants to know."""
    assert HEADER in client.get("/metadata").json()["rest"][0]["documentation"]
