"""search of a type: https://hl7.org/fhir/R4/http.html#search

What each parameter finds is told in docs/reference/search.md; here is what every search has.
"""

from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from api.patients import CCCD, resident, weight
from ehr_server.fhir import json
from servers import Server

JSON = {"Content-Type": "application/fhir+json"}
_PEOPLE = 5


@pytest.fixture(scope="module")
def people(server: Server) -> list[str]:
    with httpx.Client(base_url=server.fhir) as client:
        return [
            client.post("/Patient", json=resident(f"00117400{at:04}")).json()["id"]
            for at in range(_PEOPLE)
        ]


@pytest.mark.usefixtures("people")
def test_a_search_answers_a_searchset(client: httpx.Client) -> None:
    """Each match with its fullUrl and its mode, and a link to what was asked."""
    answer = client.get("/Patient", params={"identifier": f"{CCCD}|001174000003"})
    assert answer.status_code == 200
    bundle = answer.json()
    assert (bundle["resourceType"], bundle["type"], bundle["total"]) == ("Bundle", "searchset", 1)
    (entry,) = bundle["entry"]
    assert entry["search"] == {"mode": "match"}
    assert (
        entry["fullUrl"] == str(client.base_url).rstrip("/") + f"/Patient/{entry['resource']['id']}"
    )
    assert [link["relation"] for link in bundle["link"]] == ["self"]


@pytest.mark.usefixtures("people")
def test_a_form_asks_the_same_without_a_number_in_the_address(client: httpx.Client) -> None:
    """GET and POST _search mean the same; the parameters of both are taken together."""
    form = {"identifier": f"{CCCD}|001174000003"}
    posted = client.post("/Patient/_search", data=form).json()
    asked = client.get("/Patient", params=form).json()
    assert posted["entry"] == asked["entry"]
    both = client.post("/Patient/_search?_id=nobody", data=form).json()
    assert both["total"] == 0


def test_the_pages_are_the_whole_and_no_one_twice(client: httpx.Client, people: list[str]) -> None:
    """Server paging (http.html#paging): go on at the link next until there is none."""
    found, address = [], "/Patient?_count=2"
    while address:
        bundle = client.get(address).json()
        assert len(bundle["entry"]) <= 2
        found += [entry["resource"]["id"] for entry in bundle["entry"]]
        address = next((e["url"] for e in bundle["link"] if e["relation"] == "next"), "")
    assert sorted(found) == sorted(people)


@pytest.mark.usefixtures("people")
def test_a_link_tells_nobody_who_is_on_the_page(client: httpx.Client) -> None:
    bundle = client.get("/Patient?_count=2").json()
    (link,) = (one["url"] for one in bundle["link"] if one["relation"] == "next")
    assert parse_qs(urlsplit(link).query).keys() == {"_count", "_page"}
    assert all(entry["resource"]["id"] not in link for entry in bundle["entry"])


def test_nothing_found_is_an_empty_searchset(client: httpx.Client) -> None:
    answer = client.get("/Patient?identifier=nobody")
    assert (answer.status_code, answer.json()["total"]) == (200, 0)
    assert "entry" not in answer.json()


def test_a_parameter_that_is_not_known_is_refused_by_name(client: httpx.Client) -> None:
    """Strict unless the client prefers lenient handling (http.html#handling)."""
    refused = client.get("/Patient?colour=red")
    assert refused.status_code == 400
    assert "colour" in refused.json()["issue"][0]["details"]["text"]
    lenient = client.get("/Patient?colour=red", headers={"Prefer": "handling=lenient"})
    assert lenient.status_code == 200
    assert "colour" not in next(e["url"] for e in lenient.json()["link"] if e["relation"] == "self")


def test_head_gives_the_headers_alone(client: httpx.Client) -> None:
    answer = client.head("/Patient")
    assert (answer.status_code, answer.content) == (200, b"")


def test_what_is_found_is_what_is_read(client: httpx.Client, people: list[str]) -> None:
    content = json.write(weight(f"Patient/{people[0]}"))
    client.post("/Observation", content=content, headers=JSON)
    (entry,) = client.get(f"/Observation?patient={people[0]}").json()["entry"]
    read = client.get(f"/Observation/{entry['resource']['id']}")
    assert read.json() == entry["resource"]
    assert '"value":52.50' in read.text
