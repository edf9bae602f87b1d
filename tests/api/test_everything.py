"""$everything of a patient and of an encounter.

https://hl7.org/fhir/R4/patient-operation-everything.html,
https://hl7.org/fhir/R4/encounter-operation-everything.html
"""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from api.patients import resident, weight

pytestmark = pytest.mark.smoke

OTHER_CARD = "001174000999"


def put(client: httpx.Client, resource: dict[str, Any]) -> None:
    address = f"/{resource['resourceType']}/{resource['id']}"
    answer = client.put(address, json=resource)
    assert answer.status_code in (200, 201), answer.text


def visit(id_: str, patient: str, date: str, **more: Any) -> dict[str, Any]:
    return {
        "resourceType": "Encounter",
        "id": id_,
        "status": "finished",
        "class": {
            "system": "http://terminology.hl7.org/CodeSystem/v3-ActCode",
            "code": "AMB",
        },
        "subject": {"reference": f"Patient/{patient}"},
        "period": {"start": date, "end": date},
        **more,
    }


def weighed(id_: str, patient: str, date: str, **more: Any) -> dict[str, Any]:
    found = weight(f"Patient/{patient}") | {"id": id_, "effectiveDateTime": date, **more}
    found["valueQuantity"]["value"] = 52.5
    return found


@pytest.fixture(scope="module", autouse=True)
def two_records(server: Any) -> None:
    """Ngọp with two visits, five weights, a doctor, whose hospital is part of a ministry; another
    person, who was weighed by the same doctor."""
    with httpx.Client(base_url=server.fhir, timeout=30) as client:
        put(client, {"resourceType": "Organization", "id": "ministry", "name": "Bộ Y tế"})
        put(
            client,
            {
                "resourceType": "Organization",
                "id": "hospital",
                "name": "Bệnh viện",
                "partOf": {"reference": "Organization/ministry"},
            },
        )
        put(client, {"resourceType": "Organization", "id": "elsewhere", "name": "Nơi khác"})
        put(client, {"resourceType": "Practitioner", "id": "doctor", "active": True})
        put(
            client, resident(id="ngop", managingOrganization={"reference": "Organization/hospital"})
        )
        put(client, resident(OTHER_CARD, id="other"))
        put(client, visit("v2020", "ngop", "2020-03-01"))
        doctor = {"reference": "Practitioner/doctor"}
        put(
            client,
            visit(
                "v2026",
                "ngop",
                "2026-10-05",
                participant=[{"individual": doctor}],
            ),
        )
        for at, date in enumerate(("2020-03-01", "2026-10-05T08:00:00+07:00", "2026-10-05")):
            of = {"encounter": {"reference": f"Encounter/v{date[:4]}"}}
            put(client, weighed(f"w{at}", "ngop", date, performer=[doctor], **of))
        put(client, weighed("w3", "ngop", "2026-11-01"))
        undated = weighed("w4", "ngop", "2026-11-01")
        del undated["effectiveDateTime"]
        put(client, undated)
        put(client, weighed("x0", "other", "2026-10-05", performer=[doctor]))
        allergy = {
            "resourceType": "AllergyIntolerance",
            "id": "pollen",
            "patient": {"reference": "Patient/ngop"},
            "clinicalStatus": {
                "coding": [
                    {
                        "system": "http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical",
                        "code": "active",
                    }
                ]
            },
            "code": {"text": "Phấn hoa"},
        }
        put(client, allergy)


INSIDE = ["ngop", "pollen", "w4", "w3", "w2", "w1", "w0", "v2026", "v2020"]
OUTSIDE = ["doctor", "hospital", "ministry"]


def entries(answer: httpx.Response) -> list[tuple[str, str]]:
    assert answer.status_code == 200, answer.text
    bundle = answer.json()
    assert bundle["type"] == "searchset"
    return [(one["search"]["mode"], one["resource"]["id"]) for one in bundle.get("entry", ())]


def ids(answer: httpx.Response) -> list[str]:
    return [id_ for _, id_ in entries(answer)]


def all_ids(found: list[httpx.Response]) -> list[str]:
    return [id_ for page in found for id_ in ids(page)]


def pages(client: httpx.Client, address: str) -> Iterator[httpx.Response]:
    while True:
        answer = client.get(address)
        assert answer.status_code == 200, answer.text
        yield answer
        links = {link["relation"]: link["url"] for link in answer.json()["link"]}
        if "next" not in links:
            return
        address = links["next"]


