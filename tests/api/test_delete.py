"""delete: https://hl7.org/fhir/R4/http.html#delete"""

import httpx
import pytest

from api.patients import resident

pytestmark = pytest.mark.smoke


def test_deleted_is_410_and_the_history_stays(client: httpx.Client) -> None:
    """A read SHALL return 410; the history interaction still gives the earlier versions."""
    first = client.post("/Patient", json=resident()).json()
    address = f"/Patient/{first['id']}"
    answer = client.delete(address)
    assert (answer.status_code, answer.headers["ETag"]) == (204, 'W/"2"')
    assert client.get(address).status_code == 410
    assert client.get(f"{address}/_history/2").status_code == 410
    assert client.get(f"{address}/_history/1").json() == first
    methods = [e["request"]["method"] for e in client.get(f"{address}/_history").json()["entry"]]
    assert methods == ["DELETE", "POST"]


def test_deleting_twice_is_well_and_changes_nothing(client: httpx.Client) -> None:
    id_ = client.post("/Patient", json=resident()).json()["id"]
    client.delete(f"/Patient/{id_}")
    assert client.delete(f"/Patient/{id_}").status_code == 204
    assert client.get(f"/Patient/{id_}/_history").json()["total"] == 2


def test_what_never_was_is_deleted_already(client: httpx.Client) -> None:
    """If the resource does not exist at all, the server should return 204 too."""
    answer = client.delete("/Patient/never")
    assert (answer.status_code, "ETag" in answer.headers) == (204, False)
    assert client.get("/Patient/never").status_code == 404


def test_an_update_brings_it_back(client: httpx.Client) -> None:
    """http.html#update: the server MAY allow a deleted resource to be brought back."""
    client.put("/Patient/back", json=resident(id="back"))
    client.delete("/Patient/back")
    answer = client.put("/Patient/back", json=resident(id="back"))
    assert (answer.status_code, answer.headers["ETag"]) == (201, 'W/"3"')
    assert client.get("/Patient/back").status_code == 200


def test_a_deleted_resource_is_not_found_by_searches(client: httpx.Client) -> None:
    id_ = client.post("/Patient", json=resident("001174009999")).json()["id"]
    client.delete(f"/Patient/{id_}")
    assert client.get("/Patient?identifier=001174009999").json()["total"] == 0
