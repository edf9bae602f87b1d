"""transaction: https://hl7.org/fhir/R4/http.html#transaction and #trules"""

from typing import Any

import httpx
import pytest

from api.patients import CCCD, resident, weight
from ehr_server.fhir import json

pytestmark = pytest.mark.smoke


def post(resource: dict[str, Any], full_url: str = "", **request: str) -> dict[str, Any]:
    entry = {
        "resource": resource,
        "request": {"method": "POST", "url": resource["resourceType"], **request},
    }
    return {"fullUrl": full_url, **entry} if full_url else entry


def transaction(client: httpx.Client, *entries: dict[str, Any], **headers: str) -> httpx.Response:
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": list(entries)}
    return client.post(
        "/", content=json.write(bundle), headers={"Content-Type": "application/json", **headers}
    )


URN = "urn:uuid:61ebe359-bfdc-4613-8bf2-c5e300945f0a"


def test_entries_are_answered_in_the_order_sent(client: httpx.Client) -> None:
    client.put("/Patient/t-old", json=resident(id="t-old"))
    client.put("/Patient/t-gone", json=resident(id="t-gone"))
    put = {"method": "PUT", "url": "Patient/t-old"}
    answer = transaction(
        client,
        {"request": {"method": "GET", "url": "Patient/t-old"}},
        {"resource": resident(id="t-old", active=True), "request": put},
        {"request": {"method": "DELETE", "url": "Patient/t-gone"}},
        post(resident(), URN),
    )
    assert answer.status_code == 200, answer.text
    entries = answer.json()["entry"]
    assert [entry["response"]["status"][:3] for entry in entries] == ["200", "200", "204", "201"]
    assert entries[0]["resource"]["active"] is True  # GET comes last and sees the PUT
    assert entries[1]["response"]["etag"] == 'W/"2"'
    assert entries[3]["response"]["location"].endswith("/_history/1")


def test_links_follow_the_new_ids_wherever_they_stand(client: httpx.Client) -> None:
    """Reference.reference, uri, url, oid, uuid and <a href>, <img src> in narrative; in contained
    resources and extensions too; never in canonical."""
    observation = {
        **weight(URN),
        "meta": {"profile": [URN]},
        "text": {
            "status": "generated",
            "div": f'<div xmlns="http://www.w3.org/1999/xhtml"><a href="{URN}">x</a>'
            f'<img src="{URN}" alt="p"/>{URN}</div>',
        },
        "contained": [
            {"resourceType": "Provenance", "id": "c", "target": [{"reference": URN}],
             "recorded": "2026-01-01T00:00:00Z", "agent": [{"who": {"reference": URN}}]}
        ],
        "extension": [
            {"url": "http://example.org/a", "valueReference": {"reference": URN}},
            {"url": "http://example.org/b", "valueUri": URN},
            {"url": "http://example.org/c", "valueCanonical": URN},
            {"url": "http://example.org/d", "valueString": URN},
        ],
        "hasMember": [{"reference": "#c"}],
    }  # fmt: skip
    answer = transaction(client, post(observation), post(resident(), URN))
    assert answer.status_code == 200, answer.text
    places = [entry["response"]["location"] for entry in answer.json()["entry"]]
    patient = "/".join(places[1].split("/")[-4:-2])
    stored = client.get(places[0]).json()
    assert stored["subject"]["reference"] == patient
    assert stored["contained"][0]["target"][0]["reference"] == patient
    assert stored["contained"][0]["agent"][0]["who"]["reference"] == patient
    values = [list(extension.values())[1] for extension in stored["extension"]]
    assert values == [{"reference": patient}, patient, URN, URN]
    assert f'href="{patient}"' in stored["text"]["div"]
    assert f'src="{patient}"' in stored["text"]["div"]
    assert stored["text"]["div"].count(URN) == 1  # plain text is no link
    assert stored["meta"]["profile"] == [URN]


