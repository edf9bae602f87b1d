"""Prefer, and what of it was followed: RFC 7240, https://hl7.org/fhir/R4/http.html#ops"""

import httpx
import pytest

from api.patients import resident

_RETURNS = {
    "minimal": None,
    "representation": "Patient",
    "OperationOutcome": "OperationOutcome",
}


@pytest.mark.parametrize("wish", _RETURNS)
def test_a_write_says_which_return_was_followed(client: httpx.Client, wish: str) -> None:
    """RFC 7240, 3: "which preferences ... were honored by the server"."""
    address = f"/Patient/{wish}"
    for _ in range(2):  # a create by update, and an update that changes nothing
        answer = client.put(
            address, json=resident(id=wish), headers={"Prefer": f'RETURN="{wish}"; x'}
        )
        assert answer.headers["Preference-Applied"] == f"return={wish}"
        assert (answer.json()["resourceType"] if answer.content else None) == _RETURNS[wish]


@pytest.mark.parametrize("type_", ["batch", "transaction"])
def test_a_bundle_says_it_too(client: httpx.Client, type_: str) -> None:
    entry = {"resource": resident(), "request": {"method": "POST", "url": "Patient"}}
    bundle = {"resourceType": "Bundle", "type": type_, "entry": [entry]}
    answer = client.post("", json=bundle, headers={"Prefer": "return=representation"})
    assert answer.headers["Preference-Applied"] == "return=representation"
    assert answer.json()["entry"][0]["resource"]["resourceType"] == "Patient"


def test_a_search_says_how_strictly_it_was_read(client: httpx.Client) -> None:
    """https://hl7.org/fhir/R4/search.html#errors"""
    for handling, status in (("lenient", 200), ("strict", 400)):
        answer = client.get("/Patient?colour=red", headers={"Prefer": f"handling={handling}"})
        assert answer.status_code == status
    answer = client.get("/Patient?gender=male", headers={"Prefer": "handling=strict"})
    assert answer.headers["Preference-Applied"] == "handling=strict"
    answer = client.get("/Patient?colour=red", headers={"Prefer": "handling=lenient"})
    assert answer.headers["Preference-Applied"] == "handling=lenient"


@pytest.mark.parametrize("prefer", ["return=nonsense", "handling=nonsense", "x=y", ""])
def test_what_is_not_known_is_not_followed_and_not_refused(
    client: httpx.Client, prefer: str
) -> None:
    """RFC 7240, 2: a server "MUST ignore" what it does not know or cannot do."""
    address, headers = "/Patient/ignored", {"Prefer": prefer}
    for answer in (
        client.put(address, json=resident(id="ignored"), headers=headers),
        client.get("/Patient", headers=headers),
    ):
        assert answer.status_code in (200, 201)
        assert "Preference-Applied" not in answer.headers
