"""Conditional delete: https://hl7.org/fhir/R4/http.html#delete, "Conditional delete"."""

from collections.abc import Iterator

import httpx
import pytest

from api.patients import CCCD, resident
from servers import serving

pytestmark = pytest.mark.smoke


def about(*numbers: str) -> dict[str, str]:
    return {"identifier": ",".join(f"{CCCD}|{number}" for number in numbers)}


def test_one_match_is_deleted(client: httpx.Client) -> None:
    """The server performs an ordinary delete interaction on the matching resource."""
    id_ = client.post("/Patient", json=resident("001174002001")).json()["id"]
    answer = client.delete("/Patient", params=about("001174002001"))
    assert (answer.status_code, answer.headers["ETag"]) == (204, 'W/"2"')
    assert client.get(f"/Patient/{id_}").status_code == 410


def test_no_match_is_well_and_changes_nothing(client: httpx.Client) -> None:
    before = client.get("/_history").json()["entry"][:1]
    assert client.delete("/Patient", params=about("001174002099")).status_code == 204
    assert client.get("/_history").json()["entry"][:1] == before


def test_several_matches_are_412_and_none_is_deleted(client: httpx.Client) -> None:
    """A server may choose to delete one alone: `conditionalDelete` is `single`."""
    for number in ("001174002002", "001174002003"):
        client.post("/Patient", json=resident(number))
    both = about("001174002002", "001174002003")
    assert client.delete("/Patient", params=both).status_code == 412
    assert client.get("/Patient", params=both).json()["total"] == 2


@pytest.mark.parametrize("query", ["", "?", "?_pretty=true", "?_count=1", "?_format=json", "?x=1"])
def test_criteria_that_ask_for_nothing_delete_nothing(client: httpx.Client, query: str) -> None:
    client.put("/Patient/stays", json=resident("001174002004", id="stays"))
    answer = client.delete(f"/Patient{query}")
    assert answer.status_code == 400
    assert "criteria" in answer.json()["issue"][0]["details"]["text"].lower() or "x=1" in query
    assert client.get("/Patient/stays").status_code == 200


def test_in_a_bundle(client: httpx.Client) -> None:
    id_ = client.post("/Patient", json=resident("001174002005")).json()["id"]
    url = f"Patient?identifier={CCCD}|001174002005"
    entries = [{"request": {"method": "DELETE", "url": url}}]
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
    answer = client.post("/", json=bundle)
    assert answer.json()["entry"][0]["response"]["status"].startswith("204")
    assert client.get(f"/Patient/{id_}").status_code == 410


@pytest.fixture(scope="module")
def of_several(module_database: str) -> Iterator[httpx.Client]:
    """A server that may delete up to three at once."""
    with (
        serving(module_database, conditional_delete_max="3") as server,
        httpx.Client(base_url=server.fhir) as client,
    ):
        yield client


def test_by_a_setting_several_are_deleted_together(of_several: httpx.Client) -> None:
    numbers = [f"00117400210{at}" for at in range(4)]
    for number in numbers:
        of_several.post("/Patient", json=resident(number))
    assert of_several.delete("/Patient", params=about(*numbers)).status_code == 412
    wish = {"Prefer": "return=OperationOutcome"}
    answer = of_several.delete("/Patient", params=about(*numbers[:3]), headers=wish)
    assert answer.status_code == 200
    assert answer.json()["issue"][0]["details"]["text"] == "Deleted: 3."
    left = of_several.get("/Patient", params=about(*numbers)).json()["entry"]
    assert [entry["resource"]["identifier"][0]["value"] for entry in left] == numbers[3:]
    none = of_several.delete("/Patient", params=about(*numbers[:3]))
    assert none.status_code == 204


def test_the_statement_says_which_of_the_two(
    client: httpx.Client, of_several: httpx.Client
) -> None:
    for http, expected in ((client, "single"), (of_several, "multiple")):
        resource = http.get("/metadata").json()["rest"][0]["resource"][0]
        assert resource["conditionalDelete"] == expected
