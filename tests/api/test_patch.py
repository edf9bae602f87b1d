"""patch: https://hl7.org/fhir/R4/http.html#patch

What the operations of FHIRPath Patch do is in tests/spec/test_fhirpath_patch.py.
"""

import base64
from typing import Any

import httpx
import pytest

from api.patients import CCCD, resident, weight
from ehr_server.fhir import json

pytestmark = pytest.mark.smoke

JSON_PATCH = {"Content-Type": "application/json-patch+json"}
MERGE = {"Content-Type": "application/merge-patch+json"}
FHIR = {"Content-Type": "application/fhir+json"}
ACTIVATE = [{"op": "add", "path": "/active", "value": True}]


@pytest.fixture
def address(client: httpx.Client) -> str:
    return f"/Patient/{client.post('/Patient', json=resident()).json()['id']}"


def operation(type_: str, path: str, **more: Any) -> dict[str, Any]:
    """A FHIRPath Patch of one operation; `more` are parts such as `value={"valueDate": ...}`."""
    parts = [
        {"name": "type", "valueCode": type_},
        {"name": "path", "valueString": path},
        *({"name": name, **value} for name, value in more.items()),
    ]
    return {"resourceType": "Parameters", "parameter": [{"name": "operation", "part": parts}]}


def test_json_patch_makes_the_next_version(client: httpx.Client, address: str) -> None:
    answer = client.patch(address, json=ACTIVATE, headers=JSON_PATCH)
    assert (answer.status_code, answer.headers["ETag"]) == (200, 'W/"2"')
    assert answer.headers["Location"].endswith(f"{address}/_history/2")
    assert answer.json()["active"] is True
    assert client.get(address).json() == answer.json()


def test_fhirpath_patch_makes_the_next_version(client: httpx.Client, address: str) -> None:
    patch = operation("replace", "Patient.birthDate", value={"valueDate": "1980-01-01"})
    answer = client.patch(address, json=patch, headers=FHIR)
    assert (answer.status_code, answer.json()["birthDate"]) == (200, "1980-01-01")


@pytest.mark.parametrize("headers", [MERGE, {"Content-Type": "application/json"}])
def test_merge_patch_puts_members_in_place_and_takes_those_that_are_null(
    client: httpx.Client, address: str, headers: dict[str, str]
) -> None:
    """RFC 7396; clients such as fhirpy send it as plain JSON."""
    answer = client.patch(address, json={"birthDate": None, "active": True}, headers=headers)
    assert answer.status_code == 200
    assert "birthDate" not in answer.json()
    assert answer.json()["active"] is True
    assert answer.json()["name"][0]["family"] == "Phạm"


def test_plain_json_may_be_any_of_the_three(client: httpx.Client, address: str) -> None:
    plain = {"Content-Type": "application/json"}
    assert client.patch(address, json=ACTIVATE, headers=plain).json()["active"] is True
    patch = operation("replace", "Patient.gender", value={"valueCode": "male"})
    assert client.patch(address, json=patch, headers=plain).json()["gender"] == "male"


def test_decimals_that_are_not_patched_stay_as_they_were_sent(client: httpx.Client) -> None:
    content = json.write(weight("Patient/x") | {"subject": {"display": "somebody"}})
    first = client.post("/Observation", content=content, headers=FHIR).json()
    answer = client.patch(f"/Observation/{first['id']}", json={"status": "amended"})
    assert '"value":52.50' in answer.text


def test_a_patch_that_changes_nothing_makes_no_version(client: httpx.Client, address: str) -> None:
    answer = client.patch(address, json={"gender": "female"})
    assert (answer.status_code, answer.headers["ETag"]) == (200, 'W/"1"')


def test_if_match_guards_against_the_lost_update(client: httpx.Client, address: str) -> None:
    """Servers SHALL support conditional PATCH by version (http.html#concurrency)."""
    first = {**JSON_PATCH, "If-Match": 'W/"1"'}
    assert client.patch(address, json=ACTIVATE, headers=first).status_code == 200
    assert client.patch(address, json=ACTIVATE, headers=first).status_code == 412
    assert client.get(address).headers["ETag"] == 'W/"2"'


def test_a_stale_if_match_is_412_whatever_the_patch_says(
    client: httpx.Client, address: str
) -> None:
    client.patch(address, json=ACTIVATE, headers=JSON_PATCH)
    failing = [{"op": "test", "path": "/gender", "value": "male"}]
    stale = {**JSON_PATCH, "If-Match": 'W/"1"'}
    assert client.patch(address, json=failing, headers=stale).status_code == 412