def test_conditional_references_are_resolved(client: httpx.Client) -> None:
    system = "http://example.org/licence"
    doctor = {"resourceType": "Practitioner", "identifier": [{"system": system, "value": "d-1"}]}
    id_ = client.post("/Practitioner", json=doctor).json()["id"]
    performer = [{"reference": f"Practitioner?identifier={system}|d-1"}]
    answer = transaction(
        client, post({**weight(URN), "performer": performer}), post(resident(), URN)
    )
    stored = client.get(answer.json()["entry"][0]["response"]["location"]).json()
    assert stored["performer"][0]["reference"] == f"Practitioner/{id_}"
    performer[0]["reference"] = f"Practitioner?identifier={system}|nobody"
    answer = transaction(
        client, post(resident(), URN), post({**weight(URN), "performer": performer})
    )
    assert answer.status_code == 412
    assert answer.json()["issue"][0]["expression"] == [
        "Bundle.entry[1].resource.performer[0].reference"
    ]


def test_if_none_exist_and_links_to_what_it_found(client: httpx.Client) -> None:
    criteria = {"ifNoneExist": f"identifier={CCCD}|001174000777"}
    id_ = client.post("/Patient", json=resident("001174000777")).json()["id"]
    answer = transaction(client, post(resident("001174000777"), URN, **criteria), post(weight(URN)))
    found, stored = (entry["response"] for entry in answer.json()["entry"])
    assert found["status"] == "200 OK"
    assert client.get(stored["location"]).json()["subject"]["reference"] == f"Patient/{id_}"


def test_one_wrong_entry_and_nothing_is_stored(client: httpx.Client) -> None:
    entries = [post(weight(URN)) for _ in range(300)]
    entries[299]["resource"]["statuss"] = "final"
    before = client.get("/Observation?_count=0").json()["total"]
    answer = transaction(client, post(resident("001174000888"), URN), *entries)
    assert answer.status_code == 400
    assert answer.json()["issue"][0]["expression"] == ["Bundle.entry[300].resource.statuss"]
    assert client.get("/Patient?identifier=001174000888").json()["total"] == 0
    assert client.get("/Observation?_count=0").json()["total"] == before


@pytest.mark.parametrize(
    ("entry", "status"),
    [
        ({"request": {"method": "GET", "url": "Patient/nobody"}}, 404),
        (post(weight("Patient/nobody")), 422),
        (post(weight("urn:uuid:00000000-0000-0000-0000-000000000000"), URN), 422),
        ({"resource": resident(), "request": {"method": "PUT", "url": "Patient/x"}}, 400),
        ({"request": {"method": "POST", "url": "Patient"}}, 400),
        ({"resource": resident(), "request": {"method": "POST", "url": "Nonsense"}}, 404),
        ({"resource": resident()}, 400),
        ({"resource": resident(), "request": {"method": "POST", "url": "Observation"}}, 400),
        (
            {
                "resource": resident(id="t-m"),
                "request": {"method": "PUT", "url": "Patient/t-m", "ifMatch": 'W/"1"'},
            },
            412,
        ),
    ],
)
def test_any_refusal_refuses_all(client: httpx.Client, entry: dict[str, Any], status: int) -> None:
    answer = transaction(client, post(resident("001174000666")), entry)
    assert answer.status_code == status, answer.text
    assert answer.json()["resourceType"] == "OperationOutcome"
    assert client.get("/Patient?identifier=001174000666").json()["total"] == 0


def test_one_resource_twice_is_refused(client: httpx.Client) -> None:
    """The resources in the bundle SHALL each be unique."""
    put = {"method": "PUT", "url": "Patient/twice"}
    entry = {"resource": resident(id="twice"), "request": put}
    assert transaction(client, entry, entry).status_code == 400