def test_the_whole_record_comes_in_one_bundle(client: httpx.Client) -> None:
    """ "Unless the client requests otherwise, the server returns the entire result set in a single
    bundle": the Patient, what lies in the compartment, the newest first, then what is linked."""
    answer = client.get("/Patient/ngop/$everything")
    found = entries(answer)
    assert [id_ for mode, id_ in found if mode == "match"] == INSIDE
    assert sorted(id_ for mode, id_ in found if mode == "include") == OUTSIDE
    assert answer.json()["total"] == len(INSIDE)
    assert [link["relation"] for link in answer.json()["link"]] == ["self"]


def test_what_comes_is_what_a_read_gives(client: httpx.Client) -> None:
    for entry in client.get("/Patient/ngop/$everything").json()["entry"]:
        assert client.get(entry["fullUrl"]).json() == entry["resource"]


@pytest.mark.parametrize("count", [1, 2, 3, 8, 9, 10])
def test_pages_put_together_are_the_whole(client: httpx.Client, count: int) -> None:
    found = list(pages(client, f"/Patient/ngop/$everything?_count={count}"))
    assert all_ids(found) == ids(client.get("/Patient/ngop/$everything"))
    matches = [[one for one in entries(page) if one[0] == "match"] for page in found]
    assert all(len(one) <= count for one in matches)
    assert {page.json()["total"] for page in found} == {len(INSIDE)}


def test_a_write_between_two_pages_shifts_nothing(client: httpx.Client) -> None:
    first, *_ = pages(client, "/Patient/ngop/$everything?_count=4")
    put(client, weighed("w0", "ngop", "2020-03-01", note=[{"text": "again"}]))
    put(client, weighed("w9", "ngop", "2026-11-02"))
    further = next(link["url"] for link in first.json()["link"] if link["relation"] == "next")
    rest = [
        id_ for page in pages(client, further) for mode, id_ in entries(page) if mode == "match"
    ]
    client.delete("/Observation/w9")
    put(
        client,
        weighed(
            "w0",
            "ngop",
            "2020-03-01",
            performer=[{"reference": "Practitioner/doctor"}],
            encounter={"reference": "Encounter/v2020"},
        ),
    )
    assert ids(first) + rest == INSIDE


def test_count_0_tells_the_total_alone(client: httpx.Client) -> None:
    answer = client.get("/Patient/ngop/$everything?_count=0")
    assert ids(answer) == []
    assert answer.json()["total"] == len(INSIDE)


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("_type=Observation", ["w4", "w3", "w2", "w1", "w0"]),
        ("_type=Encounter,Patient", ["ngop", "v2026", "v2020"]),
        ("_type=Encounter&_type=Patient", ["ngop", "v2026", "v2020"]),
        ("_type=Practitioner", ["doctor"]),
        ("_type=AllergyIntolerance,Organization", ["pollen", "hospital", "ministry"]),
        ("_type=Medication", []),
    ],
)
def test_type_names_the_types_that_come(client: httpx.Client, asked: str, found: list[str]) -> None:
    assert ids(client.get(f"/Patient/ngop/$everything?{asked}")) == found


@pytest.mark.parametrize(
    ("asked", "out"),
    [
        ("start=2026-10-05", {"w0", "v2020"}),
        ("start=2026-10-05&end=2026-10-05", {"w0", "v2020", "w3"}),
        ("end=2026-10", {"w3"}),
        ("end=2020-03-01", {"w1", "w2", "w3", "v2026"}),
        ("start=2026-10-06", {"w0", "v2020", "w1", "w2", "v2026"}),
    ],
)
def test_start_and_end_are_dates_of_care(client: httpx.Client, asked: str, out: set[str]) -> None:
    """ "All records relating to care provided in a certain date range"; what has no such date
    stays, for nobody can tell that it is not meant."""
    found = ids(client.get(f"/Patient/ngop/$everything?{asked}"))
    assert [id_ for id_ in found if id_ in INSIDE] == [id_ for id_ in INSIDE if id_ not in out]


def test_linked_resources_are_those_of_what_comes(client: httpx.Client) -> None:
    """The doctor of 2020 and 2026 took no part in what came later."""
    found = ids(client.get("/Patient/ngop/$everything?start=2026-10-06"))
    assert "doctor" not in found
    assert "hospital" in found


