"""Links that hold no number are followed as any other, by whatever client, at whatever process.

https://hl7.org/fhir/R4/http.html#paging: "a server SHOULD return the links"; what they look like is
the server's own affair, and clients follow them as they stand.
"""

import time
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest

from api.patients import CCCD, resident, weight
from servers import Server, serving

NUMBERS = [f"0011740004{at:02}" for at in range(7)]
BY_NUMBERS = {"identifier": ",".join(f"{CCCD}|{number}" for number in NUMBERS), "_count": "2"}
IDS = [f"p{at}" for at in range(7)]


@pytest.fixture(scope="module", autouse=True)
def people(server: Server) -> None:
    """Seven residents, a weight of each."""
    with httpx.Client(base_url=server.fhir) as client:
        for id_, number in zip(IDS, NUMBERS, strict=True):
            client.put(f"/Patient/{id_}", json=resident(number, id=id_)).raise_for_status()
            own = weight(f"Patient/{id_}") | {"id": f"w{id_}"}
            own["valueQuantity"]["value"] = 52.5
            client.put(f"/Observation/w{id_}", json=own).raise_for_status()


def links(bundle: Mapping[str, Any]) -> dict[str, str]:
    return {one["relation"]: one["url"] for one in bundle["link"]}


def ids(bundle: Mapping[str, Any]) -> list[str]:
    return [one["resource"]["id"] for one in bundle.get("entry", ())]


def found(client: httpx.Client, method: str, address: str, asked: dict[str, str]) -> dict[str, Any]:
    if method == "POST":
        answer = client.post(address, data=asked)
    else:
        answer = client.get(address, params=asked)
    assert answer.status_code == 200, answer.text
    bundle: dict[str, Any] = answer.json()
    return bundle


