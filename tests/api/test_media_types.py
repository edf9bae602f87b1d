"""What a body is said to be: its charset, the version of FHIR, and the mark before it.

https://hl7.org/fhir/R4/http.html#mime-type
"""

import httpx
import pytest

_PATIENT = '{"resourceType":"Patient","id":"said","name":[{"text":"Nguyễn"}]}'
_BOM = b"\xef\xbb\xbf"


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("application/fhir+json; charset=UTF-8", 201),
        ('application/json;charset="utf-8"', 200),
        ("application/fhir+json; fhirVersion=4.0", 200),
        ("application/fhir+json; charset=iso-8859-1", 415),
        ("application/json; charset=utf-16", 415),
        ("application/fhir+json; fhirVersion=3.0", 415),
        ("application/fhir+json; fhirVersion=5.0", 415),
    ],
)
def test_a_body_is_utf8_and_of_r4(client: httpx.Client, kind: str, status: int) -> None:
    """https://hl7.org/fhir/R4/http.html#version-parameter"""
    content = _PATIENT.encode()
    answer = client.put("/Patient/said", content=content, headers={"Content-Type": kind})
    assert answer.status_code == status, answer.text
    if status == 415:
        assert answer.json()["issue"][0]["code"] == "not-supported"


def test_a_form_in_another_charset_is_415(client: httpx.Client) -> None:
    kind = {"Content-Type": "application/x-www-form-urlencoded; charset=windows-1258"}
    assert client.post("/Patient/_search", content="name=x", headers=kind).status_code == 415


def test_latin_1_that_is_called_utf8_is_400(client: httpx.Client) -> None:
    kind = {"Content-Type": "application/fhir+json"}
    content = '{"resourceType":"Patient","id":"latin","name":[{"text":"é"}]}'.encode("latin-1")
    assert client.put("/Patient/latin", content=content, headers=kind).status_code == 400
    assert client.get("/Patient/latin").status_code == 404


def test_a_byte_order_mark_before_json_is_ignored(client: httpx.Client) -> None:
    """RFC 8259, 8.1: "implementations that parse JSON texts MAY ignore" it."""
    kind = {"Content-Type": "application/fhir+json"}
    content = _BOM + _PATIENT.replace("said", "marked").encode()
    assert client.put("/Patient/marked", content=content, headers=kind).status_code == 201
    assert not client.get("/Patient/marked").content.startswith(_BOM)
    twice = client.put("/Patient/marked", content=_BOM + content, headers=kind)
    assert twice.status_code == 400


def test_a_byte_order_mark_in_the_content_of_a_binary_stays(client: httpx.Client) -> None:
    """Data in JSON that is no resource: https://hl7.org/fhir/R4/binary.html"""
    content = _BOM + b'{"a":1}'
    stored = client.post("/Binary", content=content, headers={"Content-Type": "application/json"})
    assert stored.status_code == 201, stored.text
    assert client.get(f"/Binary/{stored.json()['id']}").content == content
