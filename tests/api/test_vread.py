"""vread: https://hl7.org/fhir/R4/http.html#vread"""

import httpx

from api.patients import resident


def test_each_version_is_given_as_it_was(client: httpx.Client) -> None:
    first = client.post("/Patient", json=resident()).json()
    address = f"/Patient/{first['id']}"
    client.put(address, json={**first, "active": True})
    one = client.get(f"{address}/_history/1")
    two = client.get(f"{address}/_history/2")
    assert one.json() == first
    assert one.headers["ETag"] == 'W/"1"'
    assert (two.json()["active"], two.json()["meta"]["versionId"]) == (True, "2")


def test_a_version_that_never_was_is_404(client: httpx.Client) -> None:
    first = client.post("/Patient", json=resident()).json()
    for version in ("2", "0", "x", "99999999999"):
        answer = client.get(f"/Patient/{first['id']}/_history/{version}")
        assert answer.status_code == 404
        assert answer.json()["issue"][0]["code"] == "not-found"
    assert client.get("/Patient/nobody/_history/1").status_code == 404


def test_the_version_of_a_deletion_is_410(client: httpx.Client) -> None:
    """If the version referred to is actually one where the resource was deleted."""
    first = client.post("/Patient", json=resident()).json()
    address = f"/Patient/{first['id']}"
    client.delete(address)
    assert client.get(f"{address}/_history/2").status_code == 410
    assert client.get(f"{address}/_history/1").json() == first


def test_a_version_never_changes_so_who_has_it_needs_no_other(client: httpx.Client) -> None:
    first = client.post("/Patient", json=resident()).json()
    address = f"/Patient/{first['id']}/_history/1"
    assert client.get(address, headers={"If-None-Match": 'W/"1"'}).status_code == 304
