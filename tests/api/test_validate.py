"""$validate: https://hl7.org/fhir/R4/resource-operation-validate.html"""

from pathlib import Path
from typing import Any

import httpx
import pytest

from api.patients import resident
from ehr_server.fhir import json
from servers import serving

EXAMPLES = Path(__file__).parents[2] / "profiles" / "vn" / "examples"
LOCAL = "http://ehr-server.org/fhir/vn/StructureDefinition"
RULE = "http://ehr-server.org/fhir/CodeSystem/rule"
MALFORMED = {"resourceType": "Patient", "gender": "man", "birthDate": "20.5.1974"}


def issues(answer: httpx.Response) -> list[dict[str, Any]]:
    assert answer.status_code == 200, answer.text
    outcome = answer.json()
    assert outcome["resourceType"] == "OperationOutcome"
    found: list[dict[str, Any]] = outcome["issue"]
    return found


def places(found: list[dict[str, Any]], severity: str) -> list[str]:
    return [one["expression"][0] for one in found if one["severity"] == severity]


def parameters(**given: Any) -> dict[str, Any]:
    rows = []
    for name, value in given.items():
        key = {"resource": "resource", "mode": "valueCode"}.get(name, "valueUri")
        rows.append({"name": name, key: value})
    return {"resourceType": "Parameters", "parameter": rows}


def test_what_is_found_is_answered_by_200_and_stores_nothing(client: httpx.Client) -> None:
    """ "If the operation was able to be executed, the response is 200 OK"."""
    found = issues(client.post("/Patient/$validate", json=MALFORMED))
    assert set(places(found, "error")) == {"Patient.gender", "Patient.birthDate"}
    assert all(one["details"]["text"] and one["code"] for one in found)
    assert client.get("/Patient?_summary=count").json()["total"] == 0


def test_errors_come_first_and_in_the_language_asked_for(client: httpx.Client) -> None:
    claimed = {**MALFORMED, "meta": {"profile": [f"{LOCAL}/resident"]}}
    found = issues(
        client.post("/Patient/$validate", json=claimed, headers={"Accept-Language": "vi"})
    )
    assert [one["severity"] for one in found] == sorted(one["severity"] for one in found)
    assert {one["severity"] for one in found} == {"error", "warning"}
    name = next(one for one in found if one.get("expression") == ["Patient.name"])
    assert name["details"]["text"].startswith("Thiếu name")
    assert name["diagnostics"].startswith("name is missing")
    assert name["details"]["coding"] == [{"system": RULE, "code": "min"}]


def test_a_hundred_issues_at_most(client: httpx.Client) -> None:
    many = {"resourceType": "Patient", "name": [{"use": "alias"}] * 300, "contact": [{}] * 300}
    assert len(issues(client.post("/Patient/$validate", json=many))) == 100


@pytest.mark.parametrize(("language", "text"), [("en", "Nothing"), ("vi", "Không phát hiện")])
def test_where_nothing_is_wrong_that_is_said(
    client: httpx.Client, language: str, text: str
) -> None:
    good = json.read((EXAMPLES / "good" / "resident.json").read_bytes())
    (only,) = issues(
        client.post(
            "/Patient/$validate",
            content=json.write(good.get("resource", good)),
            headers={"Content-Type": "application/fhir+json", "Accept-Language": language},
        )
    )
    assert only["severity"] == "information"
    assert only["details"]["text"].startswith(text)


def test_parameters_carry_the_resource_and_a_profile(client: httpx.Client) -> None:
    """A profile that is named is kept to as an error, whatever the settings say of it."""
    sent = parameters(resource=resident(name=[]), profile=f"{LOCAL}/resident", mode="profile")
    del sent["parameter"][0]["resource"]["name"]
    found = issues(client.post("/Patient/$validate", json=sent))
    assert "Patient.name" in places(found, "error")
    by_address = client.post(
        "/Patient/$validate",
        params={"profile": f"{LOCAL}/resident"},
        json=sent["parameter"][0]["resource"],
    )
    assert issues(by_address) == found
    claimed = {**sent["parameter"][0]["resource"], "meta": {"profile": [f"{LOCAL}/resident"]}}
    assert "Patient.name" in places(
        issues(client.post("/Patient/$validate", json=claimed)), "warning"
    )