@pytest.mark.parametrize(
    "part",
    [
        {"name": ["x"]},
        {"name": "type", "valueCode": []},
        {"name": "name", "valueString": [1]},
        {"name": "path", "valueString": "Patient.name" + ".where(true)" * 3000},
    ],
)
def test_a_malformed_operation_is_no_failure_of_the_server(
    client: httpx.Client, address: str, part: dict[str, Any]
) -> None:
    patch = operation("delete", "Patient.birthDate")
    patch["parameter"][0]["part"].append(part)
    answer = client.patch(address, json=patch, headers=FHIR)
    assert answer.status_code in (400, 422) or part == {"name": ["x"]}
    assert answer.status_code < 500


def test_prefer_says_what_is_answered(client: httpx.Client, address: str) -> None:
    minimal = client.patch(
        address, json=ACTIVATE, headers={**JSON_PATCH, "Prefer": "return=minimal"}
    )
    assert (minimal.status_code, minimal.content) == (200, b"")


@pytest.mark.parametrize(
    ("operations", "status"),
    [
        ([{"op": "replace", "path": "/nothing", "value": 1}], 422),
        ([{"op": "remove", "path": "/name/7"}], 422),
        ([{"op": "add", "path": "/nothing/at/all", "value": 1}], 422),
        ([{"op": "test", "path": "/gender", "value": "male"}], 422),
        ([{"op": "turn", "path": "/gender"}], 400),
        ([{"op": "add", "path": "/active"}], 400),
        ([{"op": "replace", "path": "", "value": []}], 422),
        ([1], 400),
        ([], 400),
        ({"op": "add"}, 400),
    ],
)
def test_an_operation_that_cannot_be_done_is_refused_and_named(
    client: httpx.Client, address: str, operations: Any, status: int
) -> None:
    """All or nothing: what came before it in the patch is not stored either."""
    sent = [*ACTIVATE, *operations] if isinstance(operations, list) and operations else operations
    answer = client.patch(address, json=sent, headers=JSON_PATCH)
    assert answer.status_code == status
    text = answer.json()["issue"][0]["details"]["text"]
    assert "Patch[1]" in text or "no resource" in text or "list of operations" in text
    assert "Phạm" not in answer.text
    assert client.get(address).headers["ETag"] == 'W/"1"'


def test_a_patch_that_makes_the_resource_invalid_is_refused_with_the_place(
    client: httpx.Client, address: str
) -> None:
    """The server SHALL process its own copy of the resource as an update would."""
    answer = client.patch(address, json={"gender": "man"})
    assert answer.status_code == 400
    assert answer.json()["issue"][0]["expression"] == ["Patient.gender"]
    dangling = {"managingOrganization": {"reference": "Organization/nobody"}}
    assert client.patch(address, json=dangling).status_code == 422
    assert client.get(address).headers["ETag"] == 'W/"1"'


@pytest.mark.parametrize(
    "patch", [{"id": "other"}, {"id": None}, {"resourceType": "Person"}, {"resourceType": None}]
)
def test_who_it_is_cannot_be_patched(
    client: httpx.Client, address: str, patch: dict[str, Any]
) -> None:
    assert client.patch(address, json=patch).status_code == 400


def test_the_version_and_its_time_are_the_servers(client: httpx.Client, address: str) -> None:
    patch = [{"op": "add", "path": "/meta/versionId", "value": "77"}, *ACTIVATE]
    answer = client.patch(address, json=patch, headers=JSON_PATCH)
    assert answer.json()["meta"]["versionId"] == "2"


def test_what_is_not_there_is_404_and_what_was_deleted_410(
    client: httpx.Client, address: str
) -> None:
    assert client.patch("/Patient/nobody", json=ACTIVATE, headers=JSON_PATCH).status_code == 404
    client.delete(address)
    assert client.patch(address, json=ACTIVATE, headers=JSON_PATCH).status_code == 410


@pytest.mark.parametrize("kind", ["text/plain", "", "application/x-www-form-urlencoded"])
def test_another_format_is_415_and_tells_those_that_are_understood(
    client: httpx.Client, address: str, kind: str
) -> None:
    answer = client.patch(address, content=b"active=true", headers={"Content-Type": kind})
    assert answer.status_code == 415
    assert "application/json-patch+json" in answer.headers["Accept-Patch"]