def pages(client: httpx.Client, first: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """All pages from the first on, each by the link of the one before."""
    page = dict(first)
    while True:
        yield page
        if "next" not in links(page):
            return
        answer = client.get(links(page)["next"])
        assert answer.status_code == 200, answer.text
        page = answer.json()


SEARCHES: list[tuple[str, str, dict[str, str]]] = [
    ("GET", "/Patient", BY_NUMBERS),
    ("POST", "/Patient/_search", BY_NUMBERS),
    ("POST", "/Patient/_search", {"name": "ngop", "birthdate": "1974-05-20", "_count": "2"}),
    ("POST", "/Patient/_search", {"_count": "2", "_sort": "-_lastUpdated", "gender": "female"}),
    ("GET", "/Observation", {"patient.identifier": BY_NUMBERS["identifier"], "_count": "3"}),
    ("POST", "/Observation/_search", {"subject:Patient.name": "ngop", "_count": "3"}),
    ("GET", "/Patient", {"name": "ngop", "_count": "2",
                         "_filter": f"identifier eq {NUMBERS[0]} or gender eq female"}),
    ("POST", "/_search", {"_type": "Patient,Coverage", **BY_NUMBERS}),
]  # fmt: skip


@pytest.mark.parametrize(("method", "address", "asked"), SEARCHES)
def test_pages_are_followed_to_the_end_and_back(
    client: httpx.Client, method: str, address: str, asked: dict[str, str]
) -> None:
    seen = list(pages(client, found(client, method, address, asked)))
    several = [id_ for page in seen for id_ in ids(page)]
    assert len(several) == len(set(several)) == 7
    for page in seen:
        shown = [name for name, _ in parse_qsl(urlsplit(links(page)["self"]).query)]
        assert shown[0] == "_sealed"
        assert "_count" in shown
    back = seen[-1]
    for expected in reversed(seen[:-1]):
        back = client.get(links(back)["previous"]).json()
        assert ids(back) == ids(expected)
    assert ids(client.get(links(seen[1])["first"]).json()) == ids(seen[0])


@pytest.mark.parametrize(("method", "address", "asked"), SEARCHES[:2])
def test_self_finds_the_same_again(
    client: httpx.Client, method: str, address: str, asked: dict[str, str]
) -> None:
    first = found(client, method, address, asked)
    again = client.get(links(first)["self"]).json()
    assert ids(again) == ids(first)
    assert again["total"] == first["total"] == 7


def test_what_shapes_the_answer_stays_readable_and_can_be_changed(client: httpx.Client) -> None:
    form = BY_NUMBERS | {"_elements": "gender", "_format": "json"}
    first = client.post("/Patient/_search", data=form).json()
    shown = dict(parse_qsl(urlsplit(links(first)["self"]).query))
    assert {name: shown[name] for name in ("_count", "_elements")} == {
        "_count": "2",
        "_elements": "gender",
    }
    wider = links(first)["self"].replace("_count=2", "_count=5")
    assert len(ids(client.get(wider).json())) == 5


def test_a_link_is_followed_by_post_too(client: httpx.Client) -> None:
    first = client.post("/Patient/_search", data=BY_NUMBERS).json()
    form = dict(parse_qsl(urlsplit(links(first)["next"]).query))
    second = client.post("/Patient/_search", data=form).json()
    assert ids(second) == ids(client.get(links(first)["next"]).json())


def test_a_link_is_followed_in_a_batch_and_in_the_background(client: httpx.Client) -> None:
    first = client.get("/Patient", params=BY_NUMBERS).json()
    url = links(first)["next"].rsplit("/fhir/", 1)[1]
    asked = {
        "resourceType": "Bundle",
        "type": "batch",
        "entry": [{"request": {"method": "GET", "url": url}}],
    }
    second = ids(client.get(f"/{url}").json())
    assert ids(client.post("", json=asked).json()["entry"][0]["resource"]) == second
    kicked = client.post(
        "/Patient/_search", data=BY_NUMBERS, headers={"Prefer": "respond-async"}
    ).headers["content-location"]
    answer = client.get(kicked)
    for _ in range(200):
        if answer.status_code != 202:
            break
        time.sleep(0.05)
        answer = client.get(kicked)
    (entry,) = answer.json()["entry"]
    assert "identifier" not in repr(entry["resource"]["link"])
    assert ids(client.get(links(entry["resource"])["next"]).json()) == second


def test_lastn_shows_no_number_either(client: httpx.Client) -> None:
    by_number = {"patient.identifier": NUMBERS[0], "patient": "Patient/p0", "code": "29463-7"}
    newest = client.get("/Observation/$lastn", params=by_number).json()
    assert "identifier" not in links(newest)["self"]
    assert ids(client.get(links(newest)["self"]).json()) == ids(newest) == ["wp0"]


@pytest.mark.parametrize("damage", ["cut", "changed", "of-another-type", "none"])
def test_a_token_that_is_not_ours_is_refused_and_says_what_to_do(
    client: httpx.Client, damage: str
) -> None:
    self = links(client.get("/Patient", params=BY_NUMBERS).json())["self"]
    token = dict(parse_qsl(urlsplit(self).query))["_sealed"]
    address, sealed = {
        "cut": ("/Patient", token[:-9]),
        "changed": ("/Patient", token[:20] + ("A" if token[20] != "A" else "B") + token[21:]),
        "of-another-type": ("/Observation", token),
        "none": ("/Patient", "x"),
    }[damage]
    answer = client.get(address, params={"_sealed": sealed}, headers={"Accept-Language": "vi"})
    assert answer.status_code == 400
    (issue,) = answer.json()["issue"]
    assert issue["expression"] == ["_sealed"]
    assert "search again by the parameters themselves" in issue["diagnostics"]
    assert "nguyên liên kết" in issue["details"]["text"]


def test_every_process_and_every_server_of_the_database_follows_them(
    server: Server, module_database: str
) -> None:
    with (
        serving(module_database, workers="2") as other,
        httpx.Client(base_url=server.fhir, timeout=30) as client,
    ):
        first = client.get("/Patient", params=BY_NUMBERS).json()
        url = links(first)["next"].replace(server.fhir, other.fhir)
        expected = ids(client.get(links(first)["next"]).json())
        for _ in range(20):  # a connection each, so that both processes are asked
            assert ids(httpx.get(url, timeout=30).json()) == expected


def test_a_number_in_a_parameter_of_ones_own(client: httpx.Client) -> None:
    """A string taken out of an identifier is somebody's number as much as that."""
    client.put(
        "/SearchParameter/card",
        json={
            "resourceType": "SearchParameter",
            "id": "card",
            "url": "http://example.org/fhir/SearchParameter/card",
            "name": "Card",
            "status": "active",
            "description": "The number on the card",
            "code": "card",
            "base": ["Patient"],
            "type": "string",
            "expression": "Patient.identifier.value",
        },
    ).raise_for_status()
    for _ in range(300):
        answer = client.get("/Patient?card=00117&_count=2")
        if answer.status_code == 200:
            break
        time.sleep(0.1)
    assert "00117" not in repr(answer.json()["link"])
    assert len([id_ for page in pages(client, answer.json()) for id_ in ids(page)]) == 7
