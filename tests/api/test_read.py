"""read: https://hl7.org/fhir/R4/http.html#read"""

import httpx
import pytest

from api.patients import resident

pytestmark = pytest.mark.smoke


def test_read_gives_the_resource_with_etag_and_last_modified(client: httpx.Client) -> None:
    created = client.post("/Patient", json=resident())
    answer = client.get(f"/Patient/{created.json()['id']}")
    assert answer.status_code == 200
    assert answer.json() == created.json()
    assert answer.headers["ETag"] == 'W/"1"'
    assert answer.headers["Content-Type"] == "application/fhir+json; charset=utf-8"


def test_head_gives_the_headers_alone(client: httpx.Client) -> None:
    id_ = client.post("/Patient", json=resident()).json()["id"]
    answer = client.head(f"/Patient/{id_}")
    assert (answer.status_code, answer.content) == (200, b"")
    assert int(answer.headers["Content-Length"]) > 100


def test_304_when_the_sender_has_this_version(client: httpx.Client) -> None:
    """Conditional read (http.html#cread)."""
    id_ = client.post("/Patient", json=resident()).json()["id"]
    answer = client.get(f"/Patient/{id_}", headers={"If-None-Match": 'W/"1"'})
    assert (answer.status_code, answer.content) == (304, b"")


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/Patient/nobody", 404),
        ("/Nonsense/1", 404),
        ("/nonsense", 404),
        ("/Patient/a/b/c/d", 404),
    ],
)
def test_what_is_not_there_is_404_with_an_outcome(
    client: httpx.Client, path: str, status: int
) -> None:
    answer = client.get(path)
    assert answer.status_code == status
    assert answer.json()["resourceType"] == "OperationOutcome"


def test_every_answer_names_its_request(client: httpx.Client) -> None:
    """https://hl7.org/fhir/R4/http.html#custom"""
    own = client.get("/Patient/x", headers={"X-Request-Id": "his-42"})
    assert own.headers["X-Request-Id"] == "his-42"
    strange = client.get("/Patient/x", headers={"X-Request-Id": "a b"})
    assert len(strange.headers["X-Request-Id"]) == 26


def test_pretty_json_for_people(client: httpx.Client) -> None:
    id_ = client.post("/Patient", json=resident()).json()["id"]
    assert '\n  "id"' in client.get(f"/Patient/{id_}?_pretty=true").text


def test_pretty_json_of_what_is_nested_as_deep_as_may_be(client: httpx.Client) -> None:
    """The Bundle around it makes it deeper than what may be sent."""
    inner: dict[str, object] = {"url": "http://x.org/e", "valueDecimal": 1}
    for _ in range(48):
        inner = {"url": "http://x.org/e", "extension": [inner]}
    created = client.post("/Patient", json={**resident(), "extension": [inner]})
    assert created.status_code == 201
    id_ = created.json()["id"]
    assert f'"id": "{id_}"' in client.get(f"/Patient?_id={id_}&_pretty=true").text


@pytest.mark.parametrize("tag", ["*", '"1"', 'W/"9", W/"1"'])
def test_if_none_match_compares_weakly(client: httpx.Client, tag: str) -> None:
    """RFC 9110 13.1.2."""
    id_ = client.post("/Patient", json=resident()).json()["id"]
    assert client.get(f"/Patient/{id_}", headers={"If-None-Match": tag}).status_code == 304
