"""Which format: https://hl7.org/fhir/R4/http.html#mime-type and #parameters"""

import httpx
import pytest

from api.patients import resident

JSON = "application/fhir+json; charset=utf-8"
XML = "application/fhir+xml; charset=utf-8"


@pytest.fixture
def address(client: httpx.Client) -> str:
    return f"/Patient/{client.post('/Patient', json=resident()).json()['id']}"


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("application/fhir+json", JSON),
        ("application/json", JSON),
        ("*/*", JSON),
        ("application/*", JSON),
        ("", JSON),
        ("application/fhir+xml", XML),
        ("application/xml", XML),
        ("text/xml", XML),
        ("application/fhir+xml;q=0.5, application/fhir+json;q=0.9", JSON),
        ("application/fhir+xml;q=0.9, application/fhir+json;q=0.5", XML),
        ("application/fhir+xml, */*;q=0.1", XML),
        ("text/html, */*;q=0.1", JSON),
        ("application/fhir+json; fhirVersion=4.0", JSON),
        ("application/fhir+xml; fhirVersion=4.0", XML),
    ],
)
def test_accept_says_which(client: httpx.Client, address: str, accept: str, expected: str) -> None:
    answer = client.get(address, headers={"Accept": accept})
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, expected)


@pytest.mark.parametrize(
    ("format_", "expected"),
    [
        ("json", JSON),
        ("application/json", JSON),
        ("application/fhir+json", JSON),
        ("xml", XML),
        ("text/xml", XML),
        ("application/xml", XML),
        ("application/fhir+xml", XML),
        ("application/fhir xml", XML),
    ],
)
def test_format_goes_before_accept(
    client: httpx.Client, address: str, format_: str, expected: str
) -> None:
    """_format overrides the Accept header; its plus may have come as a space."""
    for accept in ("application/fhir+json", "application/fhir+xml", "text/csv"):
        answer = client.get(address, params={"_format": format_}, headers={"Accept": accept})
        assert answer.headers["Content-Type"] == expected


@pytest.mark.parametrize(
    "accept",
    [
        "text/turtle",
        "text/html",
        "application/fhir+json;q=0",
        "application/fhir+json;fhirVersion=3.0",
    ],
)
def test_what_cannot_be_written_is_406(client: httpx.Client, address: str, accept: str) -> None:
    answer = client.get(address, headers={"Accept": accept})
    assert answer.status_code == 406
    assert answer.json()["resourceType"] == "OperationOutcome"
    assert client.get(address, params={"_format": "ttl"}).status_code == 406


def test_a_refusal_comes_in_the_wished_format(client: httpx.Client) -> None:
    answer = client.get("/Patient/nobody", headers={"Accept": "application/fhir+xml"})
    assert (answer.status_code, answer.headers["Content-Type"]) == (404, XML)
    assert answer.text.startswith('<?xml version="1.0" encoding="UTF-8"?><OperationOutcome')


def test_pretty_is_for_people(client: httpx.Client, address: str) -> None:
    assert '\n  "id"' in client.get(f"{address}?_pretty=true").text
    assert "\n  <id value=" in client.get(f"{address}?_pretty=true&_format=xml").text
    assert "\n" not in client.get(f"{address}?_format=xml").text


@pytest.mark.parametrize(
    "kind", ["text/turtle", "text/plain", "application/fhir+json; fhirVersion=3.0"]
)
def test_a_body_in_another_format_is_415(client: httpx.Client, kind: str) -> None:
    answer = client.post("/Patient", content=b"{}", headers={"Content-Type": kind})
    assert answer.status_code == 415
    assert answer.json()["issue"][0]["code"] == "not-supported"


@pytest.mark.parametrize("charset", ["iso-8859-1", "utf-16", "windows-1258"])
def test_a_body_in_another_charset_is_415(client: httpx.Client, charset: str) -> None:
    """All formats are UTF-8; what is said to be something else is not guessed at."""
    content = '{"resourceType":"Patient"}'.encode(charset)
    for kind in ("application/fhir+json", "application/fhir+xml"):
        headers = {"Content-Type": f"{kind}; charset={charset}"}
        answer = client.post("/Patient", content=content, headers=headers)
        assert answer.status_code == 415
        assert "UTF-8" in answer.json()["issue"][0]["details"]["text"]