def test_since_is_when_it_was_stored(client: httpx.Client) -> None:
    read = client.get("/Observation/w3").json()
    since = read["meta"]["lastUpdated"]
    answer = client.get("/Patient/ngop/$everything", params={"_since": since})
    found = [id_ for mode, id_ in entries(answer) if mode == "match"]
    assert found[:3] == ["pollen", "w4", "w3"]
    assert "ngop" not in found
    assert "v2026" not in found


def test_it_can_be_asked_by_post(client: httpx.Client) -> None:
    sent = {
        "resourceType": "Parameters",
        "parameter": [
            {"name": "_type", "valueCode": "Encounter"},
            {"name": "start", "valueDate": "2026"},
            {"name": "_count", "valueInteger": 10},
        ],
    }
    assert ids(client.post("/Patient/ngop/$everything", json=sent)) == ["v2026"]


def test_nothing_comes_of_another_person(client: httpx.Client) -> None:
    assert ids(client.get("/Patient/other/$everything")) == ["other", "x0", "doctor"]


def test_an_encounter_comes_with_what_belongs_to_it(client: httpx.Client) -> None:
    """The resources in its compartment "and any resource referenced by the above"."""
    found = entries(client.get("/Encounter/v2026/$everything"))
    assert found[:3] == [("match", "v2026"), ("match", "w2"), ("match", "w1")]
    assert sorted(found[3:]) == sorted(("include", id_) for id_ in ("ngop", *OUTSIDE))


def test_pages_of_an_encounter(client: httpx.Client) -> None:
    found = list(pages(client, "/Encounter/v2026/$everything?_count=1"))
    assert all_ids(found) == ids(client.get("/Encounter/v2026/$everything"))


def test_an_encounter_of_nobody(client: httpx.Client) -> None:
    alone = visit("alone", "ngop", "2026-10-05")
    del alone["subject"]
    put(client, alone)
    seen = weighed("seen", "ngop", "2026-10-05", encounter={"reference": "Encounter/alone"})
    del seen["subject"]
    put(client, seen)
    found = list(pages(client, "/Encounter/alone/$everything?_count=1"))
    assert all_ids(found) == ["alone", "seen"]


@pytest.mark.parametrize(
    ("asked", "status", "named"),
    [
        ("/Patient/ngop/$everything?_type=Weight", 400, "_type"),
        ("/Patient/ngop/$everything?_type=", 400, "_type"),
        ("/Patient/ngop/$everything?start=yesterday", 400, "start"),
        ("/Patient/ngop/$everything?end=2026-13", 400, "end"),
        ("/Patient/ngop/$everything?_since=now", 400, "_since"),
        ("/Patient/ngop/$everything?_count=-1", 400, "_count"),
        ("/Patient/ngop/$everything?_page=AAAA", 400, "_page"),
        ("/Patient/ngop/$everything?code=29463-7", 400, "code"),
        ("/Encounter/v2026/$everything?start=2026", 400, "start"),
        ("/Patient/nobody/$everything", 404, "Patient/nobody"),
        ("/Encounter/none/$everything", 404, "Encounter/none"),
        ("/Patient/$everything", 501, "Patient/$export"),
    ],
)
def test_what_is_refused_is_named(
    client: httpx.Client, asked: str, status: int, named: str
) -> None:
    answer = client.get(asked)
    assert answer.status_code == status
    issue = answer.json()["issue"][0]
    assert named in issue["details"]["text"]


def test_a_page_of_one_record_is_no_page_of_another(client: httpx.Client) -> None:
    first = client.get("/Patient/ngop/$everything?_count=2").json()
    further = next(link["url"] for link in first["link"] if link["relation"] == "next")
    assert client.get(further.replace("/ngop/", "/other/")).status_code == 400


def test_the_capability_statement_has_it(client: httpx.Client) -> None:
    (rest,) = client.get("/metadata").json()["rest"]
    for type_name in ("Patient", "Encounter"):
        (here,) = (one for one in rest["resource"] if one["type"] == type_name)
        definition = f"http://hl7.org/fhir/OperationDefinition/{type_name}-everything"
        assert {"name": "everything", "definition": definition} in here["operation"]


def test_a_deleted_patient_is_gone(client: httpx.Client) -> None:
    put(client, resident("001174000998", id="gone"))
    client.delete("/Patient/gone")
    assert client.get("/Patient/gone/$everything").status_code == 410