def test_a_body_that_is_no_json_is_400(client: httpx.Client, address: str) -> None:
    for content in (b"", b"[", b"3", b'"x"'):
        assert client.patch(address, content=content, headers=MERGE).status_code == 400


def test_a_patch_may_not_grow_without_end(client: httpx.Client, address: str) -> None:
    """Each of these copies doubles what it copies."""
    bomb = [{"op": "add", "path": "/x", "value": ["x" * 1000]}]
    bomb += [{"op": "copy", "from": "/x", "path": "/x/-"} for _ in range(60)]
    assert client.patch(address, json=bomb, headers=JSON_PATCH).status_code == 413
    many = ACTIVATE * 1001
    assert client.patch(address, json=many, headers=JSON_PATCH).status_code == 413


def test_the_resource_may_be_named_by_criteria(client: httpx.Client) -> None:
    """Conditional patch: none is 404, one is patched, several are 412 (http.html#patch)."""
    for number in ("001174000501", "001174000502"):
        client.post("/Patient", json=resident(number))
    one = {"identifier": f"{CCCD}|001174000501"}
    answer = client.patch("/Patient", params=one, json={"active": True})
    assert (answer.status_code, answer.json()["active"]) == (200, True)
    none = {"identifier": f"{CCCD}|001174000599"}
    assert client.patch("/Patient", params=none, json={"active": True}).status_code == 404
    several = {"identifier": f"{CCCD}|001174000501,{CCCD}|001174000502"}
    assert client.patch("/Patient", params=several, json={"active": True}).status_code == 412
    assert client.patch("/Patient", json={"active": True}).status_code == 400


def _entry(resource: dict[str, Any], url: str, **request: str) -> dict[str, Any]:
    return {"resource": resource, "request": {"method": "PATCH", "url": url, **request}}


def _binary(operations: list[dict[str, Any]]) -> dict[str, Any]:
    data = base64.b64encode(json.write(operations)).decode()
    return {"resourceType": "Binary", "contentType": "application/json-patch+json", "data": data}


@pytest.mark.parametrize("kind", ["transaction", "batch"])
def test_in_a_bundle_a_json_patch_is_a_binary(
    client: httpx.Client, address: str, kind: str
) -> None:
    entries = [_entry(_binary(ACTIVATE), address[1:], ifMatch='W/"1"')]
    answer = client.post("/", json={"resourceType": "Bundle", "type": kind, "entry": entries})
    assert answer.status_code == 200
    assert answer.json()["entry"][0]["response"]["etag"] == 'W/"2"'
    assert client.get(address).json()["active"] is True


def test_in_a_bundle_a_fhirpath_patch_is_parameters(client: httpx.Client, address: str) -> None:
    patch = operation("replace", "Patient.gender", value={"valueCode": "male"})
    bundle = {"resourceType": "Bundle", "type": "transaction"}
    answer = client.post("/", json={**bundle, "entry": [_entry(patch, address[1:])]})
    assert answer.status_code == 200
    assert client.get(address).json()["gender"] == "male"


def test_a_transaction_with_a_patch_that_fails_stores_nothing(
    client: httpx.Client, address: str
) -> None:
    failing = _entry(_binary([{"op": "remove", "path": "/nothing"}]), address[1:])
    created = {
        "resource": resident("001174000601"),
        "request": {"method": "POST", "url": "Patient"},
    }
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": [created, failing]}
    answer = client.post("/", json=bundle)
    assert answer.status_code == 422
    assert client.get("/Patient", params={"identifier": "001174000601"}).json()["total"] == 0


@pytest.mark.parametrize(
    "resource",
    [
        {"resourceType": "Binary", "contentType": "text/plain", "data": "eA=="},
        {"resourceType": "Binary", "contentType": "application/json-patch+json", "data": "*"},
        {"resourceType": "Binary", "contentType": "application/json-patch+json", "data": "é"},
        {"resourceType": "Binary", "contentType": "application/json-patch+json"},
        {"resourceType": "Patient", "active": True},
    ],
)
def test_what_is_no_patch_in_a_bundle_is_400(
    client: httpx.Client, address: str, resource: dict[str, Any]
) -> None:
    entries = [_entry(resource, address[1:])]
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
    assert client.post("/", json=bundle).status_code == 400


def test_the_capability_statement_names_the_formats(client: httpx.Client) -> None:
    assert set(client.get("/metadata").json()["patchFormat"]) >= {
        "application/json-patch+json",
        "application/fhir+json",
    }