def test_parameters_can_be_what_is_validated(client: httpx.Client) -> None:
    own = {"resourceType": "Parameters", "parameter": [{"valueString": "a"}]}
    assert places(issues(client.post("/Parameters/$validate", json=own)), "error")
    wrapped = parameters(resource=own)
    assert places(issues(client.post("/Parameters/$validate", json=wrapped)), "error")


def test_a_profile_that_is_not_loaded_is_an_error(client: httpx.Client) -> None:
    """ "If a profile is nominated, and the server cannot validate against the nominated profile, it
    SHALL return an error"."""
    url = "http://example.org/StructureDefinition/unknown"
    answer = client.post("/Patient/$validate", params={"profile": url}, json=resident())
    (only,) = answer.json()["issue"]
    assert (answer.status_code, only["severity"], only["code"]) == (404, "error", "not-found")
    assert url in only["details"]["text"]
    assert "load-package" in only["details"]["text"]


def test_a_claimed_profile_that_is_not_loaded_is_told(client: httpx.Client) -> None:
    url = "http://example.org/StructureDefinition/unknown"
    inside = resident(id="in", meta={"profile": [url]})
    bundle = {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": inside}]}
    found = issues(client.post("/Bundle/$validate", json=bundle))
    assert places(found, "information") == ["Bundle.entry[0].resource.meta.profile[0]"]
    assert url in found[-1]["details"]["text"]


def test_the_type_must_be_that_of_the_address(client: httpx.Client) -> None:
    (only,) = issues(client.post("/Observation/$validate", json=resident()))
    assert only["severity"] == "error"
    assert "Observation" in only["details"]["text"]


def test_the_mode_create_minds_no_id(client: httpx.Client) -> None:
    for sent in (resident(), resident(id="anything")):
        found = issues(client.post("/Patient/$validate", params={"mode": "create"}, json=sent))
        assert not places(found, "error")


def test_the_mode_update_asks_for_the_id_of_the_address(client: httpx.Client) -> None:
    """https://hl7.org/fhir/R4/http.html#update"""
    for sent, expected in (
        (resident(), ["Patient.id"]),
        (resident(id="v2"), ["Patient.id"]),
        (resident(id="v1"), []),
    ):
        answer = client.post("/Patient/v1/$validate", params={"mode": "update"}, json=sent)
        assert places(issues(answer), "error") == expected
    at_type = client.post("/Patient/$validate", params={"mode": "update"}, json=resident())
    assert places(issues(at_type), "error") == ["Patient.id"]


def test_the_mode_delete_needs_no_resource(client: httpx.Client) -> None:
    address, wish = "/Patient/vd/$validate", {"mode": "delete"}
    assert issues(client.post(address, params=wish))[0]["code"] == "not-found"
    client.put("/Patient/vd", json=resident(id="vd"))
    assert issues(client.post(address, json=parameters(mode="delete")))[0]["code"] == (
        "informational"
    )
    client.delete("/Patient/vd")
    assert issues(client.get(address, params=wish))[0]["code"] == "deleted"
    assert client.post("/Patient/$validate", params=wish).status_code == 400


def test_what_is_stored_is_validated(client: httpx.Client) -> None:
    client.put("/Patient/vs", json=resident(id="vs", meta={"profile": [f"{LOCAL}/resident"]}))
    at_get = issues(client.get("/Patient/vs/$validate"))
    assert at_get == issues(client.post("/Patient/vs/$validate"))
    strictly = {"mode": "profile", "profile": f"{LOCAL}/resident"}
    assert issues(client.get("/Patient/vs/$validate", params=strictly))
    assert client.get("/Patient/never/$validate").status_code == 404
    client.delete("/Patient/vs")
    assert client.get("/Patient/vs/$validate").status_code == 410


@pytest.mark.parametrize(
    ("query", "content", "status", "kind"),
    [
        ("", b"{broken", 400, "application/fhir+json"),
        ("", b"", 400, "application/fhir+json"),
        ("", b"[]", 400, "application/fhir+json"),
        ("", b'{"resourceType":"Patient"}\n{"resourceType":"Patient"}\n', 400, "application/json"),
        ("", b'{"resourceType":"Patient"}\n', 415, "application/fhir+ndjson"),
        ("", b"<Patient/>", 400, "application/fhir+xml"),
        ("mode=check", b'{"resourceType":"Patient"}', 400, "application/fhir+json"),
        ("mode=profile", b'{"resourceType":"Patient"}', 400, "application/fhir+json"),
        ("level=1", b'{"resourceType":"Patient"}', 400, "application/fhir+json"),
        ("", b'{"resourceType":"Parameters"}', 400, "application/fhir+json"),
        ("", b'{"resourceType":"Parameters","parameter":5}', 400, "application/fhir+json"),
        (
            "",
            b'{"resourceType":"Parameters","parameter":[{"name":"resource","valueCode":"x"},'
            b'{"name":"mode","valueInteger":1}]}',
            400,
            "application/fhir+json",
        ),
    ],
)
def test_what_cannot_be_asked_is_refused(
    client: httpx.Client, query: str, content: bytes, status: int, kind: str
) -> None:
    answer = client.post(
        f"/Patient/$validate?{query}", content=content, headers={"Content-Type": kind}
    )
    assert answer.status_code == status, answer.text
    assert answer.json()["issue"][0]["severity"] in ("error", "fatal")


def test_it_stands_in_a_batch(client: httpx.Client) -> None:
    entry = {"resource": MALFORMED, "request": {"method": "POST", "url": "Patient/$validate"}}
    answer = client.post("/", json={"resourceType": "Bundle", "type": "batch", "entry": [entry]})
    (one,) = answer.json()["entry"]
    assert one["response"]["status"].startswith("200")
    assert one["resource"]["issue"][0]["severity"] == "error"


def test_metadata_shows_it(client: httpx.Client) -> None:
    (rest,) = client.get("/metadata").json()["rest"]
    operation = {
        "name": "validate",
        "definition": "http://hl7.org/fhir/OperationDefinition/Resource-validate",
    }
    assert all(one["operation"].count(operation) == 1 for one in rest["resource"])
    assert "data-quality" in [one["name"] for one in rest["operation"]]


def test_a_checkup_with_three_mistakes_is_refused_with_three_located_messages(
    database: str,
) -> None:
    """Where the settings say that local profiles reject."""
    sent = json.read((EXAMPLES / "bad" / "checkup-document--three-mistakes.json").read_bytes())
    speak = {"Content-Type": "application/fhir+json", "Accept-Language": "vi"}
    with serving(database, profiles="*=reject") as strict:
        answer = httpx.post(
            f"{strict.fhir}/Bundle", content=json.write(sent["resource"]), headers=speak
        )
        count = httpx.get(f"{strict.fhir}/Bundle?_summary=count").json()["total"]
    assert (answer.status_code, count) == (400, 0)
    found = answer.json()["issue"]
    assert [one["expression"] for one in found] == [[one["expression"]] for one in sent["breaks"]]
    assert [one["details"]["coding"][0]["code"] for one in found] == ["min", "slice",
                                                                      "vn-lab-value"]  # fmt: skip
    texts = [one["details"]["text"] for one in found]
    assert texts[0].startswith("Thiếu gender")
    assert texts[1].startswith("Thiếu component loại diastolic")
    assert "không có giá trị" in texts[2]