def test_representation_on_request(client: httpx.Client) -> None:
    answer = transaction(client, post(resident()), Prefer="return=representation")
    assert answer.json()["entry"][0]["resource"]["resourceType"] == "Patient"


def test_an_empty_transaction_is_fine(client: httpx.Client) -> None:
    bundle = {"resourceType": "Bundle", "type": "transaction"}
    answer = client.post("", json=bundle)
    assert answer.json() == {"resourceType": "Bundle", "type": "transaction-response"}


@pytest.mark.parametrize("url", ["$export", "Patient/$export"])
def test_an_operation_cannot_commit_half_a_transaction(client: httpx.Client, url: str) -> None:
    answer = transaction(
        client,
        post(resident("001174000999")),
        {"request": {"method": "GET", "url": url}},
        {"request": {"method": "GET", "url": "Patient/nobody"}},
    )
    assert answer.status_code == 400
    assert answer.json()["issue"][0]["expression"] == ["Bundle.entry[1].request"]
    assert client.get("/Patient?identifier=001174000999").json()["total"] == 0


@pytest.mark.parametrize(
    ("request_", "status", "place"),
    [
        ({"method": "POST", "url": "Nonsense"}, 404, "Bundle.entry[1].request"),
        ({"method": "PATCH", "url": "Patient/x"}, 400, "Bundle.entry[1].resource"),
        ({"method": "PUT", "url": "Patient"}, 400, "Bundle.entry[1].request"),
        ({"method": "PUT", "url": "Patient/x/_history/1"}, 405, "Bundle.entry[1].request"),
        ({"method": "PUT", "url": "Patient/x", "ifMatch": "1"}, 400, "Bundle.entry[1].request"),
        (
            {"method": "POST", "url": "Patient", "ifNoneExist": "nonsense=1"},
            400,
            "Bundle.entry[1].resource",
        ),
    ],
)
def test_a_refusal_names_the_entry(
    client: httpx.Client, request_: dict[str, str], status: int, place: str
) -> None:
    answer = transaction(
        client, post(resident()), {"resource": resident(id="x"), "request": request_}
    )
    assert answer.status_code == status
    assert answer.json()["issue"][0]["expression"] == [place]


def test_what_the_transaction_deletes_cannot_be_referred_to(client: httpx.Client) -> None:
    client.put("/Patient/t-leaving", json=resident(id="t-leaving"))
    answer = transaction(
        client,
        {"request": {"method": "DELETE", "url": "Patient/t-leaving"}},
        post(weight("Patient/t-leaving")),
    )
    assert answer.status_code == 422
    assert client.get("/Patient/t-leaving").status_code == 200


def test_the_same_criteria_in_other_words_create_no_two(client: httpx.Client) -> None:
    twice = [
        post(resident("001174000666"), ifNoneExist=criteria)
        for criteria in ("identifier=001174000666", "?identifier=00117400066%36")
    ]
    assert transaction(client, *twice).status_code == 400


def test_no_entries_at_all(client: httpx.Client) -> None:
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": None}
    assert client.post("/", json=bundle).status_code == 400


def test_the_entries_of_a_stored_bundle_refer_to_each_other(client: httpx.Client) -> None:
    """bundle.html#references: a document is whole in itself, nothing of it need be here."""
    page = {
        "resourceType": "Composition",
        "status": "final",
        "type": {"text": "Kết luận khám"},
        "subject": {"reference": "Patient/7"},
        "author": [{"reference": "urn:uuid:11111111-1111-1111-1111-111111111111"}],
        "date": "2026-10-05",
        "title": "Kết luận",
    }
    document = {
        "resourceType": "Bundle",
        "type": "document",
        "identifier": {"system": "urn:ietf:rfc:3986", "value": URN},
        "timestamp": "2026-10-05T08:30:00+07:00",
        "entry": [{"fullUrl": "http://his.example.vn/fhir/Composition/1", "resource": page}],
    }
    assert transaction(client, post(document, URN)).status_code == 200
